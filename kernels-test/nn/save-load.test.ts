import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { Adam, Conv2d, Linear, loadState, PReLU, Sequential, SGD, saveState } from '../../src/nn/index.js';
import { valueAndGradients } from '../../src/nn/value-and-gradients.js';
import { sum } from '../../src/ops/reduce.js';
import { square } from '../../src/ops/unary.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('saving, loading and freezing');

const netOf = (classes: number) => new Sequential([new Linear(3, 4), new PReLU(4), new Linear(4, classes)]);

test('a network that was saved and loaded has the same values', async () => {
  const gpu = await testGpu();
  const [net, other] = [netOf(2).initialize(gpu, 1), netOf(2)];
  const file = await net.save();
  assert.equal(other.load(file, { gpu }), { missing: [], unexpected: [], otherShape: [] });
  assert.equal(await saveState(other), await saveState(net));
  assert.throws(
    () => other.load(file.subarray(0, 40)),
    (error: Error) => error instanceof CheckpointError,
  );
  for (const each of [net, other]) each.dispose();
});

test('a partial load takes what fits, and tells the rest', async () => {
  const gpu = await testGpu();
  const [net, other] = [netOf(2).initialize(gpu, 1), netOf(5).initialize(gpu, 2)];
  const before = await saveState(other);
  const given = await saveState(net);
  given.set('3.weight', { shape: [1], data: Float32Array.of(1) });
  given.delete('1.weight');
  assert.throws(() => loadState(other, given), /the file lacks "1.weight".*the file has "3.weight"/);
  assert.equal(loadState(other, given, undefined, { partial: true }), {
    missing: ['1.weight'],
    unexpected: ['3.weight'],
    otherShape: ['2.weight', '2.bias'],
  });
  const after = await saveState(other);
  assert.equal(after.get('0.weight'), given.get('0.weight'));
  assert.equal(after.get('2.weight'), before.get('2.weight'));
  assert.equal(after.get('1.weight'), before.get('1.weight'));
  const foreign = new Map([['x', { shape: [1], data: Float32Array.of(1) }]]);
  assert.throws(
    () => loadState(other, foreign, undefined, { partial: true }),
    (error: Error) => error instanceof CheckpointError && /no tensor of the file fits/.test(error.message),
  );
  const empty = netOf(2);
  assert.throws(
    () => loadState(empty, given, gpu, { partial: true }),
    (error: Error) => error instanceof ArgumentError && /lacks "1.weight", which has no values yet/.test(error.message),
  );
  assert.throws(() => loadState(other, given, gpu, { strict: false } as never), /there is no option "strict"/);
  for (const each of [net, other, empty]) each.dispose();
});

test('frozen parameters stay as they are, and learn again when they are let go', async () => {
  const gpu = await testGpu();
  const net = netOf(2).initialize(gpu, 1).freeze('0.');
  assert.equal([...net.parameters().keys()], ['1.weight', '2.weight', '2.bias']);
  const before = await saveState(net);
  const x = keep(Tensor.from(gpu, [[1, -2, 3]]));
  const step = () => {
    const adam = new Adam(net.parameters(), { learningRate: 0.1 });
    scope(gpu, () => {
      adam.step(valueAndGradients(() => sum(square(net.forward(x))), net.parameters()).gradients);
    });
    adam.dispose();
  };
  step();
  const after = await saveState(net);
  assert.equal(after.get('0.weight'), before.get('0.weight'));
  assert.not.equal(after.get('2.weight'), before.get('2.weight'));
  net.freeze('0.', false);
  step();
  assert.not.equal((await saveState(net)).get('0.weight'), before.get('0.weight'));
  assert.throws(() => net.freeze('encoder'), /freeze: prefix is "encoder"; expected the beginning of the full name/);
  net.dispose();
  x.dispose();
});

test('an optimiser keeps its learning rate, which may change, and one given to a step comes first', async () => {
  const gpu = await testGpu();
  const param = keep(Tensor.from(gpu, [1, 2]));
  const grads = new Map([[param, keep(Tensor.from(gpu, [1, 1]))]]);
  const sgd = new SGD(new Map([['p', param]]), { learningRate: 0.5 });
  sgd.step(grads);
  assert.equal([...(await param.read())], [0.5, 1.5]);
  sgd.learningRate = 0.25;
  sgd.step(grads);
  assert.equal([...(await param.read())], [0.25, 1.25]);
  sgd.step(grads, 1);
  assert.equal([...(await param.read())], [-0.75, 0.25]);
  const recorded = recordStep(gpu, {}, () => {
    sgd.step(grads);
    return {};
  });
  sgd.learningRate = 0.75; // a recorded step reads it at each run
  recorded.run();
  assert.equal([...(await param.read())], [-1.5, -0.5]);
  const none = new SGD(new Map([['p', param]]));
  assert.throws(
    () => none.step(grads),
    (error: Error) => error instanceof ArgumentError && /the learning rate is undefined/.test(error.message),
  );
  assert.throws(() => new Adam(new Map([['p', param]]), { learningRate: -1 }), /Adam: the learning rate is -1/);
  recorded.dispose();
  for (const tensor of [param, ...grads.values()]) tensor.dispose();
});

test('what has memory frees it at the end of a block that uses it', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1]);
  const net = new Conv2d(1, 1, 1).initialize(gpu, 1);
  x[Symbol.dispose]();
  net[Symbol.dispose]();
  assert.ok(x.disposed);
  assert.throws(() => net.parameters(), /has no values/);
});

test.run();
