import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { naiveVectors } from '../../src/kernels/elementwise.js';
import { boxOf, concat, concatOp, pad, padOp, reshape, slice, sliceOp } from '../../src/ops/layout.js';
import type { DType } from '../../src/tensor/dtype.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('layout');

test('reshape agrees with float64', async () => {
  for (const [from, to] of [
    [[], [1, 1]],
    [[6], [2, 3]],
    [
      [3, 5, 7],
      [21, 5],
    ],
  ]) {
    await checkOp({ op: 'reshape', attrs: { shape: to }, inputs: [from] });
  }
});

test('reshape shares the memory and infers a size', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [2, 3]);
  const before = gpu.pool.liveBytes;
  const y = reshape(x, [3, -1]);
  assert.equal([...y.shape], [3, 2]);
  assert.is(gpu.pool.liveBytes, before);
  const refuses = (shape: number[], message: RegExp) =>
    assert.throws(
      () => reshape(x, shape),
      (error: Error) => error instanceof ShapeError && message.test(error.message),
    );
  refuses([4, -1], /no size fits in place of -1 when \[2,3\] becomes \[4,-1\]/);
  refuses([-1, -1], /no size fits/);
  refuses([0, -1], /no size fits/);
  refuses([7], /\[2,3\] has 6 elements, but \[7\] needs 7/);
  x.dispose();
  assert.equal([...(await y.read())], [1, 2, 3, 4, 5, 6]);
  y.dispose();
});

/** Shape of the array, start of the box, shape of the box. */
const BOXES: [outer: number[], begin: number[], inner: number[]][] = [
  [[], [], []],
  [[9], [0], [9]],
  [[9], [2], [4]],
  [[16], [4], [8]],
  [
    [3, 5, 7],
    [1, 2, 3],
    [1, 3, 2],
  ],
  [
    [3, 5, 8],
    [0, 1, 0],
    [3, 3, 8],
  ],
  [
    [3, 5, 8],
    [0, 0, 4],
    [3, 5, 4],
  ],
  [
    [3, 5, 8],
    [0, 0, 3],
    [3, 5, 5],
  ],
  [
    [2, 7, 6, 3],
    [0, 1, 2, 0],
    [2, 5, 4, 3],
  ],
  [
    [2, 7, 6, 4],
    [0, 1, 2, 0],
    [2, 5, 4, 4],
  ],
  [
    [4, 1, 3, 2, 5],
    [1, 0, 0, 0, 0],
    [3, 1, 3, 2, 5],
  ],
];

test('slice and pad agree with float64, vectorised or not', async () => {
  for (const [outer, begin, inner] of BOXES) {
    for (const choose of [undefined, naiveVectors]) {
      const attrs = { begin, size: inner };
      await checkOp({ op: 'slice', attrs, inputs: [outer], implementation: choose && sliceOp(choose) });
      const after = outer.map((size, axis) => size - begin[axis] - inner[axis]);
      for (const value of [0, -2.5]) {
        const padding = { before: begin, after, value };
        await checkOp({ op: 'pad', attrs: padding, inputs: [inner], implementation: choose && padOp(choose) });
      }
    }
  }
});

test('concat along every axis agrees with float64', async () => {
  const shapes = [
    [3, 5, 8],
    [3, 2, 8],
    [3, 1, 8],
  ];
  for (const implementation of [undefined, concatOp(naiveVectors)]) {
    await checkOp({ op: 'concat', attrs: { axis: 1 }, inputs: shapes, implementation });
    await checkOp({ op: 'concat', attrs: { axis: -2 }, inputs: shapes, implementation });
    await checkOp({ op: 'concat', attrs: { axis: 0 }, inputs: [[4], [3], [9]], implementation });
    await checkOp({
      op: 'concat',
      attrs: { axis: 2 },
      inputs: [
        [2, 3, 4],
        [2, 3, 8],
      ],
      implementation,
    });
    await checkOp({
      op: 'concat',
      attrs: { axis: -1 },
      inputs: [
        [2, 3, 4],
        [2, 3, 1],
        [2, 3, 7],
      ],
      implementation,
    });
    await checkOp({ op: 'concat', attrs: { axis: 0 }, inputs: [[2, 3]], implementation });
  }
});

test('concat takes more inputs than a stage may bind', async () => {
  await checkOp({ op: 'concat', attrs: { axis: 1 }, inputs: Array.from({ length: 23 }, (_, k) => [3, 1 + (k % 4)]) });
});

test('concat of a tensor with itself gives both gradients', async () => {
  const x = Tensor.from(await testGpu(), [1, 2], [1, 2]);
  const y = concat([x, x, x], 0);
  assert.equal([...(await y.read())], [1, 2, 1, 2, 1, 2]);
  x.dispose();
  y.dispose();
});

test('more elements than one row of workgroups holds are all copied', async () => {
  const size = 65535 * 64 + 17;
  await checkOp({ op: 'slice', attrs: { begin: [1], size: [size - 2] }, inputs: [[size]] });
});

test('integers and booleans are moved to the last bit, vectorised or not', async () => {
  await checkTyped('reshape', { shape: [5, 6] }, [[2, 3, 5]]);
  for (const [outer, begin, inner] of [BOXES[2], BOXES[4], BOXES[9]]) {
    await checkTyped('slice', { begin, size: inner }, [outer]);
    const after = outer.map((size, axis) => size - begin[axis] - inner[axis]);
    await checkTyped('pad', { before: begin, after, value: 1 }, [inner]);
    await checkTyped('pad', { before: begin, after, value: -3 }, [inner], undefined, ['int32']);
  }
  await checkTyped('concat', { axis: 1 }, [
    [2, 3],
    [2, 5],
  ]);
  await checkTyped('concat', { axis: -1 }, [
    [2, 4],
    [2, 8],
  ]);
});

test('types that do not fit are refused', async () => {
  const gpu = await testGpu();
  const integers = Tensor.from(gpu, [1, 2], [2], 'int32');
  const masks = Tensor.from(gpu, [1, 0], [2], 'bool');
  const refuses = (body: () => unknown, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  refuses(() => concat<DType>([integers, masks], 0), /concat: the inputs are tensors of int32 and bool/);
  refuses(() => pad(integers, [1], [0], 0.5), /pad: value is the number 0.5; expected an integer that int32 holds/);
  refuses(() => pad(masks, [1], [0], 2), /pad: value is the number 2; expected 1 or 0/);
  integers.dispose();
  masks.dispose();
});

test('a box outside the array is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [4]);
  assert.throws(
    () => slice(x, [2], [3]),
    (error: Error) => error instanceof ShapeError && /reach to 5/.test(error.message),
  );
  x.dispose();
});

test('axes that the box fills are merged with the axis before', () => {
  assert.equal(boxOf([2, 7, 6, 3], [0, 1, 2, 0], [2, 5, 4, 3]), {
    outer: [2, 7, 18],
    begin: [0, 1, 6],
    inner: [2, 5, 12],
    width: 1,
  });
  assert.equal(boxOf([8, 3, 4], [2, 0, 0], [5, 3, 4]), { outer: [24], begin: [6], inner: [15], width: 4 });
});

test('what is not finite surrounds a tensor, and its gradient is the part inside', async () => {
  for (const value of [Infinity, -Infinity, NaN]) {
    await checkOp({ op: 'pad', attrs: { before: [1, 0], after: [0, 2], value }, inputs: [[2, 3]] });
  }
});

test.run();
