import * as assert from 'uvu/assert';
import { naiveRun, ssim, ssimOp } from '../../src/ops/ssim.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('ssim');

/**
 * Size of the terms of SSIM's gradient, which cancel to the size of local deviations: the largest value over the number of positions
 * and over the stabiliser (0.03·dataRange)² of the variances.
 */
function ssimScale([n, h, w, c]: readonly number[], window: number, dataRange: number, largest: number): number {
  return largest / (n * (h - window + 1) * (w - window + 1) * c) / (0.03 * dataRange) ** 2;
}

const SSIM = { window: 11, sigma: 1.5, dataRange: 1 };

/** A picture and a distorted copy, in [0, 1]: smooth ramps with a little noise, so that variances are small. */
function pictures(shape: readonly number[], noise: number) {
  const [, h, w, c] = shape;
  return (k: number, size: number) => {
    const difference = randomValues(size, 60 + k);
    return Float32Array.from({ length: size }, (_, i) => {
      const [x, y] = [(Math.floor(i / c) % w) / w, (Math.floor(i / (c * w)) % h) / h];
      return 0.7 + 0.2 * Math.sin(5 * x + 3 * y + (i % c)) + noise * difference[i];
    });
  };
}

for (const [name, implementation] of Object.entries({ chosen: ssimOp(), naive: ssimOp(naiveRun) })) {
  test(`ssim of noise and its gradient agree with float64, ${name} run`, async () => {
    const attrs = { ...SSIM, dataRange: 2 };
    for (const shape of [
      [1, 11, 11, 1],
      [2, 13, 17, 3],
      [3, 26, 11, 2],
      [1, 29, 41, 4],
    ]) {
      await checkOp({ op: 'ssim', attrs, inputs: [shape, shape], implementation, sumLength: 121 });
    }
    for (const window of [1, 3, 7]) {
      const shape = [2, 7, 10, 3];
      const attrs = { window, sigma: 0.8, dataRange: 3 };
      const scale = ssimScale(shape, window, 3, 3);
      await checkOp({ op: 'ssim', attrs, inputs: [shape, shape], implementation, sumLength: window, scale });
    }
  });

  test(`ssim of similar pictures and its gradient agree with float64, ${name} run`, async () => {
    const shape = [2, 33, 30, 3];
    const scale = ssimScale(shape, 11, 1, 1);
    for (const noise of [0.05, 0.01, 0.002]) {
      const values = pictures(shape, noise);
      await checkOp({ op: 'ssim', attrs: SSIM, inputs: [shape, shape], values, implementation, scale });
    }
  });
}

test(' pictures of the size of faces: different, equal, flat', async () => {
  const shape = [1, 112, 96, 3];
  await checkOp({ op: 'ssim', attrs: SSIM, inputs: [shape, shape], values: pictures(shape, 0.03), sumLength: 16 });
  const gpu = await testGpu();
  const outputs = scope(gpu, () => {
    const picture = Tensor.from(gpu, pictures(shape, 0.03)(0, 112 * 96 * 3), shape);
    const grey = Tensor.from(gpu, new Float32Array(112 * 96 * 3).fill(0.5), shape);
    const black = Tensor.zeros(gpu, shape);
    return [ssim(picture, picture), ssim(grey, grey), ssim(black, grey), ssim(grey, black)];
  });
  const [same, flat, one, other] = await Promise.all(outputs.map((output) => output.item()));
  assert.ok(Math.abs(same - 1) < 1e-6, `with itself: ${same}`);
  assert.ok(Math.abs(flat - 1) < 1e-6, `flat: ${flat}`);
  assert.ok(Math.abs(one - 1e-4 / 0.2501) < 1e-6 && one === other, `black and grey: ${one}, ${other}`);
  for (const output of outputs) output.dispose();
});

test.run();
