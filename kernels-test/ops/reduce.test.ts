import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import type { KernelLimits } from '../../src/gpu/kernel.js';
import { chooseSumPasses, naiveSumPasses, reduceOp, sum, sumRows, sumRowsApart } from '../../src/ops/reduce.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('reduce');

function columnSums(values: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  values.forEach((value, i) => {
    sums[i % columns] += value;
  });
  return sums;
}

test('sumRows agrees with float64 for few, many and odd numbers of rows and columns', async () => {
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
    // The terms cancel, and the error of a float32 sum is relative to the size of its terms.
    assertClose(label, await sums.read(), columnSums(values, columns), { sumLength: Math.sqrt(rows), scale: 4 });
    x.dispose();
    sums.dispose();
  }
});

test('sumRowsApart agrees with float64, also where a load of four columns would bring those of two outputs', async () => {
  const gpu = await testGpu();
  for (const [rows, outputs, columns] of [
    [1, 3, 1],
    [7, 2, 2],
    [5, 2, 6],
    [300, 3, 5],
    [4099, 2, 34],
    [40000, 3, 8],
    [21, 3, 128],
  ]) {
    const values = randomValues(rows * outputs * columns, rows);
    const x = Tensor.from(gpu, values, [rows, outputs, columns]);
    const expected = columnSums(values, outputs * columns);
    for (const [k, sums] of sumRowsApart(x, rows, outputs, columns).entries()) {
      const label = `output ${k} of ${rows} rows of ${outputs} times ${columns}`;
      const own = expected.subarray(k * columns, (k + 1) * columns);
      assertClose(label, await sums.read(), own, { sumLength: Math.sqrt(rows), scale: 4 });
      sums.dispose();
    }
    x.dispose();
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

/** Shape, axes, and the number of terms of one sum. */
const REDUCTIONS: [shape: number[], axes: number[], sumLength: number][] = [
  [[], [], 1],
  [[7], [], 7],
  [[7], [0], 7],
  [[3, 5, 7], [0], 3],
  [[3, 5, 7], [1], 5],
  [[3, 5, 8], [1], 5],
  [[3, 5, 7], [-1], 7],
  [[3, 5, 7], [0, 2], 21],
  [[3, 5, 7], [2, 1, 0], 105],
  [[2, 3, 4, 5, 6], [1, 3], 15],
  [[2, 3, 4, 5, 6], [0, 2, 4], 48],
  [[1, 5, 1], [0], 1],
  [[1, 5, 1], [0, 2], 1],
  [[1, 1], [], 1],
  [[3, 20000], [1], 400],
  [[20000, 3], [0], 400],
  [[3, 4000, 5], [1], 200],
  [[9000, 9], [-1], 9],
  [[90001], [], 600],
];

for (const op of ['sum', 'mean'] as const) {
  test(`${op} over axes agrees with float64, by the chosen kernel and the naive one`, async () => {
    for (const [shape, axes, sumLength] of REDUCTIONS) {
      for (const keepDims of [false, true]) {
        await checkOp({ op, attrs: { axes, keepDims }, inputs: [shape], sumLength, scale: op === 'sum' ? 4 : 0 });
      }
      const attrs = { axes, keepDims: false };
      const implementation = reduceOp(op, naiveSumPasses);
      // The naive kernel adds one term after the other, so the longest sums lose more.
      await checkOp({ op, attrs, inputs: [shape], sumLength: 8 * sumLength, scale: 4, implementation });
    }
  });
}

test('as many passes as a GPU takes give the same sums', async () => {
  const gpu: KernelLimits = { ...(await testGpu()).limits, software: false };
  const implementation = reduceOp('sum', (batches, rows, columns) => chooseSumPasses(batches, rows, columns, gpu));
  for (const [shape, axes] of [
    [[100003, 3], [0]],
    [[2, 10000, 12], [1]],
    [[300000], []],
    [[3, 9001], [1]],
  ]) {
    await checkOp({
      op: 'sum',
      attrs: { axes, keepDims: false },
      inputs: [shape],
      sumLength: 1000,
      scale: 4,
      implementation,
    });
  }
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(300000, 3), [300000]);
  const [first, second] = [sum(x), sum(x)];
  assert.is(await first.item(), await second.item());
  for (const tensor of [x, first, second]) tensor.dispose();
});

test('an axis that does not exist is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [2, 3]);
  assert.throws(
    () => sum(x, [2]),
    (error: Error) => error instanceof ShapeError && /sum: axis 2 is outside \[-2, 1\]/.test(error.message),
  );
  x.dispose();
});

test('each pass continues the one before, and there are few of them', () => {
  const limits = { maxWorkgroupInvocations: 256, maxWorkgroupStorageBytes: 16384, subgroupSize: 0 };
  for (const software of [true, false]) {
    for (const batches of [1, 3, 1000]) {
      for (const rows of [1, 5, 64, 1000, 500000]) {
        for (const columns of [1, 3, 6, 64, 512]) {
          const passes = chooseSumPasses(batches, rows, columns, { ...limits, software });
          let left = rows * columns;
          for (const pass of passes) {
            assert.is(pass.batches, batches);
            assert.is(pass.rows * pass.columns, left);
            assert.is(pass.columns % pass.width, 0);
            assert.is(pass.columns % columns, 0);
            assert.ok(pass.parts <= pass.rows);
            left = pass.parts * pass.columns;
          }
          assert.is(left, columns);
          assert.ok(
            passes.length <= (software ? 3 : 4),
            `${passes.length} passes for ${batches} × ${rows} × ${columns}`,
          );
        }
      }
    }
  }
});

test.run();
