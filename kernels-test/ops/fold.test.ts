import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { foldOp, max, min, prod } from '../../src/ops/fold.js';
import { chooseSumPasses, naiveSumPasses, sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import type { DType } from '../../src/tensor/dtype.js';
import { type AnyTensor, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('largest, smallest and product');

/** Shape, axes, and the number of elements of one result. */
const REDUCTIONS: [shape: number[], axes: number[], length: number][] = [
  [[], [], 1],
  [[7], [0], 7],
  [[3, 5, 7], [0], 3],
  [[3, 5, 8], [1], 5],
  [[3, 5, 7], [-1], 7],
  [[3, 5, 7], [0, 2], 21],
  [[3, 5, 7], [], 105],
  [[2, 3, 4, 5, 6], [1, 3], 15],
  [[1, 5, 1], [0], 1],
];

for (const op of ['max', 'min', 'prod'] as const) {
  test(`${op} over axes agrees with float64, by the chosen kernels and the naive one`, async () => {
    for (const [shape, axes, sumLength] of REDUCTIONS) {
      const values = op === 'prod' ? (k: number, size: number) => randomValues(size, k, [0.5, 1.5]) : undefined;
      const test = { op, inputs: [shape], sumLength, linear: true, values } as const;
      for (const keepDims of [false, true]) await checkOp({ ...test, attrs: { axes, keepDims } });
      await checkOp({ ...test, attrs: { axes, keepDims: false }, implementation: foldOp(op, naiveSumPasses) });
    }
  });

  test(`${op} of long axes agrees with float64, also by the passes of a GPU`, async () => {
    const limits = { ...(await testGpu()).limits, software: false };
    const values = op === 'prod' ? (k: number, size: number) => randomValues(size, k, [0.999, 1.001]) : undefined;
    for (const [shape, axes] of [
      [[100003], []],
      [[20001, 3], [0]],
      [[2, 4000, 4], [1]],
      [[3, 9001], [1]],
    ]) {
      const test = {
        op,
        attrs: { axes, keepDims: false },
        inputs: [shape],
        linear: true,
        values,
        sumLength: 300,
      } as const;
      if (op === 'prod' && shape.length === 1) continue; // its reference would take n² products
      if (op !== 'prod' || shape.length === 3) await checkOp(test);
      if (op === 'prod') continue;
      await checkOp({ ...test, implementation: foldOp(op, (a, b, c) => chooseSumPasses(a, b, c, limits)) });
    }
  });
}

test('equal extremes share the gradient, and NaN wins', async () => {
  for (const op of ['max', 'min'] as const) {
    const rows = [
      [2, 2, 2, 2],
      [-1, 3, 3, -1],
      [0, -0, 5, -5],
      [-Infinity, -Infinity, -Infinity, -Infinity],
      [Infinity, 1, Infinity, -Infinity],
      [1, Number.NaN, Infinity, 2],
    ];
    const values = () => Float32Array.from(rows.flat());
    await checkOp({ op, attrs: { axes: [1], keepDims: false }, inputs: [[6, 4]], values });
  }
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [4, 1, 4, Number.NaN], [2, 2]);
  const tape = new Tape();
  const y = tape.record(() => max(x, [0]));
  assert.equal([...(await y.read())], [4, Number.NaN]);
  const seed = Tensor.from(gpu, [6, 1], [2]);
  const dx = tape.gradients(y, [x], seed).get(x)!;
  assert.equal([...(await dx.read())], [3, Number.NaN, 3, Number.NaN]);
  for (const tensor of [x, y, seed, dx]) tensor.dispose();
});

test('the gradient of a product is right with zeros, over one run of axes and over two', async () => {
  for (const zeros of [[0], [5], [3, 4]]) {
    for (const axes of [[], [2], [0, 2]]) {
      const values = (_: number, size: number) =>
        Float32Array.from({ length: size }, (_, i) => (zeros.includes(i % 24) ? 0 : 0.5 + (i % 4) / 2));
      const attrs = { axes, keepDims: false };
      await checkOp({ op: 'prod', attrs, inputs: [[2, 3, 4]], values, sumLength: 24, linear: true });
    }
  }
});

test('integers and booleans keep their type and every bit', async () => {
  const gpu = await testGpu();
  const integers = Tensor.from(gpu, [2 ** 24 + 1, -5, 1, -(2 ** 31), 2 ** 31 - 1, 3], [2, 3], 'int32');
  const masks = Tensor.from(gpu, [true, false, true, true, false, false], [3, 2], 'bool');
  const cases: [AnyTensor, number[], DType?][] = [
    [max(integers, [1]), [2 ** 24 + 1, 2 ** 31 - 1]],
    [min(integers, [0]), [-(2 ** 31), -5, 1]],
    [sum(integers, [1]), [2 ** 24 - 3, 2]],
    [prod(integers, [1], true), [-5 * (2 ** 24 + 1), Math.imul(-(2 ** 31), Math.imul(2 ** 31 - 1, 3))]],
    [sum(integers), [2 ** 24 - 1]],
    [max(masks, [1]), [1, 1, 0], 'bool'],
    [min(masks, [1]), [0, 1, 0], 'bool'],
    [max(masks), [1], 'bool'],
  ];
  for (const [y, expected, dtype = 'int32'] of cases) {
    assert.is(y.dtype, dtype);
    assert.equal([...(await y.read())], expected);
    y.dispose();
  }
  integers.dispose();
  masks.dispose();
});

test('an axis or a type that does not fit is refused', async () => {
  const gpu = await testGpu();
  const [x, mask] = [Tensor.zeros(gpu, [2, 3]), Tensor.from(gpu, [1], [1], 'bool')];
  assert.throws(
    () => max(x, [2]),
    (error: Error) => error instanceof ShapeError && /max: axis 2 is outside \[-2, 1\]/.test(error.message),
  );
  assert.throws(
    () => prod(mask as never),
    (error: Error) => error instanceof ArgumentError && /prod: x is a tensor of "bool"/.test(error.message),
  );
  x.dispose();
  mask.dispose();
});

test.run();
