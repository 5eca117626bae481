import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { groupNorm, instanceNorm, layerNorm, localResponseNorm, rmsNorm } from '../../src/ops/standardize.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('norms');

test('standardizing agrees with float64: rows, axes apart, long sums, without the centre', async () => {
  for (const [shape, axes] of [
    [[1], [0]],
    [[5, 7], [1]],
    [
      [2, 3, 5, 8],
      [1, 2],
    ],
    [
      [2, 3, 2, 4],
      [3, 1],
    ],
    [[3, 5000], [1]],
    [[700, 64], [-1]],
  ]) {
    const sumLength = shape.reduce((a, b) => a * b);
    for (const centred of [true, false]) {
      await checkOp({ op: 'standardize', attrs: { axes, epsilon: 1e-3, centred }, inputs: [shape], sumLength });
    }
  }
});

test('the variance does not cancel far from 0', async () => {
  const values = (_: number, size: number) =>
    randomValues(size, 3, [0, 1]).map((value) => 1000 + Math.round(64 * value) / 64);
  const attrs = { axes: [1], epsilon: 1e-5, centred: true };
  // Sums of these values are exact, so that only the means are rounded: by 2⁻²⁴ of 1000, in units of a deviation of 0.3.
  await checkOp({ op: 'standardize', attrs, inputs: [[3, 256]], values, sumLength: 256, scale: 4000 });
});

/** Means and deviations over the elements for which `groupOf` gives the same. */
function normalized(x: Float32Array, groupOf: (i: number) => number, epsilon: number): number[] {
  const groups = new Map<number, number[]>();
  for (const [i, value] of x.entries()) groups.set(groupOf(i), [...(groups.get(groupOf(i)) ?? []), value]);
  return Array.from(x, (value, i) => {
    const of = groups.get(groupOf(i))!;
    const mean = of.reduce((a, b) => a + b) / of.length;
    const variance = of.reduce((sum, v) => sum + (v - mean) ** 2, 0) / of.length;
    return (value - mean) / Math.sqrt(variance + epsilon);
  });
}

test('layer, group and instance norm take their own statistics, then gamma and beta', async () => {
  const gpu = await testGpu();
  const values = randomValues(2 * 3 * 2 * 6, 1);
  const gamma = [1, 2, 3, 4, 5, 6];
  const beta = [6, 5, 4, 3, 2, 1];
  const results = scope(gpu, () => {
    const x = Tensor.from(gpu, values, [2, 3, 2, 6]);
    const [g, b] = [gamma, beta].map((list) => Tensor.from(gpu, list, [6]));
    return [
      layerNorm(x, g, b),
      layerNorm(x, null, null, { normalizedAxes: 3, epsilon: 0.1 }),
      layerNorm(x, null, b, { axes: [1, -2] }),
      groupNorm(x, 3, g, b),
      instanceNorm(x, g),
    ];
  });
  const expected = [
    normalized(values, (i) => Math.floor(i / 6), 1e-5),
    normalized(values, (i) => Math.floor(i / 36), 0.1),
    normalized(values, (i) => Math.floor(i / 36) * 6 + (i % 6), 1e-5),
    normalized(values, (i) => Math.floor(i / 36) * 3 + Math.floor((i % 6) / 2), 1e-5),
    normalized(values, (i) => Math.floor(i / 36) * 6 + (i % 6), 1e-5),
  ];
  const [withGamma, withBeta] = [
    [true, false, false, true, true],
    [true, false, true, true, false],
  ];
  for (const [k, result] of results.entries()) {
    const wanted = expected[k].map(
      (value, i) => value * (withGamma[k] ? gamma[i % 6] : 1) + (withBeta[k] ? beta[i % 6] : 0),
    );
    assertClose(`norm ${k}`, await result.read(), wanted, { sumLength: 36, factor: 2 });
    result.dispose();
  }
});

test('RMS norm and local response norm, and their gradients', async () => {
  const gpu = await testGpu();
  const values = randomValues(2 * 7, 2);
  const rms = (x: Float32Array): number[] =>
    Array.from(x, (value, i) => {
      const row = x.subarray(7 * Math.floor(i / 7), 7 * Math.floor(i / 7) + 7);
      return value / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / 7 + 1e-5);
    });
  const response = (x: ArrayLike<number>): number[] =>
    Array.from(x, (value, i) => {
      let sum = 0;
      // Of four channels, one lies before and two behind.
      for (let c = Math.max((i % 7) - 1, 0); c <= Math.min((i % 7) + 2, 6); c++) sum += x[i - (i % 7) + c] ** 2;
      return value / (2 + (0.5 / 4) * sum) ** 0.75;
    });
  const [y, z, gradient] = scope(gpu, () => {
    const x = Tensor.from(gpu, values, [2, 7]);
    const tape = new Tape();
    const out = tape.record(() => localResponseNorm(x, { size: 4, alpha: 0.5, bias: 2 }));
    return [rmsNorm(x), out, tape.gradients(out, [x], Tensor.from(gpu, new Float32Array(14).fill(1), [2, 7])).get(x)!];
  });
  assertClose('RMS', await y.read(), rms(values), { sumLength: 7 });
  assertClose('local response', await z.read(), response(values), { factor: 4 });
  const total = (at: number, by: number) =>
    response(Array.from(values, (v, i) => (i === at ? v + by : v))).reduce((a, b) => a + b);
  const slopes = Array.from(values, (_, i) => (total(i, 1e-4) - total(i, -1e-4)) / 2e-4);
  assertClose('gradient', await gradient.read(), slopes, { factor: 8 });
  for (const tensor of [y, z, gradient]) tensor.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [2, 3, 4]);
    const five = Tensor.zeros(gpu, [5]);
    const refuses = (body: () => unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof kind && message.test(error.message));
    refuses(() => layerNorm(x, five), ShapeError, /layerNorm: gamma: shapes/);
    refuses(() => layerNorm(x, Tensor.zeros(gpu, [2, 2, 3, 4])), ShapeError, /layerNorm: gamma has shape/);
    refuses(() => layerNorm(x, null, null, { axes: [3] }), ShapeError, /layerNorm: axis 3/);
    refuses(() => layerNorm(x, null, null, { normalizedAxes: 4 }), ArgumentError, /normalizedAxes is the number 4/);
    refuses(() => layerNorm(x, null, null, { axes: [0], normalizedAxes: 1 }), ArgumentError, /beside axes/);
    refuses(() => layerNorm(x, null, null, { eps: 1 } as never), ArgumentError, /no option "eps"/);
    refuses(() => rmsNorm(x, null, { epsilon: 0 }), ArgumentError, /rmsNorm: epsilon is 0/);
    refuses(() => groupNorm(x, 3), ShapeError, /groupNorm: input has shape \[2,3,4\]; .* of which 3 divides C/);
    refuses(() => instanceNorm(five), ShapeError, /instanceNorm: input has shape \[5\]/);
    refuses(() => localResponseNorm(x, { size: 0 }), ArgumentError, /localResponseNorm: size is \[0\]/);
  });
});

test.run();
