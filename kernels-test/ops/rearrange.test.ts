import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { mul } from '../../src/ops/binary.js';
import { depthToSpace, spaceToDepth, split, squeeze, stack, tile, unsqueeze } from '../../src/ops/rearrange.js';
import { sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { type AnyTensor, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('rearrange');

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

async function checkValues(actual: AnyTensor, shape: readonly number[], values: readonly number[]): Promise<void> {
  assert.equal([...actual.shape], [...shape]);
  assert.equal([...(await actual.read())], [...values]);
  actual.dispose();
}

test('split cuts into equal parts, or parts of given sizes', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, upTo(12), [2, 6], 'int32');
  const [a, b] = split(x, 2, -1);
  await checkValues(a, [2, 3], [0, 1, 2, 6, 7, 8]);
  await checkValues(b, [2, 3], [3, 4, 5, 9, 10, 11]);
  const [c, d] = split(x, [1, 5], 1);
  await checkValues(c, [2, 1], [0, 6]);
  await checkValues(d, [2, 5], [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
  x.dispose();
});

test('stack joins along a new axis', async () => {
  const gpu = await testGpu();
  const [a, b] = [Tensor.from(gpu, [1, 0], [2], 'bool'), Tensor.from(gpu, [1, 1], [2], 'bool')];
  await checkValues(stack([a, b]), [2, 2], [1, 0, 1, 1]);
  await checkValues(stack([a, b], -1), [2, 2], [1, 1, 0, 1]);
  a.dispose();
  b.dispose();
});

test('squeeze and unsqueeze are views', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, upTo(6), [1, 2, 1, 3]);
  const before = gpu.pool.liveBytes;
  const views = [squeeze(x), squeeze(x, [-2]), squeeze(x, []), unsqueeze(x, [0, -1]), unsqueeze(x, [])];
  assert.equal(
    views.map(({ shape }) => [...shape]),
    [
      [2, 3],
      [1, 2, 3],
      [1, 2, 1, 3],
      [1, 1, 2, 1, 3, 1],
      [1, 2, 1, 3],
    ],
  );
  assert.is(gpu.pool.liveBytes, before);
  for (const tensor of [x, ...views]) tensor.dispose();
});

test('tile repeats along each axis', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4], [2, 2], 'int32');
  const row = [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4];
  await checkValues(tile(x, [2, 3]), [4, 6], [...row, ...row]);
  await checkValues(tile(x, [2]), [2, 4], [1, 2, 1, 2, 3, 4, 3, 4]);
  await checkValues(tile(x, [2, 1, 1]), [2, 2, 2], [1, 2, 3, 4, 1, 2, 3, 4]);
  x.dispose();
});

test('depthToSpace and spaceToDepth undo each other, in the order of ONNX', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, upTo(2 * 1 * 2 * 8), [2, 1, 2, 8]);
  for (const [mode, first] of [
    ['DCR', [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]],
    ['CRD', [0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15]],
  ] as const) {
    const [space, depth] = scope(gpu, () => {
      const moved = depthToSpace(x, 2, { mode });
      return [moved, spaceToDepth(moved, 2, { mode })];
    });
    await checkValues(space, [2, 2, 4, 2], [...first, ...first.map((value) => value + 16)]);
    await checkValues(depth, [2, 1, 2, 8], upTo(32));
  }
  x.dispose();
});

test('gradients pass through all of them', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, upTo(16), [1, 2, 2, 4]);
  const weights = upTo(16).map((i) => i + 1);
  const gradient = scope(gpu, () => {
    const tape = new Tape();
    const loss = tape.record(() => {
      const space = depthToSpace(x, 2); // [1, 4, 4, 1]
      const [low, high] = split(squeeze(space), 2, 0);
      const tiled = tile(stack([low, high], 0), [1, 1, 2]); // [2, 2, 8]
      const twice = Tensor.from(gpu, weights, [2, 2, 4]);
      return sum(mul(tiled, tile(twice, [1, 1, 2])));
    });
    return tape.gradients(loss, [x]).get(x)!;
  });
  // Pixel (y, x) of a block of two rows and columns holds one channel of x.
  const expected = upTo(16).map((i) => {
    const [row, column, channel] = [i >> 3, (i >> 2) & 1, i & 3];
    return 2 * weights[(2 * row + (channel >> 1)) * 4 + 2 * column + (channel & 1)];
  });
  await checkValues(gradient, [1, 2, 2, 4], expected);
  x.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [1, 3, 5, 8]);
  const other = Tensor.zeros(gpu, [2]);
  for (const [body, type, message] of [
    [() => split(x, 2, 1), ShapeError, /split: axis 1 of input \[1,3,5,8\] has 3 entries, which are not 2 equal parts/],
    [() => split(x, [1, 1], 1), ShapeError, /not parts of \[1,1\]/],
    [() => split(x, 9, 1), ShapeError, /not 9 equal parts/],
    [() => split(x, 0, 1), ArgumentError, /parts is the number 0/],
    [() => stack([]), ShapeError, /stack: got no tensors/],
    [() => stack([x, other]), ShapeError, /stack: tensor 1 has shape \[2\]; expected \[1,3,5,8\]/],
    [() => squeeze(x, [1]), ShapeError, /squeeze: axis 1 of input \[1,3,5,8\] has size 3; expected 1/],
    [() => squeeze('x' as never), ArgumentError, /squeeze: x is "x"; expected a tensor/],
    [() => unsqueeze(x, [0, 0]), ShapeError, /unsqueeze: axis 0 is given twice/],
    [() => tile(x, [0]), ArgumentError, /tile: repeats is \[0\]/],
    [() => depthToSpace(x, 3), ShapeError, /expected a multiple of 9 channels/],
    [() => depthToSpace(other, 2), ShapeError, /depthToSpace: input has shape \[2\]; expected rank 4/],
    [() => depthToSpace(x, 2, { mode: 'RCD' as never }), ArgumentError, /mode is "RCD"; expected "DCR" or "CRD"/],
    [() => depthToSpace(x, 2, { order: 1 } as never), ArgumentError, /there is no option "order"/],
    [() => spaceToDepth(x, 2), ShapeError, /rows and columns that are multiples of 2/],
  ] as const) {
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  }
  x.dispose();
  other.dispose();
});

test.run();
