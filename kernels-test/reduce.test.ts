import * as assert from 'uvu/assert';
import { ShapeError } from '../src/common/errors.js';
import { sumRows } from '../src/ops/reduce.js';
import { Tensor } from '../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from './harness.js';

const test = gpuSuite('reduce');

function columnSums(values: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  values.forEach((value, i) => {
    sums[i % columns] += value;
  });
  return sums;
}

test('sumRows: column sums of few, many and awkward rows and columns', async () => {
  const gpu = await testGpu();
  for (const [rows, columns] of [
    [1, 1],
    [1, 5],
    [7, 1],
    [3, 4],
    [1021, 3],
    [20000, 3],
    [50001, 6],
    [5000, 64],
    [4099, 512],
    [200000, 1],
    [131101, 1],
  ]) {
    const values = randomValues(rows * columns, rows);
    const x = Tensor.from(gpu, values, [rows, columns]);
    const sums = sumRows(x, rows, columns);
    assert.equal([...sums.shape], [columns]);
    const label = `${rows} rows of ${columns}`;
    // The terms cancel: a float32 sum is as exact as the terms are large.
    assertClose(label, await sums.read(), columnSums(values, columns), { sumLength: Math.sqrt(rows), scale: 4 });
    x.dispose();
    sums.dispose();
  }
});

test('sumRows refuses sizes that do not fit', async () => {
  const x = Tensor.zeros(await testGpu(), [2, 3]);
  assert.throws(
    () => sumRows(x, 2, 4),
    (error: Error) => error instanceof ShapeError && /\[2,3\] of 6 elements is not 2 rows of 4/.test(error.message),
  );
  x.dispose();
});

test.run();
