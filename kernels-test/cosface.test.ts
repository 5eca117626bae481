import { chooseRows, naiveRows } from '../src/kernels/normalize.js';
import { l2NormalizeOp, type RowChoice } from '../src/ops/normalize.js';
import { checkOp, gpuSuite, randomValues } from './harness.js';

const test = gpuSuite('cosface');

const ROWS: Record<string, RowChoice> = {
  naive: naiveRows,
  chosen: chooseRows,
  hardware: (rows, size, limits) => chooseRows(rows, size, { ...limits, software: false }),
};

for (const [name, choose] of Object.entries(ROWS)) {
  test(`l2 normalize, ${name} plan`, async () => {
    const implementation = l2NormalizeOp(choose);
    for (const shape of [[1], [6], [3, 5], [2, 3, 7, 4], [5, 130], [67, 512]]) {
      const sumLength = shape[shape.length - 1] ** 0.5;
      // For a row of one element the gradient is the difference of equal terms: 0.
      await checkOp({ op: 'l2Normalize', attrs: { eps: 1e-12 }, inputs: [shape], implementation, sumLength, scale: 1 });
    }
    // Rows of zeros and rows shorter than eps.
    const values = (_: number, size: number) =>
      randomValues(size, 80).map((v, i) => v * [0, 1e-3, 1][((i / 4) % 3) | 0]);
    await checkOp({ op: 'l2Normalize', attrs: { eps: 0.1 }, inputs: [[9, 4]], values, implementation, sumLength: 4 });
    await checkOp({
      op: 'l2Normalize',
      attrs: { eps: 1e-12 },
      inputs: [[3, 8]],
      values: (_, size) => new Float32Array(size),
      implementation,
    });
  });
}

test.run();
