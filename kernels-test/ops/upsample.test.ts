import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import type { Pair } from '../../src/common/shapes.js';
import { naiveChannels } from '../../src/kernels/channel-walk.js';
import { upsampleBilinear, upsampleNearest, upsampleOp } from '../../src/ops/upsample.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('upsample');

const NEAREST: [shape: number[], scale: Pair][] = [
  [
    [1, 1, 1, 1],
    [1, 1],
  ],
  [
    [2, 3, 5, 4],
    [2, 2],
  ],
  [
    [1, 7, 6, 3],
    [3, 1],
  ],
  [
    [3, 4, 5, 6],
    [1, 5],
  ],
  [
    [2, 7, 6, 16],
    [2, 2],
  ],
];

/** Cases with integer and other factors, one axis only, a single pixel, and smaller outputs. */
const BILINEAR: [shape: number[], size: Pair][] = [
  [
    [1, 1, 1, 1],
    [1, 1],
  ],
  [
    [2, 1, 3, 2],
    [4, 7],
  ],
  [
    [2, 3, 5, 4],
    [6, 10],
  ],
  [
    [1, 7, 6, 3],
    [16, 11],
  ],
  [
    [3, 4, 5, 6],
    [4, 23],
  ],
  [
    [1, 28, 24, 8],
    [112, 96],
  ],
  [
    [2, 9, 7, 3],
    [5, 7],
  ],
  [
    [1, 33, 20, 4],
    [7, 3],
  ],
  [
    [1, 10, 10, 1],
    [1, 1],
  ],
];

for (const [name, choose] of Object.entries({ chosen: undefined, naive: naiveChannels })) {
  test(`nearest upsampling agrees with float64, ${name} width`, async () => {
    const implementation = upsampleOp('nearest', choose);
    for (const [shape, scale] of NEAREST) {
      await checkOp({ op: 'upsampleNearest', attrs: { scale }, inputs: [shape], implementation });
    }
  });

  test(`bilinear upsampling agrees with float64, ${name} width`, async () => {
    const implementation = upsampleOp('bilinear', choose);
    for (const [shape, size] of BILINEAR) {
      await checkOp({ op: 'upsampleBilinear', attrs: { size }, inputs: [shape], implementation, sumLength: 8 });
    }
  });
}

test('impossible arguments are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [1, 2, 3, 4]);
    assert.equal([...upsampleNearest(x, [2, 3]).shape], [1, 4, 9, 4]);
    assert.equal([...upsampleBilinear(x, [5, 7]).shape], [1, 5, 7, 4]);
    assert.throws(
      () => upsampleNearest(x, [0, 2]),
      (error: Error) => error instanceof ArgumentError && /scale is \[0,2\]/.test(error.message),
    );
    assert.throws(
      () => upsampleBilinear(x, [4, 2.5]),
      (error: Error) => error instanceof ArgumentError && /size is \[4,2.5\]/.test(error.message),
    );
    const line = Tensor.zeros(gpu, [1, 1, 40000, 1]);
    assert.throws(
      () => upsampleBilinear(line, [1, 80000]),
      (error: Error) => error instanceof ShapeError && /from 1x40000 to 1x80000 pixels/.test(error.message),
    );
  });
});

test.run();
