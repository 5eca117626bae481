import * as assert from 'uvu/assert';
import { chooseWalk, naiveWalk } from '../../src/kernels/channel-walk.js';
import { logisticBits, logisticBitsOp } from '../../src/ops/bits.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('logistic bits');

const PLANS: Record<string, typeof chooseWalk> = {
  naive: naiveWalk,
  chosen: chooseWalk,
  hardware: (rows, channels, limits, purpose) => chooseWalk(rows, channels, { ...limits, software: false }, purpose),
};

/** Values of a few scales, with scales from a tenth of a unit to twenty units. */
const values = (k: number, size: number) =>
  k === 0 ? randomValues(size, 31).map((value) => 3 * value) : randomValues(size, 32, [-2.3, 3]);

for (const [name, choose] of Object.entries(PLANS)) {
  test(`forward and gradients, ${name} plan`, async () => {
    for (const shape of [[1], [5], [7, 3], [2, 5, 3, 6], [3, 7, 6, 16], [1021, 4]]) {
      await checkOp({
        op: 'logisticBits',
        attrs: {},
        inputs: [shape, shape.slice(-1)],
        values,
        sumLength: Math.sqrt(shape.slice(0, -1).reduce((a, b) => a * b, 1)),
        factor: 4,
        implementation: logisticBitsOp(choose),
      });
    }
  });
}

test('with a single scale, small results keep their relative precision', async () => {
  const zeroToFour = (size: number) => Float32Array.from({ length: size }, (_, i) => (i - size / 2) / 16);
  for (const logScale of [-3, -1, 0, 1, 3, 6, 9]) {
    await checkOp({
      op: 'logisticBits',
      attrs: {},
      inputs: [[129, 1], [1]],
      values: (k, size) => (k === 0 ? zeroToFour(size) : Float32Array.of(logScale)),
      factor: 4,
      sumLength: 16,
    });
  }
});

test('far in the tails and at extreme scales nothing overflows, and the gradient is 0 at the upper limit of the bits', async () => {
  // ±1/2 is left out, because a vanishing scale has no finite gradient there.
  const ys = [0, 0.25, -0.49, 1, -7, 60, -1e4, 1e9];
  const logScales = [-100, -40, -5, 0, 5, 27, 60, 100];
  for (const logScale of logScales) {
    const values = (k: number) => (k === 0 ? Float32Array.from(ys) : Float32Array.of(logScale));
    await checkOp({ op: 'logisticBits', attrs: {}, inputs: [[8, 1], [1]], values, factor: 4, sumLength: 16 });
  }
  const gpu = await testGpu();
  const [bits, gradient] = scope(gpu, () => {
    const y = Tensor.from(
      gpu,
      Float32Array.from({ length: 64 }, (_, i) => [...ys, -0.5][1 + (i >> 3)]),
      [8, 8],
    );
    const tape = new Tape();
    const out = tape.record(() => logisticBits(y, Tensor.from(gpu, logScales, [8])));
    return [out, tape.gradients(out, [y], Tensor.from(gpu, new Float32Array(64).fill(1), [8, 8])).get(y)!];
  });
  const gradients = await gradient.read();
  (await bits.read()).forEach((value, i) => {
    assert.ok(value >= 0 && value <= 40, `element ${i}: ${value} bits`);
    assert.ok(Number.isFinite(gradients[i]) && (value < 40 || gradients[i] === 0), `gradient ${i}: ${gradients[i]}`);
  });
  bits.dispose();
  gradient.dispose();
});

test.run();
