import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { expand, flip, stridedSlice } from '../../src/ops/strided.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('strided');

const SLICES = [
  { x: [], begin: [], end: [], step: [] },
  { x: [9], begin: [null], end: [null], step: [-4] },
  { x: [9], begin: [1], end: [8], step: [3] },
  { x: [3, 5, 7], begin: [null, 0, 6], end: [-9, null, -8], step: [-1, 2, -2] },
  { x: [2, 7, 6, 4], begin: [0, 6, 1, null], end: [2, null, 6, 9], step: [1, -2, 3, 1] },
  { x: [4, 5], begin: [-1, 2], end: [4, -5], step: [7, -9] },
];

test('slices with steps agree with float64, and move other types to the last bit', async () => {
  for (const { x, ...attrs } of SLICES) {
    await checkOp({ op: 'stridedSlice', attrs, inputs: [x] });
    await checkTyped('stridedSlice', attrs, [x]);
  }
});

test('expand agrees with float64, and moves other types to the last bit', async () => {
  for (const [x, shape] of [
    [[], []],
    [[], [3, 5]],
    [[5], [7, 5]],
    [
      [3, 1, 5],
      [3, 7, 1],
    ],
    [
      [2, 1, 3, 1],
      [2, 4, 3, 9],
    ],
    [[1], [65, 64]],
  ]) {
    await checkOp({ op: 'expand', attrs: { shape }, inputs: [x], sumLength: 65 * 64 });
    await checkTyped('expand', { shape }, [x]);
  }
});

test('more elements than one row of workgroups holds', async () => {
  const size = 65535 * 64 + 17;
  const x = Tensor.from(
    await testGpu(),
    Int32Array.from({ length: size }, (_, i) => i),
    [size],
    'int32',
  );
  const y = flip(x);
  const values = await y.read();
  assert.is(
    values.findIndex((value, i) => value !== size - 1 - i),
    -1,
  );
  x.dispose();
  y.dispose();
});

test('begin, end and step are those of NumPy', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [0, 1, 2, 3, 4, 5, 6], [7], 'int32');
  for (const [begin, end, step, expected] of [
    [null, null, -1, [6, 5, 4, 3, 2, 1, 0]],
    [null, null, 3, [0, 3, 6]],
    [1, -1, 2, [1, 3, 5]],
    [-1, -8, -3, [6, 3, 0]],
    [5, 0, -2, [5, 3, 1]],
    [-99, 99, 4, [0, 4]],
    [99, -99, -4, [6, 2]],
    [2, 4, 1, [2, 3]],
    [2, 3, 9, [2]],
  ] as const) {
    const y = stridedSlice(x, [begin], [end], [step]);
    assert.equal([...(await y.read())], [...expected], `${begin}:${end}:${step}`);
    y.dispose();
  }
  const matrix = x.view([1, 7]);
  const y = stridedSlice(matrix, [0, -3], [1, null]);
  assert.equal([...y.shape], [1, 3]);
  assert.equal([...(await y.read())], [4, 5, 6]);
  for (const tensor of [x, matrix, y]) tensor.dispose();
});

test('flip reverses some axes or all', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4, Number.NaN, -Infinity], [2, 3]);
  const [rows, both] = scope(gpu, () => [flip(x, [-2]), flip(x)]);
  assert.equal([...(await rows.read())], [4, Number.NaN, -Infinity, 1, 2, 3]);
  assert.equal([...(await both.read())], [-Infinity, Number.NaN, 4, 3, 2, 1]);
  for (const tensor of [x, rows, both]) tensor.dispose();
});

test('what does not fit is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [4, 3]);
  for (const [body, type, message] of [
    [() => stridedSlice(x, [0], [1]), ShapeError, /stridedSlice: begin is \[0\]; expected 2 entries/],
    [() => stridedSlice(x, [2, 0], [1, 3]), ShapeError, /2:1:1 takes nothing of axis 0 of input \[4,3\]/],
    [
      () => stridedSlice(x, [0, 0], [1, 3], [0, 1]),
      ArgumentError,
      /step is the array \[0,1\]; expected integers, not 0/,
    ],
    [() => stridedSlice(x, [0, 0.5], [1, 3]), ArgumentError, /begin is the array \[0,0.5\]; expected integers or null/],
    [() => flip(x, [2]), ShapeError, /flip: axis 2 is outside/],
    [() => expand(x, [5]), ShapeError, /expand: shapes \[4,3\] and \[5\] do not broadcast/],
    [() => expand(x, 5 as never), ArgumentError, /expand: shape is the number 5/],
  ] as const) {
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  }
  x.dispose();
});

test.run();
