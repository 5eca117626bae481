import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { logSumExp, norm, type VectorNormOptions, variance } from '../../src/ops/reductions.js';
import { Tape } from '../../src/ops/tape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('variance, norms and log-sum-exp');

/** Shape, axes, and the number of elements of one result. */
const REDUCTIONS: [shape: number[], axes: number[], sumLength: number][] = [
  [[], [], 1],
  [[7], [0], 7],
  [[3, 5, 8], [1], 5],
  [[3, 5, 7], [-1], 7],
  [[3, 5, 7], [0, 2], 21],
  [[3, 5, 7], [], 105],
  [[20001, 3], [0], 20001],
  [[3, 9001], [1], 9001],
];

test('norm and logSumExp over axes agree with float64', async () => {
  for (const op of ['norm', 'logSumExp'] as const) {
    for (const [shape, axes, sumLength] of REDUCTIONS) {
      for (const keepDims of [false, true]) {
        await checkOp({ op, attrs: { axes, keepDims }, inputs: [shape], sumLength, scale: 1, factor: 4 });
      }
    }
  }
});

test('the norm of zeros is 0, and so is its gradient', async () => {
  const values = () => Float32Array.of(0, 0, -0, 3, 0, -4);
  await checkOp({ op: 'norm', attrs: { axes: [1], keepDims: false }, inputs: [[2, 3]], values });
});

test('logSumExp does not overflow, and passes infinite elements', async () => {
  const rows = [
    [1000, 1001, 999, -1000],
    [-1000, -1001, -1e30, -1002],
    [-Infinity, -Infinity, -Infinity, -Infinity],
    [-Infinity, 2, -Infinity, 3],
    [3e38, -3e38, 3e38, 1],
    [Number.NaN, 1, -Infinity, 2],
  ];
  const values = () => Float32Array.from(rows.flat());
  const attrs = { axes: [1], keepDims: false };
  await checkOp({ op: 'logSumExp', attrs, inputs: [[6, 4]], values });
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [Infinity, 1, -Infinity, -Infinity], [2, 2]);
  const y = logSumExp(x, [-1], true);
  assert.equal([...y.shape], [2, 1]);
  assert.equal([...(await y.read())], [Infinity, -Infinity]);
  x.dispose();
  y.dispose();
});

/** y and dx of a function of x, by dy. */
async function run(
  f: (x: Tensor) => Tensor,
  values: Float32Array,
  shape: number[],
  dy: (size: number) => Float32Array,
) {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, values, shape);
  const tape = new Tape();
  const y = tape.record(() => f(x));
  const seed = Tensor.from(gpu, dy(y.size), y.shape);
  const dx = tape.gradients(y, [x], seed).get(x)!;
  const result = { shape: [...y.shape], y: await y.read(), dx: await dx.read() };
  for (const { output } of tape.nodes) output.dispose();
  for (const tensor of [x, seed, dx]) tensor.dispose();
  return result;
}

test('variance agrees with float64, with each correction', async () => {
  const [rows, columns] = [41, 3];
  const values = randomValues(rows * columns, 4).map((value) => value + 100);
  for (const correction of [undefined, 0, 1, 2.5]) {
    const dy = Float32Array.of(1, -2, 3);
    const result = await run(
      (x) => variance(x, [0], { correction }),
      values,
      [rows, columns],
      () => dy,
    );
    assert.equal(result.shape, [columns]);
    const divisor = rows - (correction ?? 0);
    const columnOf = (c: number) => Array.from({ length: rows }, (_, row) => values[row * columns + c]);
    const means = Float64Array.from(dy, (_, c) => columnOf(c).reduce((sum, v) => sum + v, 0) / rows);
    const expected = means.map((mean, c) => columnOf(c).reduce((sum, v) => sum + (v - mean) ** 2, 0) / divisor);
    const gradient = Float64Array.from(values, (v, i) => {
      const c = i % columns;
      return (2 * (v - means[c]) * dy[c]) / divisor;
    });
    assertClose('variance', result.y, expected, { sumLength: rows, scale: 20 });
    assertClose('gradient', result.dx, gradient, { sumLength: rows, scale: 20 });
  }
});

test('norms of 1 and infinity agree with float64, and equal extremes share the gradient', async () => {
  const values = Float32Array.of(1, -3, 3, 0, 0.5, -2);
  const dy = () => Float32Array.of(2, 5);
  const cases: [VectorNormOptions, number[], number[]][] = [
    [{ p: 1, axes: [1] }, [7, 2.5], [2, -2, 2, 0, 5, -5]],
    [{ p: Infinity, axes: [1], keepDims: true }, [3, 2], [0, -1, 1, 0, 0, -5]],
  ];
  for (const [options, y, dx] of cases) {
    const result = await run((x) => norm(x, options), values, [2, 3], dy);
    assert.equal([...result.y], y);
    assert.equal(result.shape, options.keepDims ? [2, 1] : [2]);
    result.dx.forEach((value, i) => {
      assert.is(value + 0, dx[i]);
    });
  }
});

test('what does not fit is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [2, 3]);
  const refuses = (body: () => unknown, type: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  refuses(() => norm(x, { p: 3 } as never), ArgumentError, /norm: p is the number 3; expected 1, 2 or Infinity/);
  refuses(() => norm(x, { axis: 1 } as never), ArgumentError, /norm: there is no option "axis"/);
  refuses(
    () => variance(x, [0], { correction: 2 }),
    ArgumentError,
    /correction is the number 2; expected at least 0 and less than 2/,
  );
  refuses(() => variance(x, [2]), ShapeError, /variance: axis 2 is outside/);
  refuses(() => logSumExp(x, [0, 0]), ShapeError, /logSumExp: axis 0 is given twice/);
  x.dispose();
});

test.run();
