import * as assert from 'uvu/assert';
import { BatchNorm, PReLU, Sequential, saveState } from '../../src/nn/index.js';
import { batchNormTraining } from '../../src/ops/batch-norm/batch-norm.js';
import {
  batchNormPreluInference,
  batchNormPreluInferenceOp,
  batchNormPreluTraining,
  batchNormPreluTrainingOp,
} from '../../src/ops/batch-norm/prelu.js';
import { prelu } from '../../src/ops/prelu.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { PLANS, SHAPES } from './channel-walks.js';

const test = gpuSuite('batch norm prelu');
const attrs = { eps: 1e-5 };

const inputsOf = (shape: number[], vectors: number, slopes: number) => [
  shape,
  ...Array<number[]>(vectors).fill(shape.slice(-1)),
  [slopes],
];
const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

/** One slope per channel and one for all, and the number of terms in its gradient's sum. */
function slopeKinds(shape: number[]): { slopes: number; sumLength: number }[] {
  const channels = shape[shape.length - 1];
  return [...new Set([channels, 1])].map((slopes) => ({ slopes, sumLength: sizeOf(shape) / slopes }));
}

const positiveVariance = (k: number, size: number) => (k === 4 ? randomValues(size, 8, [0.1, 3]) : undefined);

for (const [name, choose] of Object.entries(PLANS)) {
  for (const shape of SHAPES[name]) {
    test(`both forms of [${shape}], ${name} plan`, async () => {
      for (const { slopes, sumLength } of slopeKinds(shape)) {
        await checkOp({
          op: 'batchNormPreluTraining',
          attrs,
          inputs: inputsOf(shape, 2, slopes),
          implementation: batchNormPreluTrainingOp(choose),
          sumLength,
          scale: 4, // with two rows, dx is the difference of almost equal terms
        });
        await checkOp({
          op: 'batchNormPreluInference',
          attrs: { eps: 1e-3 },
          inputs: inputsOf(shape, 4, slopes),
          values: positiveVariance,
          implementation: batchNormPreluInferenceOp(choose),
          sumLength,
        });
      }
    });
  }
}

test('at 0 every pass takes the slope of the negative side', async () => {
  // The deviations are 0 and ±1 and beta is 0, so that z is exactly 0 in half of the rows.
  const x = Float32Array.of(0, 1, 0, -1);
  await checkOp({
    op: 'batchNormPreluTraining',
    attrs,
    inputs: [[4, 1], [1], [1], [1]],
    values: (k) => [x, Float32Array.of(1.5), Float32Array.of(0), Float32Array.of(0.25)][k],
    sumLength: 4,
  });
});

test('it makes one output, saves one activation, and agrees with the two separate operations', async () => {
  const gpu = await testGpu();
  const shape = [64, 16];
  const dyValues = randomValues(1024, 5);
  const run = (forward: (x: Tensor, gamma: Tensor, beta: Tensor, slope: Tensor) => Tensor) =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(1024, 1), shape);
      const vectors = [2, 3, 4].map((seed) => Tensor.from(gpu, randomValues(16, seed), [16]));
      const live = gpu.pool.liveBytes;
      const tape = new Tape();
      const y = tape.record(() => forward(x, vectors[0], vectors[1], vectors[2]));
      const made = gpu.pool.liveBytes - live;
      const wrt = [x, ...vectors];
      const gradients = tape.gradients(y, wrt, Tensor.from(gpu, dyValues, shape));
      return { made, results: [y, ...wrt.map((tensor) => gradients.get(tensor)!)] };
    });
  const fused = run(batchNormPreluTraining);
  const pair = run((x, gamma, beta, slope) => prelu(batchNormTraining(x, gamma, beta), slope));
  assert.is(pair.made - fused.made, 4 * 1024);
  for (const [k, tensor] of fused.results.entries()) {
    assertClose(`result ${k}`, await tensor.read(), await pair.results[k].read(), { sumLength: 64 });
  }
  for (const tensor of [...fused.results, ...pair.results]) tensor.dispose();
});

test('inference computes the parameters’ gradients only if one is wanted', async () => {
  const gpu = await testGpu();
  const dispatches = [0, 1, 2, 5].map((wanted) =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(12, 1), [4, 3]);
      const [gamma, beta, mean, variance, slope] = [2, 3, 4, 5, 6].map((seed) =>
        Tensor.from(gpu, randomValues(3, seed, [0.5, 2]), [3]),
      );
      const tape = new Tape();
      const y = tape.record(() => batchNormPreluInference(x, gamma, beta, mean, variance, slope));
      const before = gpu.dispatches;
      tape.gradients(y, [[x, gamma, beta, mean, variance, slope][wanted]], x);
      return gpu.dispatches - before;
    }),
  );
  // First the coefficients, then one pass for dx, or one for partial sums, which another one adds.
  assert.equal(dispatches, [2, 3, 3, 3]);
});

test('a Sequential runs a BatchNorm and the PReLU after it as one operation, under the names of the two', async () => {
  const gpu = await testGpu();
  class Doubled extends PReLU {
    override forward(x: Tensor): Tensor {
      return super.forward(super.forward(x));
    }
  }
  const layers = () => [new BatchNorm(6), new PReLU(6), new BatchNorm(6), new Doubled(), new PReLU(), new BatchNorm(6)];
  const together = new Sequential(layers()).initialize(gpu, 3);
  const apart = new Sequential(layers()).initialize(gpu, 3);
  for (const training of [true, false]) {
    together.train(training);
    apart.train(training);
    const tape = new Tape();
    const [actual, expected] = scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(240, 4), [4, 10, 6]);
      return [
        tape.record(() => together.forward(x)),
        apart.layers.reduce((input, layer) => layer.forward(input), x),
      ] as const;
    });
    const form = training ? 'Training' : 'Inference';
    assert.equal(
      tape.nodes.map(({ name }) => name),
      [`batchNormPrelu${form}`, `batchNorm${form}`, 'prelu', 'prelu', 'prelu', `batchNorm${form}`],
    );
    assertClose(form, await actual.read(), await expected.read(), { sumLength: 120 });
    actual.dispose();
    expected.dispose();
  }
  const [ours, theirs] = [await saveState(together), await saveState(apart)];
  assert.equal([...ours.keys()], [...theirs.keys()]);
  for (const [name, { data }] of ours) assertClose(name, data, theirs.get(name)!.data, { sumLength: 40 });
  together.dispose();
  apart.dispose();
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const run = () =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(40 * 30 * 8, 6), [40, 30, 8]);
      const gamma = Tensor.from(gpu, randomValues(8, 7), [8]);
      const slope = Tensor.from(gpu, [0.2], [1]);
      const tape = new Tape();
      const y = tape.record(() => batchNormPreluTraining(x, gamma, gamma, slope));
      return [...tape.gradients(y, [x, gamma, slope], x).values()];
    });
  const [a, b] = [run(), run()];
  for (const [k, tensor] of a.entries()) assert.equal(await tensor.read(), await b[k].read());
  for (const tensor of [...a, ...b]) tensor.dispose();
});

test.run();
