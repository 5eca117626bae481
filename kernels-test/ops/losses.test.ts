import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { mseOp, naiveMse } from '../../src/ops/mse.js';
import {
  chooseSoftmax,
  labelsTensor,
  naiveSoftmax,
  type SoftmaxChoice,
  softmaxCrossEntropy,
  softmaxCrossEntropyOp,
} from '../../src/ops/softmax.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('losses');

test('mse agrees with float64', async () => {
  for (const shape of [[], [1], [4], [7, 3], [2, 5, 3, 6], [4099], [2, 112, 96, 3]]) {
    for (const implementation of [mseOp(), mseOp(naiveMse)]) {
      await checkOp({ op: 'mse', attrs: {}, inputs: [shape, shape], implementation, sumLength: 16 });
    }
  }
});

const SOFTMAX: Record<string, SoftmaxChoice> = {
  naive: naiveSoftmax,
  chosen: chooseSoftmax,
  hardware: (rows, classes, limits) => chooseSoftmax(rows, classes, { ...limits, software: false }),
};

/** Logits, and labels that include the first and the last class. */
const scored = (classes: number, spread: number) => (k: number, size: number) =>
  k === 0
    ? randomValues(size, 70).map((value) => spread * value)
    : randomValues(size, 71, [0, classes]).map((value, row) => (row < 2 ? row * (classes - 1) : Math.floor(value)));

for (const [name, choose] of Object.entries(SOFTMAX)) {
  test(`softmax cross-entropy agrees with float64, ${name} plan`, async () => {
    for (const [rows, classes, spread] of [
      [1, 1, 1],
      [3, 2, 4],
      [7, 10, 1],
      [64, 33, 10],
      [5, 1021, 30],
      [33, 10000, 3],
    ]) {
      await checkOp({
        op: 'softmaxCrossEntropy',
        attrs: {},
        inputs: [[rows, classes], [rows]],
        values: scored(classes, spread),
        implementation: softmaxCrossEntropyOp(choose),
        factor: 4,
        sumLength: name === 'naive' ? classes / 8 : 16,
      });
    }
  });
}

test('softmax cross-entropy does not overflow for large logits', async () => {
  const values = (k: number) => Float32Array.from(k === 0 ? [1e4, -1e4, 0, 300, 300, 301] : [1, 2]);
  await checkOp({ op: 'softmaxCrossEntropy', attrs: {}, inputs: [[2, 3], [2]], values, factor: 4 });
});

test('labels are checked before they are uploaded', async () => {
  const gpu = await testGpu();
  const labels = labelsTensor(gpu, Int32Array.of(0, 4, 2), 5);
  assert.equal([...(await labels.read())], [0, 4, 2]);
  labels.dispose();
  const refused = (values: readonly number[], classes: number, message: RegExp) =>
    assert.throws(
      () => labelsTensor(gpu, values, classes),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
    );
  refused([0, 5], 5, /label 1 is 5; expected an integer from 0 to 4/);
  refused([-1], 5, /label 0 is -1/);
  refused([0.5], 5, /label 0 is 0.5/);
  refused([], 5, /no labels/);
  refused([0], 0, /classes is 0/);
  scope(gpu, () => {
    const logits = Tensor.zeros(gpu, [3, 4]);
    assert.throws(() => softmaxCrossEntropy(logits, Tensor.zeros(gpu, [2])), /labels have shape \[2\]; expected \[3\]/);
  });
});

test.run();
