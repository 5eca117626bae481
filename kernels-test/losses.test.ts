import { naiveMse } from '../src/kernels/mse.js';
import { mseOp } from '../src/ops/mse.js';
import { checkOp, gpuSuite } from './harness.js';

const test = gpuSuite('losses');

test('mse', async () => {
  for (const shape of [[], [1], [4], [7, 3], [2, 5, 3, 6], [4099], [2, 112, 96, 3]]) {
    for (const implementation of [mseOp(), mseOp(naiveMse)]) {
      await checkOp({ op: 'mse', attrs: {}, inputs: [shape, shape], implementation, sumLength: 16 });
    }
  }
});

test.run();
