import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { tril, triu } from '../../src/ops/triangle.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('triangle');

test('triangles agree with float64, and other types are moved to the last bit', async () => {
  for (const op of ['triu', 'tril'] as const) {
    for (const [shape, k] of [
      [[1, 1], 0],
      [[5, 3], 1],
      [[2, 3, 7, 5], -2],
      [[3, 65], 99],
      [[3, 65], -99],
    ] as const) {
      await checkOp({ op, attrs: { k }, inputs: [shape] });
      await checkTyped(op, { k }, [shape]);
    }
  }
});

test('what is outside counts as 0, NaN included', async () => {
  const gpu = await testGpu();
  const { NaN: nan } = Number;
  const [upper, lower] = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, nan, Infinity, 4], [2, 2]);
    return [triu(x), tril(x, -1)];
  });
  assert.equal([...(await upper.read())], [1, nan, 0, 4]);
  assert.equal([...(await lower.read())], [0, 0, Infinity, 0]);
  upper.dispose();
  lower.dispose();
});

test('what does not fit is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [4]);
  assert.throws(
    () => triu(x),
    (error: Error) => error instanceof ShapeError && /triu: input has shape \[4\]; expected rank 2/.test(error.message),
  );
  assert.throws(
    () => scope(x.gpu, () => tril(x.view([2, 2]), 0.5)),
    (error: Error) =>
      error instanceof ArgumentError && /tril: k is the number 0.5; expected an integer/.test(error.message),
  );
  x.dispose();
});

test.run();
