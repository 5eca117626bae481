import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import { chooseWalk, naiveWalk } from '../../src/kernels/channel-walk.js';
import type { WalkChoice } from '../../src/ops/batch-norm/batch-norm.js';
import { prelu, preluOp } from '../../src/ops/prelu.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('prelu');
const LONG = [4, 13, 11, 16];
const SHAPES = [[1], [7], [3, 5], [2, 7, 5, 6], [1, 33, 31, 3], LONG, [2, 3, 3, 260]];
const PLANS: [name: string, choose: WalkChoice, shapes: number[][]][] = [
  ['chosen', chooseWalk, SHAPES],
  ['hardware', (rows, c, limits, purpose) => chooseWalk(rows, c, { ...limits, software: false }, purpose), [LONG]],
];

for (const [name, choose, shapes] of PLANS) {
  test(`PReLU with a slope per channel agrees with float64, ${name} plan`, async () => {
    for (const shape of shapes) {
      await checkOp({
        op: 'prelu',
        attrs: {},
        inputs: [shape, shape.slice(-1)],
        implementation: preluOp(choose),
        sumLength: shape.slice(0, -1).reduce((a, b) => a * b, 1),
      });
    }
  });

  test(`PReLU with a shared slope agrees with float64, ${name} plan`, async () => {
    for (const shape of shapes) {
      await checkOp({
        op: 'prelu',
        attrs: {},
        inputs: [shape, [1]],
        implementation: preluOp(choose),
        sumLength: shape.reduce((a, b) => a * b, 1),
      });
    }
  });
}

test('the naive plan agrees with float64, with a shared slope and with one per channel', async () => {
  const shape = [2, 7, 5, 6];
  await checkOp({ op: 'prelu', attrs: {}, inputs: [shape, [6]], implementation: preluOp(naiveWalk), sumLength: 70 });
  await checkOp({
    op: 'prelu',
    attrs: {},
    inputs: [shape, [1]],
    implementation: preluOp(naiveWalk),
    sumLength: 420,
  });
});

test('at 0 the gradient of x is the slope, and that of the slope is 0', async () => {
  const values = (k: number) => (k === 0 ? Float32Array.from([0, -0, 1, -1]) : Float32Array.from([0.25]));
  await checkOp({ op: 'prelu', attrs: {}, inputs: [[4], [1]], values });
});

test('only the gradients that are wanted are computed', async () => {
  const gpu = await testGpu();
  for (const wanted of [0, 1]) {
    const gradients = scope(gpu, () => {
      const x = Tensor.from(gpu, [-2, 3, -4], [3]);
      const slope = Tensor.from(gpu, [0.5], [1]);
      const tape = new Tape();
      const y = tape.record(() => prelu(x, slope));
      const before = gpu.dispatches;
      const result = tape.gradients(y, [[x, slope][wanted]], Tensor.from(gpu, [1, 10, 100], [3]));
      assert.is(gpu.dispatches - before, wanted === 0 ? 1 : 2); // the slope's partial sums are added up
      return [...result.values()];
    });
    assert.is(gradients.length, 1);
    assert.equal(Array.from(await gradients[0].read()), wanted === 0 ? [0.5, 10, 50] : [-402]);
    gradients[0].dispose();
  }
});

test('a slope of another length is refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [2, 6]);
    assert.throws(
      () => prelu(x, Tensor.zeros(gpu, [3])),
      (error: Error) => error instanceof ShapeError && /\[1\] or \[6\]/.test(error.message),
    );
  });
});

test.run();
