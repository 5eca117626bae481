import * as assert from 'uvu/assert';
import { sizeOf } from '../../src/common/shapes.js';
import { clipGradients } from '../../src/nn/clip.js';
import type { OpAttrs, OpName } from '../../src/ops/registry.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, FEW_SHAPES, gpuSuite, testGpu } from '../helpers/harness.js';

/*
 * Tests long sums of similar numbers. A plain float32 sum would drift, because each addition rounds the same way. The tolerance
 * of checkOp grows with the logarithm of the length.
 */

const test = gpuSuite('long sums');

const LONG = FEW_SHAPES ? 2 ** 16 : 2 ** 18;

interface LongCase<K extends OpName = OpName> {
  op: K;
  attrs: OpAttrs[K];
  inputs: number[][];
  sumLength: number;
  /** Value of input k; by default the same number everywhere. */
  values?: (k: number, i: number) => number;
  /** Value of the gradient of the result; by default the same number everywhere. */
  dyValue?: (i: number) => number;
  scale?: number;
  factor?: number;
}

const make = <K extends OpName>(each: LongCase<K>): LongCase => each as unknown as LongCase;

/** Values that differ from row to row, so that sums of their products with x do not cancel. */
const alternating = (i: number): number => 0.1 * (1 + ((i >> 1) % 2));

const all = { axes: [], keepDims: false };
const cases: Record<string, LongCase> = {
  'mean of all': make({ op: 'mean', attrs: all, inputs: [[LONG]], sumLength: LONG }),
  'mean of an odd number': make({ op: 'mean', attrs: all, inputs: [[250, 251]], sumLength: 250 * 251 }),
  'sum along columns': make({
    op: 'sum',
    attrs: { axes: [0], keepDims: false },
    inputs: [[LONG / 8, 6]],
    sumLength: LONG / 8,
  }),
  'sum along rows': make({
    op: 'sum',
    attrs: { axes: [1], keepDims: false },
    inputs: [[3, LONG / 8 + 1]],
    sumLength: LONG / 8,
  }),
  'sum of a middle axis': make({
    op: 'sum',
    attrs: { axes: [1], keepDims: true },
    inputs: [[2, LONG / 16, 4]],
    sumLength: LONG / 16,
  }),
  'gradient of what was broadcast': make({ op: 'add', attrs: {}, inputs: [[LONG / 8, 4], [4]], sumLength: LONG / 8 }),
  'squared error': make({
    op: 'mse',
    attrs: {},
    inputs: [[LONG], [LONG]],
    sumLength: LONG,
    values: (k) => 0.1 * (k + 1),
  }),
  'length of a row': make({
    op: 'l2Normalize',
    attrs: { eps: 1e-12 },
    inputs: [[2, LONG / 8]],
    sumLength: LONG / 8,
    scale: 0.1,
  }),
  'slope of a PReLU': make({
    op: 'prelu',
    attrs: {},
    inputs: [[LONG / 4, 4], [4]],
    sumLength: LONG / 4,
    values: (k) => [-0.1, 0.25][k],
  }),
  'shared slope of a PReLU': make({
    op: 'prelu',
    attrs: {},
    inputs: [[LONG / 4, 4], [1]],
    sumLength: LONG,
    values: (k) => [-0.1, 0.25][k],
  }),
  'batch statistics, mean far from the first row': make({
    op: 'batchNormTraining',
    attrs: { eps: 1e-3 },
    inputs: [[LONG / 2, 2], [2], [2]],
    sumLength: LONG / 2,
    values: (k, i) => (k === 0 ? (i < 2 ? 0 : 0.1 + 0.05 * ((i >> 1) % 2)) : 0.7),
    dyValue: alternating,
    // This much is left of dx when its terms cancel.
    scale: 8,
  }),
  'batch statistics and a PReLU': make({
    op: 'batchNormPreluTraining',
    attrs: { eps: 1e-3 },
    inputs: [[LONG / 2, 2], [2], [2], [2]],
    sumLength: LONG / 2,
    values: (k, i) => (k === 0 ? (i < 2 ? 0 : 0.1 + 0.05 * ((i >> 1) % 2)) : 0.7),
    dyValue: alternating,
    scale: 8,
  }),
  'rate of one channel': make({
    op: 'logisticBits',
    attrs: {},
    inputs: [[LONG / 4, 1], [1]],
    sumLength: LONG / 4,
    values: (k) => [1.3, 0.2][k],
    factor: 4,
  }),
  'pool over a whole picture': make({
    op: 'avgPool2d',
    attrs: { kernel: [250, 250], stride: [1, 1], padding: [0, 0, 0, 0] },
    inputs: [[1, 250, 250, 2]],
    sumLength: 250 * 250,
  }),
  'nearest neighbours': make({
    op: 'upsampleNearest',
    attrs: { scale: [128, 128] },
    inputs: [[1, 1, 2, 1]],
    sumLength: 128 * 128,
  }),
  'softmax of many classes': make({
    op: 'softmaxCrossEntropy',
    attrs: {},
    inputs: [[1, LONG / 4], [1]],
    sumLength: LONG / 4,
    values: (k) => [0.3, 5][k],
    factor: 4,
  }),
};

for (const [name, { op, attrs, inputs, values = () => 0.1, dyValue = () => 0.1, ...tolerance }] of Object.entries(
  cases,
)) {
  test(name, () =>
    checkOp({
      op,
      attrs,
      inputs,
      ...tolerance,
      values: (k, size) => Float32Array.from({ length: size }, (_, i) => values(k, i)),
      dyValues: (size) => Float32Array.from({ length: size }, (_, i) => dyValue(i)),
    }),
  );
}

test('norm of many gradients', async () => {
  const gpu = await testGpu();
  const shapes = [[LONG], [LONG / 2 + 1], [3, 5]];
  const grads = shapes.map((shape) => Tensor.from(gpu, new Float32Array(sizeOf(shape)).fill(0.1), shape));
  const { norm, scale } = clipGradients(grads, 1);
  const expected = Math.fround(0.1) * Math.sqrt(shapes.reduce((sum, shape) => sum + sizeOf(shape), 0));
  assert.ok(Math.abs((await norm.item()) / expected - 1) < 3e-6, `norm ${await norm.item()}, expected ${expected}`);
  for (const tensor of [...grads, norm, scale]) tensor.dispose();
});

test.run();
