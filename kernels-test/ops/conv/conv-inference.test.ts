import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../../src/common/errors.js';
import { sizeOf } from '../../../src/common/shapes.js';
import type { ConvOptions } from '../../../src/ops/conv/conv.js';
import { convBatchNormPrelu, convBatchNormRelu, convBatchNormRelu6 } from '../../../src/ops/conv/inference.js';
import type { ConvTranspose2dAttrs } from '../../../src/ops/conv/shape.js';
import { referenceOps } from '../../../src/ops/registry.js';
import { Tape } from '../../../src/ops/tape.js';
import { scope, Tensor } from '../../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../../helpers/harness.js';

const test = gpuSuite('conv inference');

type Activation = 'PReLU' | 'ReLU' | 'ReLU6';
type Case = [x: number[], w: number[], slopes: 'shared' | 'perChannel', attrs: Partial<ConvTranspose2dAttrs>];

const CONV: Case[] = [
  [[1, 1, 1, 1], [1, 1, 1, 1], 'shared', {}],
  [[2, 9, 7, 3], [3, 3, 3, 5], 'perChannel', { padding: [1, 1, 1, 1] }],
  [[2, 8, 6, 8], [3, 2, 8, 20], 'perChannel', { stride: [2, 1], padding: [0, 1, 1, 0] }],
  [[2, 7, 6, 8], [3, 3, 1, 8], 'perChannel', { groups: 8, padding: [1, 1, 1, 1] }],
  [[1, 5, 5, 4], [3, 3, 2, 6], 'shared', { groups: 2 }],
  [[2, 9, 7, 8], [3, 3, 8, 10], 'perChannel', { padding: [1, 1, 1, 1] }],
  [[1, 6, 6, 5], [3, 3, 5, 12], 'shared', {}],
];
const DECONV: Case[] = [
  [[2, 4, 3, 8], [4, 4, 12, 8], 'perChannel', { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[1, 3, 5, 6], [3, 3, 5, 6], 'shared', { stride: [2, 2], padding: [1, 0, 1, 1], outputPadding: [1, 0] }],
];

const EPS = 1e-5;

async function check(
  [xShape, wShape, slopes, given]: Case,
  transposed: boolean,
  activation: Activation,
  options: ConvOptions,
): Promise<void> {
  const gpu = await testGpu();
  const attrs: ConvTranspose2dAttrs = {
    stride: [1, 1],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    outputPadding: [0, 0],
    ...given,
  };
  const channels = transposed ? wShape[2] * attrs.groups : wShape[3];
  const perChannel = [channels];
  const shapes = [
    xShape,
    wShape,
    perChannel,
    perChannel,
    perChannel,
    perChannel,
    slopes === 'shared' ? [1] : perChannel,
  ];
  const values = shapes.map((shape, k) => randomValues(sizeOf(shape), 10 + k, k === 5 ? [0.2, 2] : undefined));
  const [x, w, gamma, beta, mean, variance, slope] = values.map((data, k) => toNdArray(data, shapes[k]));
  const z = transposed
    ? referenceOps.convTranspose2d.forward([x, w], attrs)
    : referenceOps.conv2d.forward([x, w], attrs);
  const normal = referenceOps.batchNormInference.forward([z, gamma, beta, mean, variance], { eps: EPS });
  // Sums of random values exceed [0, 6] at both ends.
  const expected =
    activation === 'PReLU'
      ? referenceOps.prelu.forward([normal, slope], {})
      : referenceOps.clamp.forward([normal], { min: 0, max: activation === 'ReLU' ? Infinity : 6 });

  const output = scope(gpu, () => {
    const [x, w, gamma, beta, mean, variance, slope] = values.map((data, k) => Tensor.from(gpu, data, shapes[k]));
    const batchNorm = { gamma, beta, mean, variance, eps: EPS };
    const all = { transposed, ...options };
    return activation === 'PReLU'
      ? convBatchNormPrelu(x, w, batchNorm, slope, given, all)
      : activation === 'ReLU'
        ? convBatchNormRelu(x, w, batchNorm, given, all)
        : convBatchNormRelu6(x, w, batchNorm, given, all);
  });
  try {
    assert.equal([...output.shape], [...expected.shape]);
    const sumLength = 4 * wShape[0] * wShape[1] * Math.max(wShape[2], wShape[3]);
    assertClose(`${xShape} * ${wShape} ${JSON.stringify(given)}`, await output.read(), expected.data, {
      sumLength,
      linear: true,
    });
  } finally {
    output.dispose();
  }
}

const VARIANTS: Record<string, ConvOptions> = {
  naive: { variant: 'naive' },
  register: { variant: 'register' },
  tiled: { variant: 'tiled' },
  winograd: { variant: 'winograd' },
};
const lavapipe = (await testGpu()).description.kind === 'lavapipe';

for (const [name, options] of Object.entries(VARIANTS)) {
  // LLVM takes seconds for each tiled kernel, and lavapipe never chooses them. So it tests only one of each.
  const enough = (cases: Case[]): Case[] => (lavapipe && name === 'tiled' ? cases.slice(1, 2) : cases);
  for (const activation of ['PReLU', 'ReLU', 'ReLU6'] as const) {
    test(`conv, batch norm and ${activation} in one kernel agree with float64, ${name}`, async () => {
      for (const given of enough(CONV)) await check(given, false, activation, options);
    });
    test(`transposed conv, batch norm and ${activation} in one kernel agree with float64, ${name}`, async () => {
      for (const given of enough(DECONV)) await check(given, true, activation, options);
    });
  }
}

test('arguments that do not fit are refused before any GPU work', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [1, 3, 3, 2]);
    const w = Tensor.zeros(gpu, [3, 3, 2, 4]);
    const [four, three] = [Tensor.zeros(gpu, [4]), Tensor.zeros(gpu, [3])];
    const norm = { gamma: four, beta: four, mean: four, variance: four, eps: EPS };
    const { dispatches } = gpu;
    assert.throws(
      () => new Tape().record(() => convBatchNormPrelu(x, w, norm, four)),
      (error: Error) => error instanceof ArgumentError && /tape/.test(error.message),
    );
    assert.throws(
      () => new Tape().record(() => convBatchNormRelu6(x, w, norm)),
      (error: Error) => error instanceof ArgumentError && /tape/.test(error.message),
    );
    const wrong = { ...norm, mean: three };
    assert.throws(
      () => convBatchNormRelu6(x, w, wrong),
      (error: Error) => error instanceof ShapeError,
    );
    assert.throws(
      () => convBatchNormPrelu(x, w, wrong, four),
      (error: Error) => error instanceof ShapeError,
    );
    assert.throws(
      () => convBatchNormPrelu(x, w, norm, three),
      (error: Error) => error instanceof ShapeError,
    );
    assert.is(gpu.dispatches, dispatches);
  });
});

test.run();
