import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import {
  Adam,
  BatchNorm,
  Conv2d,
  ConvTranspose2d,
  fromPyTorchLayout,
  type HostTensor,
  type HostTensors,
  heNormal,
  Layer,
  Linear,
  loadState,
  PReLU,
  Residual,
  readSafetensors,
  Sequential,
  saveState,
  toPyTorchLayout,
  writeSafetensors,
  xavierUniform,
} from '../../src/nn/index.js';
import { mean } from '../../src/ops/reduce.js';
import { referenceOps } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import { square } from '../../src/ops/unary.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import type { ReferenceTable } from '../../src/reference/reference-op.js';
import type { TapeNode } from '../../src/tensor/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';

const test = gpuSuite('nn');

/** A network with every layer that works on pictures, which halves the size and doubles it again. [N, 6, 8, 3] → [N, 6, 8, 3] */
const pictureNet = () =>
  new Sequential([
    new Conv2d(3, 8, 3, { stride: 2, padding: 1, bias: false }),
    new BatchNorm(8),
    new PReLU(8),
    new Residual(new Sequential([new Conv2d(8, 8, 3, { padding: 1, groups: 8 }), new BatchNorm(8), new PReLU()])),
    new ConvTranspose2d(8, 3, [4, 4], { stride: 2, padding: 1 }),
  ]);

test('entries of a network have the expected names, kinds and order', () => {
  const net = pictureNet();
  const shapes = [...net.entries()].map(([name, { shape, trainable }]) => [name, [...shape], trainable]);
  assert.equal(shapes, [
    ['0.weight', [3, 3, 3, 8], true],
    ['1.weight', [8], true],
    ['1.bias', [8], true],
    ['1.running_mean', [8], false],
    ['1.running_var', [8], false],
    ['2.weight', [8], true],
    ['3.body.0.weight', [3, 3, 1, 8], true],
    ['3.body.0.bias', [8], true],
    ['3.body.1.weight', [8], true],
    ['3.body.1.bias', [8], true],
    ['3.body.1.running_mean', [8], false],
    ['3.body.1.running_var', [8], false],
    ['3.body.2.weight', [1], true],
    ['4.weight', [4, 4, 3, 8], true],
    ['4.bias', [3], true],
  ]);
  assert.is(net.parameterCount, 216 + 16 + 8 + 72 + 8 + 16 + 1 + 384 + 3);
});

test('train and eval reach every part', () => {
  const norm = new BatchNorm(2);
  const net = new Sequential([new Residual(new Sequential([norm]))]);
  assert.ok(norm.training);
  net.eval();
  assert.not.ok(norm.training);
  net.train();
  assert.ok(norm.training);
});

test('evaluation without a tape fuses conv, batch norm and PReLU, and gives the same results', async () => {
  const gpu = await testGpu();
  const net = new Sequential([
    new Conv2d(3, 8, 3, { padding: 1, bias: false }),
    new BatchNorm(8),
    new PReLU(8),
    new ConvTranspose2d(8, 5, 4, { stride: 2, padding: 1, bias: false }),
    new BatchNorm(5),
    new PReLU(),
    new Conv2d(5, 4, 1),
    new BatchNorm(4),
    new PReLU(4),
  ]).initialize(gpu, 3);
  for (const tensor of net.stateTensors().values()) {
    if (tensor.shape.length === 1) tensor.write(randomValues(tensor.size, tensor.size, [0.2, 1]));
  }
  net.eval();
  const x = Tensor.from(gpu, randomValues(2 * 6 * 5 * 3, 4), [2, 6, 5, 3]);
  const plain = scope(gpu, () => new Tape().record(() => net.forward(x)));
  const fused = scope(gpu, () => net.forward(x));
  const { recording } = gpu.capture(() => scope(gpu, () => void net.forward(x)));
  const folds = recording.dispatches.filter(({ kernel }) => kernel.label === 'fold batch norm');
  assert.is(folds.length, 2, 'the last conv has a bias and is not fused');
  assertClose('fused', await fused.read(), await plain.read(), { sumLength: 400, linear: true });
  for (const tensor of [x, plain, fused]) tensor.dispose();
  net.dispose();
});

test('initial values depend only on the seed and the name', async () => {
  const gpu = await testGpu();
  const values = async (layers: Layer[], seed: number) => {
    const net = new Sequential(layers).initialize(gpu, seed);
    const state = await saveState(net);
    net.dispose();
    return state;
  };
  const conv = () => new Conv2d(2, 4, 3);
  const a = await values([conv(), new Linear(3, 5)], 1);
  const b = await values([conv(), new Linear(3, 5), conv()], 1);
  for (const [name, tensor] of a) assert.equal(b.get(name), tensor, name);
  assert.not.equal(b.get('0.weight'), b.get('2.weight'));
  assert.not.equal((await values([conv()], 2)).get('0.weight'), a.get('0.weight'));
  assert.ok(a.get('0.bias')!.data.every((v) => v === 0));
});

test('initialisers have the documented variance', () => {
  const variance = (values: Float32Array) => values.reduce((sum, v) => sum + v * v, 0) / values.length;
  const he = variance(heNormal(72, 0.25)([3, 3, 8, 300], new CounterRandom(1)));
  const expectedHe = 2 / (1.0625 * 72);
  assert.ok(Math.abs(he / expectedHe - 1) < 5 * Math.sqrt(2 / 21600), `He ${he}`);
  const values = xavierUniform(30, 70)([100, 200], new CounterRandom(2));
  const limit = Math.sqrt(6 / 100);
  assert.ok(values.every((v) => Math.abs(v) <= limit));
  assert.ok(Math.abs(variance(values) / (2 / 100) - 1) < 5 * Math.sqrt(0.8 / 20000), `Xavier ${variance(values)}`);
});

/** The output of a recorded computation in float64, and its gradient with respect to each tensor. */
function replay(nodes: readonly TapeNode[], values: ReadonlyMap<Tensor, NdArray>) {
  const known = new Map(values);
  const at = (tensor: Tensor) => known.get(tensor)!;
  for (const { name, inputs, attrs, output } of nodes) {
    const op = (referenceOps as ReferenceTable)[name];
    known.set(output, op.forward(inputs.map(at), attrs as never));
  }
  const last = nodes[nodes.length - 1].output;
  const gradients = new Map<Tensor, NdArray>([[last, { shape: last.shape, data: Float64Array.of(1) }]]);
  for (const { name, inputs, attrs, output } of [...nodes].reverse()) {
    const dy = gradients.get(output);
    if (!dy) continue;
    const op = (referenceOps as ReferenceTable)[name];
    const parts = op.backward(inputs.map(at), at(output), dy, attrs as never);
    inputs.forEach((input, k) => {
      const part = parts[k];
      if (!part) return;
      const sum = gradients.get(input);
      gradients.set(input, sum ? { shape: sum.shape, data: sum.data.map((v, i) => v + part.data[i]) } : part);
    });
  }
  return { output: at(last), gradients };
}

test('loss and every gradient of a network agree with float64, in training and in evaluation', async () => {
  const gpu = await testGpu();
  const net = pictureNet().initialize(gpu, 3);
  const params = net.parameters();
  const values = new Map<Tensor, NdArray>();
  // Biases start at 0 and gammas at 1, which would hide mistakes, so they get other values.
  for (const [k, tensor] of [...net.stateTensors().values()].entries()) {
    if (tensor.shape.length === 1) tensor.write(randomValues(tensor.size, 40 + k, [0.2, 1.5]));
    values.set(tensor, toNdArray(await tensor.read(), tensor.shape));
  }
  for (const training of [false, true]) {
    net.train(training);
    const input = randomValues(2 * 6 * 8 * 3, 5);
    const tape = new Tape();
    const results = scope(gpu, () => {
      const x = Tensor.from(gpu, input, [2, 6, 8, 3]);
      values.set(x, toNdArray(input, x.shape));
      const loss = tape.record(() => mean(square(net.forward(x))));
      return { loss, gradients: tape.gradients(loss, [...params.values()]) };
    });
    const expected = replay(tape.nodes, values);
    assertClose('loss', await results.loss.read(), expected.output.data, { sumLength: 100, linear: true });
    for (const [name, param] of params) {
      const gradient = results.gradients.get(param)!;
      assertClose(name, await gradient.read(), expected.gradients.get(param)!.data, {
        sumLength: 500,
        scale: 0.01,
        linear: true,
      });
      gradient.dispose();
    }
    results.loss.dispose();
  }
  net.dispose();
});

test('Linear agrees with float64', async () => {
  const gpu = await testGpu();
  const net = new Linear(2, 3).initialize(gpu, 1);
  loadState(
    net,
    new Map([
      ['weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['bias', { shape: [3], data: Float32Array.of(10, 20, 30) }],
    ]),
  );
  const y = scope(gpu, () => net.forward(Tensor.from(gpu, [1, -1], [1, 2])));
  assert.equal([...(await y.read())], [7, 17, 27]);
  y.dispose();
  net.dispose();
});

test('BatchNorm updates its statistics in training, and in evaluation treats each row independently', async () => {
  const gpu = await testGpu();
  const norm = new BatchNorm(4, { momentum: 0.5 }).initialize(gpu, 1);
  const values = randomValues(50 * 4, 6).map((v, i) => 3 * v + (i % 4));
  const forward = async (data: Float32Array) => {
    const y = scope(gpu, () => norm.forward(Tensor.from(gpu, data, [data.length / 4, 4])));
    const result = await y.read();
    y.dispose();
    return result;
  };
  const inTraining = await forward(values);
  const columnMean = (data: Float32Array, c: number) =>
    data.reduce((sum, v, i) => (i % 4 === c ? sum + v : sum), 0) / 50;
  for (let c = 0; c < 4; c++) assert.ok(Math.abs(columnMean(inTraining, c)) < 1e-6);
  const state = await saveState(norm);
  for (let c = 0; c < 4; c++) {
    assert.ok(Math.abs(state.get('running_mean')!.data[c] - columnMean(values, c) / 2) < 1e-5);
  }
  for (let step = 0; step < 30; step++) await forward(values);
  norm.eval();
  const before = await saveState(norm);
  const whole = await forward(values);
  assert.equal(await forward(values.slice(0, 8)), whole.slice(0, 8));
  assert.equal(await saveState(norm), before);
  // The running variance is the unbiased one, which is larger by 1/49 than the one that training divides by.
  assertClose(
    'evaluation',
    whole.map((v) => v * Math.sqrt(50 / 49)),
    inTraining,
    { sumLength: 50 },
  );
  norm.train();
  assert.throws(
    () => scope(gpu, () => norm.forward(Tensor.zeros(gpu, [1, 4]))),
    (error: Error) => error instanceof ShapeError && /more than one value/.test(error.message),
  );
  norm.dispose();
});

test('training lowers the loss, gives the same bits each time, and its memory does not grow', async () => {
  const gpu = await testGpu();
  const run = async () => {
    const net = pictureNet().initialize(gpu, 7);
    const params = net.parameters();
    const optimizer = new Adam(params);
    const losses: number[] = [];
    let bytes = 0;
    for (let step = 0; step < 25; step++) {
      const loss = scope(gpu, () => {
        const x = Tensor.from(gpu, randomValues(2 * 6 * 8 * 3, 60), [2, 6, 8, 3]);
        const tape = new Tape();
        const value = tape.record(() => mean(square(net.forward(x))));
        optimizer.step(tape.gradients(value, [...params.values()]), 0.01);
        return value;
      });
      losses.push(await loss.item());
      loss.dispose();
      if (step === 4) bytes = gpu.pool.liveBytes;
    }
    assert.is(gpu.pool.liveBytes, bytes);
    optimizer.dispose();
    net.dispose();
    return losses;
  };
  const losses = await run();
  assert.ok(losses[24] < losses[0] / 4, `${losses[0]} → ${losses[24]}`);
  assert.equal(await run(), losses);
});

test('a network that is saved to a file and loaded into another gives the same bits', async () => {
  const gpu = await testGpu();
  const net = pictureNet().initialize(gpu, 9);
  const x = Tensor.from(gpu, randomValues(2 * 6 * 8 * 3, 61), [2, 6, 8, 3]);
  scope(gpu, () => net.forward(x)).dispose(); // this updates the running statistics
  const file = writeSafetensors(await saveState(net));
  const other = pictureNet();
  loadState(other, readSafetensors(file).tensors, gpu);
  const outputs = [net, other].map((each) => scope(gpu, () => each.eval().forward(x)));
  assert.equal(await outputs[1].read(), await outputs[0].read());
  assert.equal(writeSafetensors(await saveState(other)), file);
  for (const each of [...outputs, x, net, other]) each.dispose();
});

test('state that does not fit is refused by name, and the network does not change', async () => {
  const gpu = await testGpu();
  const net = pictureNet().initialize(gpu, 2);
  const before = await saveState(net);
  const refuses = (change: (state: HostTensors) => void, message: RegExp) => {
    const state: HostTensors = new Map([...before].map(([name, t]) => [name, { ...t, data: t.data.map(() => 3) }]));
    change(state);
    assert.throws(
      () => loadState(net, state),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    );
  };
  refuses((state) => state.delete('3.body.2.weight'), /lacks "3\.body\.2\.weight", which the network needs/);
  refuses((state) => state.set('5.weight', state.get('4.weight')!), /has "5\.weight", which the network does not know/);
  refuses(
    (state) => state.set('4.weight', { shape: [4, 4, 8, 3], data: new Float32Array(384) }),
    /^4\.weight: the file has \[4,4,8,3\], the network needs \[4,4,3,8\]$/,
  );
  refuses((state) => state.clear(), /"1\.running_var" and 10 more/);
  assert.equal(await saveState(net), before);
  assert.throws(() => loadState(pictureNet(), before), /needs to know the GPU/);
  net.dispose();
});

/** A tensor whose value at [a, b, c, …] is the number abc…, so that each element shows its original index. */
function numbered(shape: number[]): HostTensor {
  const data: number[] = [];
  const fill = (axis: number, prefix: number): void => {
    if (axis === shape.length) data.push(prefix);
    else for (let i = 0; i < shape[axis]; i++) fill(axis + 1, 10 * prefix + i + 1);
  };
  fill(0, 0);
  return { shape, data: Float32Array.from(data) };
}

test('PyTorch layouts are converted to ours and back', () => {
  const net = new Sequential([
    new Conv2d(2, 3, [4, 5]),
    new ConvTranspose2d(4, 6, [2, 3], { groups: 2 }),
    new Linear(2, 3),
    new BatchNorm(3),
  ]);
  const theirs: HostTensors = new Map([
    ['0.weight', numbered([3, 2, 4, 5])],
    ['0.bias', numbered([3])],
    ['1.weight', numbered([4, 3, 2, 3])],
    ['1.bias', numbered([6])],
    ['2.weight', numbered([3, 2])],
    ['2.bias', numbered([3])],
    ...['weight', 'bias', 'running_mean', 'running_var'].map((n): [string, HostTensor] => [`3.${n}`, numbered([3])]),
  ]);
  const withCounter = new Map(theirs).set('3.num_batches_tracked', { shape: [], data: Float32Array.of(7) });
  const ours = fromPyTorchLayout(net, withCounter);
  const at = (name: string, ...index: number[]) => {
    const { shape, data } = ours.get(name)!;
    return data[index.reduce((offset, i, axis) => offset * shape[axis] + i - 1, 0)];
  };
  for (const [name, { shape }] of net.entries()) assert.equal([...ours.get(name)!.shape], [...shape], name);
  assert.equal([...ours.keys()], [...theirs.keys()]);
  // Indices count from 1: out 3, in 2, row 4, column 5; in 4, out 1, row 2, column 3; out 3, in 1.
  assert.is(at('0.weight', 4, 5, 2, 3), 3245);
  assert.is(at('0.weight', 1, 2, 2, 1), 1212);
  assert.is(at('1.weight', 2, 3, 1, 4), 4123);
  assert.is(at('2.weight', 1, 3), 31);
  assert.equal(toPyTorchLayout(net, ours), theirs);
  theirs.set('0.weight', numbered([3, 2]));
  assert.throws(() => fromPyTorchLayout(net, theirs), /0\.weight: the file has \[3,2\], the network needs rank 4/);
});

test('a network without values is an error that says so', () => {
  assert.throws(
    () => pictureNet().parameters(),
    (error: Error) =>
      error instanceof ArgumentError && /"weight" \[3,3,3,8\] has no values.*initialize/.test(error.message),
  );
});

test('impossible arguments of layers and networks are refused', () => {
  class Twice extends Layer {
    constructor(name: string) {
      super();
      this.child('part', new PReLU());
      this.child(name, new PReLU());
    }
    override forward = (x: Tensor) => x;
  }
  assert.throws(() => new Twice('part'), /two parts named "part"/);
  assert.throws(() => new Twice('a.b'), /"a\.b" is no name/);
  assert.throws(() => new Conv2d(6, 4, 3, { groups: 4 }), /groups 4 must divide the 6 input channels/);
  assert.throws(() => new ConvTranspose2d(4, 6, 3, { groups: 4 }), /groups 4 must divide the 6 output channels/);
});

test('padding and stride may be given for all sides, for each axis, or for each side', () => {
  const attrs = (options: ConstructorParameters<typeof Conv2d>[3]) => new Conv2d(1, 1, 3, options).attrs;
  assert.equal(attrs({}), { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 });
  assert.equal(attrs({ stride: 2, padding: 3, dilation: [1, 2] }), {
    stride: [2, 2],
    padding: [3, 3, 3, 3],
    dilation: [1, 2],
    groups: 1,
  });
  assert.equal(attrs({ padding: [1, 2] }).padding, [1, 1, 2, 2]);
  assert.equal(attrs({ padding: [0, 1, 2, 3] }).padding, [0, 1, 2, 3]);
});

test.run();
