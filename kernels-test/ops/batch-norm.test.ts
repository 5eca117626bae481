import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { chooseWalk, naiveWalk } from '../../src/kernels/channel-walk.js';
import {
  batchNormInferenceOp,
  batchNormTrainingOp,
  batchNormWithStatistics,
  updateRunningStatistics,
} from '../../src/ops/batch-norm/batch-norm.js';
import { batchStatistics } from '../../src/ops/batch-norm/reference.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { PLANS, SHAPES } from './channel-walks.js';

const test = gpuSuite('batch norm');
const attrs = { eps: 1e-5 };

const perChannel = (shape: readonly number[], count: number) => [shape, ...Array(count).fill(shape.slice(-1))];
const rowsOf = (shape: readonly number[]) => shape.slice(0, -1).reduce((a, b) => a * b, 1);

for (const [name, choose] of Object.entries(PLANS)) {
  test(`training form, ${name} plan`, async () => {
    for (const shape of SHAPES[name]) {
      await checkOp({
        op: 'batchNormTraining',
        attrs,
        inputs: perChannel(shape, 2),
        implementation: batchNormTrainingOp(choose),
        sumLength: rowsOf(shape),
        scale: 4, // with two rows, dx is the difference of almost equal terms
      });
    }
  });
}

test('inference form', async () => {
  for (const shape of SHAPES.chosen) {
    await checkOp({
      op: 'batchNormInference',
      attrs,
      inputs: perChannel(shape, 4),
      values: (k, size) => (k === 4 ? randomValues(size, 8, [0.1, 3]) : undefined),
      sumLength: rowsOf(shape),
    });
  }
  await checkOp({
    op: 'batchNormInference',
    attrs: { eps: 1e-3 },
    inputs: perChannel([3, 4], 4),
    values: (k, size) => (k === 4 ? randomValues(size, 8, [0.1, 3]) : undefined),
    implementation: batchNormInferenceOp(naiveWalk),
  });
});

test('a mean that is large compared with the deviation costs no precision', async () => {
  const shape = [4, 17, 19, 8];
  const offset = (k: number, size: number) =>
    k === 0 ? randomValues(size, 3).map((value) => 1000 + value) : undefined;
  for (const choose of Object.values(PLANS)) {
    const implementation = batchNormTrainingOp(choose);
    // The float32 mean itself may be off by 2^-15, half a unit in its last place. The tolerance is less than twice that.
    await checkOp({
      op: 'batchNormTraining',
      attrs,
      inputs: perChannel(shape, 2),
      values: offset,
      implementation,
      sumLength: 4 * 17 * 19,
    });
  }
});

test('outliers, such as the very first number, cost no precision', async () => {
  const shape = [4, 17, 19, 8];
  const withOutliers = (k: number, size: number) =>
    k === 0 ? randomValues(size, 5).map((value, at) => (at % 2368 < 8 ? 300 : value)) : undefined;
  for (const choose of Object.values(PLANS)) {
    await checkOp({
      op: 'batchNormTraining',
      attrs,
      inputs: perChannel(shape, 2),
      values: withOutliers,
      implementation: batchNormTrainingOp(choose),
      sumLength: 4 * 17 * 19,
    });
  }
});

test('batchNormStatistics gives those of the batch, and the running statistics are updated in place', async () => {
  const gpu = await testGpu();
  const shape = [3, 5, 7, 10];
  const rows = rowsOf(shape);
  const values = randomValues(rows * 10, 4).map((value, i) => value * (1 + (i % 10)) - 100 * (i % 10));
  const expected = batchStatistics(toNdArray(values, shape));
  const running = { mean: Tensor.zeros(gpu, [10]), variance: Tensor.from(gpu, new Float32Array(10).fill(1), [10]) };
  const expectedMean = new Float64Array(10);
  const expectedVariance = new Float64Array(10).fill(1);
  const kept = scope(gpu, () => {
    const x = Tensor.from(gpu, values, shape);
    const gamma = Tensor.from(gpu, randomValues(10, 5), [10]);
    const result = batchNormWithStatistics(x, gamma, gamma);
    for (let step = 0; step < 5; step++) updateRunningStatistics(result, running, rows);
    return { mean: result.mean, variance: result.variance };
  });
  for (let step = 0; step < 5; step++) {
    for (let c = 0; c < 10; c++) {
      expectedMean[c] = 0.9 * expectedMean[c] + 0.1 * expected.mean.data[c];
      expectedVariance[c] = 0.9 * expectedVariance[c] + (0.1 * expected.variance.data[c] * rows) / (rows - 1);
    }
  }
  assertClose('mean', await kept.mean.read(), expected.mean.data);
  assertClose('variance', await kept.variance.read(), expected.variance.data);
  assertClose('running mean', await running.mean.read(), expectedMean);
  assertClose('running variance', await running.variance.read(), expectedVariance);
  for (const tensor of [...Object.values(kept), ...Object.values(running)]) tensor.dispose();
});

test('the variant with statistics is recorded as the training form, gradients included', async () => {
  const gpu = await testGpu();
  const tape = new Tape();
  const results = scope(gpu, () => {
    const x = Tensor.from(gpu, randomValues(60, 1), [10, 6]);
    const gamma = Tensor.from(gpu, randomValues(6, 2), [6]);
    const beta = Tensor.from(gpu, randomValues(6, 3), [6]);
    const { output } = tape.record(() => batchNormWithStatistics(x, gamma, beta, attrs));
    const seed = Tensor.from(gpu, randomValues(60, 4), [10, 6]);
    const gradients = tape.gradients(output, [beta], seed);
    return { seed, dBeta: gradients.get(beta)! };
  });
  assert.is(tape.nodes[0].name, 'batchNormTraining');
  assert.equal(tape.nodes[0].attrs, attrs);
  const dy = await results.seed.read();
  const expected = Array.from({ length: 6 }, (_, c) => dy.reduce((sum, v, i) => (i % 6 === c ? sum + v : sum), 0));
  assertClose('dBeta', await results.dBeta.read(), expected, { sumLength: 10 });
  results.seed.dispose();
  results.dBeta.dispose();
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const run = () =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(40 * 30 * 8, 6), [40, 30, 8]);
      const gamma = Tensor.from(gpu, randomValues(8, 7), [8]);
      const tape = new Tape();
      const y = tape.record(() => batchNormWithStatistics(x, gamma, gamma).output);
      return tape.gradients(y, [gamma], x).get(gamma)!;
    });
  const [a, b] = [run(), run()];
  assert.equal(await a.read(), await b.read());
  a.dispose();
  b.dispose();
});

test('shapes and arguments that do not fit are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [4, 3]);
    const three = Tensor.zeros(gpu, [3]);
    const two = Tensor.zeros(gpu, [2]);
    const running = { mean: three, variance: three };
    const refuses = (run: () => unknown, type: typeof ShapeError | typeof ArgumentError) =>
      assert.throws(run, (error: Error) => error instanceof type);
    refuses(() => batchNormWithStatistics(x, two, three), ShapeError);
    refuses(() => batchNormWithStatistics(x, three, three, { eps: 0 }), ArgumentError);
    refuses(() => updateRunningStatistics({ mean: two, variance: two }, running, 4), ShapeError);
    assert.throws(() => updateRunningStatistics(running, running, 1), /rows is 1/);
    assert.throws(() => updateRunningStatistics(running, running, 4, 1.5), /momentum is 1.5/);
  });
});

test('a plan covers every row, each part has at least one row, and a tree has at most one lane per part', async () => {
  const gpu = await testGpu();
  for (const software of [true, false]) {
    const limits = { ...gpu.limits, software };
    for (const rows of [1, 2, 7, 8, 9, 1000, 10 ** 6]) {
      for (const channels of [1, 2, 3, 64, 1000, 4098]) {
        for (const purpose of ['map', 'sum'] as const) {
          const plan = chooseWalk(rows, channels, limits, purpose);
          assert.is(plan.groups * plan.width, channels);
          assert.ok(plan.parts >= 1 && plan.parts <= rows && plan.lanes <= plan.parts);
          assert.ok(plan.lanes === 1 || plan.lanes === 64);
          if (software) assert.is(plan.lanes, 1);
        }
      }
    }
  }
});

test.run();
