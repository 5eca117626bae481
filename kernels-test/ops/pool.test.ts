import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import { naiveChannels } from '../../src/kernels/channel-walk.js';
import { avgPool2d, avgPool2dOp, maxPool2d, maxPool2dOp, type Pool2dAttrs } from '../../src/ops/pool.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('pool');

/** Cases with overlapping windows, gaps between windows, uneven padding, and rows and columns that no window reaches. */
const CASES: [shape: number[], attrs: Pool2dAttrs][] = [
  [[1, 1, 1, 1], { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] }],
  [[2, 6, 8, 4], { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }],
  [[2, 7, 5, 3], { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[3, 9, 11, 6], { kernel: [3, 2], stride: [1, 3], padding: [2, 0, 0, 1] }],
  [[1, 13, 10, 8], { kernel: [2, 3], stride: [4, 5], padding: [1, 1, 2, 0] }],
  [[1, 4, 5, 2], { kernel: [4, 5], stride: [1, 1], padding: [3, 3, 4, 4] }],
  [[2, 7, 6, 512], { kernel: [7, 6], stride: [7, 6], padding: [0, 0, 0, 0] }],
];

for (const [name, choose] of Object.entries({ chosen: undefined, naive: naiveChannels })) {
  test(`max pool agrees with float64, ${name} width`, async () => {
    for (const [shape, attrs] of CASES) {
      await checkOp({ op: 'maxPool2d', attrs, inputs: [shape], implementation: maxPool2dOp(choose), sumLength: 9 });
    }
  });

  test(`average pool agrees with float64, ${name} width`, async () => {
    for (const [shape, attrs] of CASES) {
      await checkOp({ op: 'avgPool2d', attrs, inputs: [shape], implementation: avgPool2dOp(choose), sumLength: 20 });
    }
  });
}

test('in max pool the first of equal pixels gets the gradient, and padding is never the maximum', async () => {
  const attrs: Pool2dAttrs = { kernel: [3, 3], stride: [2, 1], padding: [1, 1, 1, 1] };
  // There are only a few distinct values, all below zero.
  const values = (_: number, size: number) => randomValues(size, 9, [0, 3]).map((value) => Math.floor(value) - 5);
  await checkOp({ op: 'maxPool2d', attrs, inputs: [[2, 9, 8, 5]], values });
  await checkOp({ op: 'maxPool2d', attrs, inputs: [[2, 9, 8, 4]], values: (_, size) => new Float32Array(size) });
});

test('the stride is the kernel by default; windows wholly in the padding are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [1, 8, 9, 2]);
    assert.equal([...maxPool2d(x, { kernel: [2, 3] }).shape], [1, 4, 3, 2]);
    assert.equal([...avgPool2d(x, { kernel: [2, 3], stride: [1, 1] }).shape], [1, 7, 7, 2]);
    assert.throws(
      () => maxPool2d(x, { kernel: [2, 2], padding: [2, 0, 0, 0] }),
      (error: Error) => error instanceof ShapeError && /must be below the kernel of 2x2/.test(error.message),
    );
    assert.throws(
      () => avgPool2d(x, { kernel: [9, 9] }),
      (error: Error) => error instanceof ShapeError && /does not fit the input/.test(error.message),
    );
  });
});

test.run();
