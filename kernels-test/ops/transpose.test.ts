import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import { transpose, transposeAxes } from '../../src/ops/transpose.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('transpose');

test('every order of odd axes agrees with float64, forward and backward', async () => {
  for (const axes of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
    [-1, 0, -2],
  ]) {
    await checkOp({ op: 'transpose', attrs: { axes }, inputs: [[3, 5, 7]] });
  }
  await checkOp({ op: 'transpose', attrs: { axes: [] }, inputs: [[]] });
  await checkOp({ op: 'transpose', attrs: { axes: [0] }, inputs: [[65]] });
  await checkOp({ op: 'transpose', attrs: { axes: [3, 1, 0, 2] }, inputs: [[2, 1, 33, 4]] });
});

test('the default transposes a matrix, and keeps NaN and infinity', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, Number.NaN, 3, -Infinity, 5, 6], [2, 3]);
  const y = transpose(x);
  assert.equal([...y.shape], [3, 2]);
  assert.equal([...(await y.read())], [1, -Infinity, Number.NaN, 5, 3, 6]);
  assert.throws(
    () => transpose(x, [0, 0]),
    (error: Error) => error instanceof ShapeError && /axis 0 is given twice/.test(error.message),
  );
  x.dispose();
  y.dispose();
});

test('integers and booleans are moved to the last bit', async () => {
  await checkTyped('transpose', { axes: [2, 0, 1] }, [[3, 5, 7]]);
});

test('axes that stay next to each other are merged', () => {
  assert.equal(transposeAxes([2, 3, 5, 7], [2, 3, 0, 1]), { sizes: [35, 6], strides: [1, 35] });
  assert.equal(transposeAxes([2, 1, 5], [2, 1, 0]), { sizes: [5, 2], strides: [1, 5] });
  assert.equal(transposeAxes([4, 5], [0, 1]), { sizes: [20], strides: [1] });
  assert.equal(transposeAxes([1, 1], [1, 0]), { sizes: [1], strides: [1] });
});

test.run();
