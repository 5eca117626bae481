import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import {
  Adam,
  add,
  batchNormInference,
  batchNormWithStatistics,
  concat,
  div,
  mul,
  recordStep,
  SGD,
  sigmoid,
  sum,
  updateRunningStatistics,
} from '../../src/engine.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('values changed between record and gradients');

const refuses = (body: () => unknown, message: RegExp): void =>
  assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));

test('a gradient that needs values which were written since is refused by the names of operation and input', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const [x, w] = [Tensor.from(gpu, [1, 2]), Tensor.from(gpu, [3, 4])];
    const tape = new Tape();
    const { loss, y } = tape.record(() => {
      const y = sigmoid(mul(x, w));
      return { y, loss: sum(y) };
    });
    tape.gradients(loss, [x, w]);
    w.write([5, 6]);
    refuses(
      () => tape.gradients(loss, [x]),
      /^gradients: mul needs b \[2\], which was changed in place .* after mul had run: take all/,
    );
    tape.gradients(loss, [w]); // needs x alone
    w.view([2, 1]).write([5, 6]);
    refuses(() => tape.gradients(loss, [x]), /^gradients: mul needs b \[2\]/);
    y.write([0, 0]);
    refuses(() => tape.gradients(loss, [w]), /^gradients: sigmoid needs its output \[2\], which was changed in place/);
  });
  await gpu.sync();
});

test('two optimisers: the gradients after the first step are refused only where they need what it changed', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const [generator, critic, bias, z] = [2, 3, 4, 5].map((value) => Tensor.scalar(gpu, value));
    using steps = new SGD(new Map([['critic', critic]]), { learningRate: 0.1 });
    using others = new Adam(new Map([['bias', bias]]), { learningRate: 0.1 });
    const tape = new Tape();
    const fake = tape.record(() => mul(generator, z));
    const score = tape.record(() => add(mul(fake, critic), bias));
    steps.step(tape.gradients(score, [critic]));
    refuses(() => tape.gradients(score, [generator]), /^gradients: mul needs b \[\]/);
    const again = new Tape();
    const second = again.record(() => add(mul(mul(generator, z), critic), bias));
    others.step(again.gradients(second, [bias]));
    again.gradients(second, [generator, critic]); // a sum needs no values
  });
  await gpu.sync();
});

test('a step that was recorded counts as a change of what it writes, in each run', async () => {
  const gpu = await testGpu();
  const [x, w] = [Tensor.from(gpu, [1, 2]), Tensor.from(gpu, [3, 4])];
  const sgd = new SGD(new Map([['w', w]]), { learningRate: 0.1 });
  const step = recordStep(gpu, { x }, ({ x }) => {
    const tape = new Tape();
    const loss = tape.record(() => sum(mul(x, w)));
    sgd.step(tape.gradients(loss, [w]));
    return { loss };
  });
  scope(gpu, () => {
    for (let k = 0; k < 2; k++) {
      x.write([k, k]);
      step.run();
    }
    const tape = new Tape();
    const y = tape.record(() => sum(div(mul(x, w), step.outputs.loss)));
    tape.gradients(y, [x]);
    step.run();
    refuses(() => tape.gradients(y, [x]), /^gradients: div needs b \[\]/);
  });
  refuses(
    () =>
      recordStep(gpu, { x }, ({ x }) => {
        const tape = new Tape();
        const loss = tape.record(() => sum(mul(x, w)));
        sgd.step(tape.gradients(loss, [w]));
        return { dx: tape.gradients(loss, [x]).get(x)! };
      }),
    /^gradients: mul needs b \[2\]/,
  );
  await gpu.sync();
  for (const owned of [x, w, sgd, step]) owned.dispose();
});

test('running statistics and joined tensors, which kernels fill in place, refuse nothing that does not need them', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.from(gpu, [
      [1, 2],
      [3, 5],
      [4, 4],
    ]);
    const [gamma, beta, mean, variance] = [1, 0, 0, 1].map((value) => Tensor.from(gpu, [value, value]));
    const tape = new Tape();
    const loss = tape.record(() => {
      const joined = concat([x, x], 0);
      const norm = batchNormWithStatistics(joined, gamma, beta);
      updateRunningStatistics(norm, { mean, variance }, 6);
      return sum(mul(concat([norm.output, joined], 0), 2));
    });
    tape.gradients(loss, [x, gamma, beta]);
    const inference = new Tape();
    const y = inference.record(() => sum(batchNormInference(x, gamma, beta, mean, variance)));
    updateRunningStatistics({ mean: gamma, variance: beta }, { mean, variance }, 6);
    refuses(() => inference.gradients(y, [x]), /^gradients: batchNormInference needs (mean|variance) \[2\]/);
  });
  await gpu.sync();
});

test.run();
