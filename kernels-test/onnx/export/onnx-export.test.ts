import * as assert from 'uvu/assert';
import { ArgumentError } from '../../../src/common/errors.js';
import { unaryKernel } from '../../../src/kernels/elementwise.js';
import {
  AvgPool2d,
  BatchNorm,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  type Layer,
  Linear,
  MaxPool2d,
  PReLU,
  Residual,
  Sequential,
  Upsample,
} from '../../../src/nn/index.js';
import { exportOnnx, type OnnxExportOptions } from '../../../src/onnx/export/export.js';
import { importOnnx } from '../../../src/onnx/import.js';
import { elu, gelu, hardSigmoid, hardSwish, leakyRelu, selu, silu, softplus } from '../../../src/ops/activations.js';
import { argmax } from '../../../src/ops/argmax.js';
import { add, div, maximum, minimum, mul, pow, sub } from '../../../src/ops/binary.js';
import { dropout } from '../../../src/ops/dropout.js';
import { concat, pad, reshape, slice } from '../../../src/ops/layout.js';
import { linear, matmul } from '../../../src/ops/matmul/matmul.js';
import { mse } from '../../../src/ops/mse.js';
import { l2Normalize } from '../../../src/ops/normalize.js';
import { quantize } from '../../../src/ops/quantize.js';
import { mean, sum } from '../../../src/ops/reduce.js';
import { logSoftmax, softmax } from '../../../src/ops/row-softmax.js';
import { transpose } from '../../../src/ops/transpose.js';
import * as unary from '../../../src/ops/unary.js';
import { upsampleBilinear } from '../../../src/ops/upsample.js';
import { defineOp } from '../../../src/tensor/define-op.js';
import { dispatch } from '../../../src/tensor/dispatch.js';
import { type AnyTensor, scope, Tensor } from '../../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../../helpers/harness.js';
import { rejection } from '../../helpers/rejection.js';
import { readOnnxFile } from './onnx-reader.js';
import { type OrtArray, runOnnx } from './onnxruntime.js';

const test = gpuSuite('export to ONNX');

type Network = Layer | ((x: Tensor) => AnyTensor);

/** Exports for one batch, and compares onnxruntime with the engine for this batch and a larger one. */
async function check(name: string, network: Network, shape: readonly number[], options?: OnnxExportOptions) {
  const gpu = await testGpu();
  const example = Tensor.zeros(gpu, shape);
  const model = await exportOnnx(network, example, options);
  example.dispose();
  const { inputs, outputs } = readOnnxFile(model);
  assert.is(inputs.input[0], 'batch', `${name}: the batch is a symbol`);
  for (const batch of [shape[0], shape[0] + 2]) {
    const all = [batch, ...shape.slice(1)];
    const x = Tensor.from(
      gpu,
      randomValues(
        all.reduce((a, b) => a * b),
        batch,
      ),
      all,
    );
    const values = await x.read();
    const run = typeof network === 'function' ? network : (t: Tensor) => network.evaluating(() => network.forward(t));
    const y = scope(gpu, () => run(x));
    const expected = Array.from(await y.read());
    const wanted = y.shape;
    for (const tensor of [x, y]) tensor.dispose();
    const { output } = await runOnnx(model, { input: { shape: all, data: values } });
    assert.equal([...output.shape], [...wanted], name);
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
    const difference = expected.reduce((a, b, k) => Math.max(a, Math.abs(b - output.data[k])), 0);
    assert.ok(difference <= 1e-5 * largest, `${name}: differs by ${difference} of ${largest}`);
  }
  return { ...readOnnxFile(model), outputs };
}

const count = (model: { nodes: { type: string }[] }, type: string): number =>
  model.nodes.filter((node) => node.type === type).length;

test('elementwise operations give the same in onnxruntime', async () => {
  const positive = (x: Tensor) => unary.affine(unary.square(x), 1, 0.5);
  await check(
    'unary',
    (x) => {
      const p = positive(x);
      const parts = [
        ...[unary.exp, unary.abs, unary.sigmoid, unary.relu, unary.neg, unary.sin, unary.cos, unary.tanh].map((f) =>
          f(x),
        ),
        ...[unary.erf, unary.floor, unary.ceil, unary.round, unary.sign].map((f) => f(x)),
        ...[unary.log, unary.sqrt, unary.reciprocal].map((f) => f(p)),
        ...[unary.clamp(x, -0.5, 1), unary.clamp(x, -Infinity, 0.25), unary.clamp(x, 0, Infinity), unary.affine(x, 3)],
        ...[leakyRelu(x, 0.2), elu(x, 0.7), selu(x), gelu(x), gelu(x, { approximate: 'tanh' }), silu(x), softplus(x)],
        ...[
          hardSigmoid(x),
          hardSigmoid(x, 0.2, 0.4),
          hardSwish(x),
          quantize(x, { mode: 'hard', scale: 4, min: -5, max: 6 }),
        ],
      ];
      return concat(parts, -1);
    },
    [2, 7],
  );
  await check(
    'binary',
    (x) => {
      const y = slice(x, [0, 1], [x.shape[0], 1]);
      const p = positive(x);
      return concat([add(x, y), sub(y, x), mul(x, x), div(x, p), pow(p, y), minimum(x, y), maximum(y, x)], 1);
    },
    [3, 5],
  );
});

test('rows, matrices and axes give the same', async () => {
  const gpu = await testGpu();
  const weights = Tensor.from(gpu, randomValues(20, 3), [4, 5]);
  const other = Tensor.from(gpu, randomValues(20, 4), [5, 4]);
  await check('rows', (x) => concat([softmax(x), logSoftmax(x), l2Normalize(x)], 1), [2, 6]);
  await check('argmax', (x) => argmax(x), [3, 6]);
  await check('linear', (x) => linear(x, weights), [3, 4]);
  await check('transposed', (x) => matmul(x, other, { transposeB: true }), [3, 4]);
  await check('sums', (x) => concat([sum(x, [2]), mean(x, [-1]), mean(transpose(x, [0, 2, 1]), [1])], 1), [2, 3, 4]);
  await check('slices', (x) => pad(slice(x, [0, 1, 0], [x.shape[0], 2, 3]), [0, 0, 1], [0, 2, 0], 0.5), [2, 4, 3]);
  for (const tensor of [weights, other]) tensor.dispose();
});

test('networks of pictures give the same, with weights reordered and one transposition at each end', async () => {
  const gpu = await testGpu();
  const network = new Sequential([
    new Conv2d(3, 8, 3, { padding: [1, 0, 2, 1], stride: [2, 1], bias: false }),
    new BatchNorm(8),
    new PReLU(8),
    new Conv2d(8, 8, 3, { groups: 4, dilation: [1, 2], padding: 2 }),
    new BatchNorm(8),
    new Residual(new Sequential([new Conv2d(8, 8, 1), new PReLU()])),
    new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }),
    new Upsample(2),
    new AvgPool2d({ kernel: 3, stride: 2, padding: 1 }),
    new Upsample([2, 3], 'bilinear'),
    new ConvTranspose2d(8, 4, 3, { stride: 2, padding: [1, 0, 1, 1], outputPadding: [1, 0], groups: 2 }),
    new Dropout(0.5),
    new Conv2d(4, 3, 1),
  ]).initialize(gpu, 5);
  network.train();
  network.layers[1].eval(); // a part may be in another mode
  const model = await check('pictures', network, [2, 9, 11, 3]);
  assert.is(count(model, 'Transpose'), 2, 'one at each end');
  assert.equal(
    [network, ...network.layers].map(({ training }) => training),
    [true, ...network.layers.map((_, k) => k !== 1)],
    'the modes are as they were',
  );
  assert.equal(model.initializers.get('0.weight')!.shape, [8, 3, 3, 3]);
  assert.equal(model.initializers.get('10.weight')!.shape, [8, 2, 3, 3]);
  assert.equal(model.initializers.get('2.weight')!.shape, [8, 1, 1]);
  assert.equal(model.outputs.output[0], 'batch');
  network.dispose();
});

test('the importer makes the same network of the file', async () => {
  const gpu = await testGpu();
  const network = new Sequential([
    new Conv2d(3, 6, 3, { stride: 2, padding: 1, bias: false }),
    new BatchNorm(6),
    new PReLU(6),
    new ConvTranspose2d(6, 4, 4, { stride: 2, padding: 1 }),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear(4 * 4 * 4, 5),
  ]).initialize(gpu, 4);
  const x = Tensor.from(gpu, randomValues(2 * 64 * 3, 1), [2, 8, 8, 3]);
  const imported = await importOnnx(gpu, await exportOnnx(network, x));
  const [expected, found] = scope(gpu, () => [
    network.evaluating(() => network.forward(x)),
    imported.eval().forward(x) as Tensor,
  ]);
  assertClose('imported', await found.read(), await expected.read(), { sumLength: 64, scale: 10 });
  for (const each of [network, imported, x, expected, found]) each.dispose();
});

test('reshapes, transposes, joins and sums of pictures give the same', async () => {
  const gpu = await testGpu();
  const conv = new Conv2d(3, 4, 3, { padding: 1 }).initialize(gpu, 1);
  const position = Tensor.from(gpu, randomValues(5 * 6 * 4, 8), [5, 6, 4]);
  const run = (body: (y: Tensor, x: Tensor) => AnyTensor) => (x: Tensor) => body(conv.forward(x), x);
  const shape = [2, 5, 6, 3];
  const cases: [string, (y: Tensor, x: Tensor) => AnyTensor][] = [
    ['channels first', (y) => transpose(y, [0, 3, 1, 2])],
    ['mixed', (y) => transpose(y, [0, 2, 3, 1])],
    ['flat', (y) => reshape(y, [y.shape[0], -1])],
    ['rows', (y) => matmul(reshape(y, [-1, 4]), reshape(position, [4, 30]))],
    ['position', (y) => add(y, position)],
    ['number', (y) => mul(y, Tensor.from(gpu, [3]))],
    ['beside', (y, x) => concat([y, x, y], -1)],
    ['mean', (y) => mean(y, [1, 2])],
    ['kept mean', (y) => mean(y, [1], true)],
    ['rows of a mean', (y) => mean(y, [2])],
    ['channels of a sum', (y) => sum(y, [3])],
    ['cut', (y) => pad(slice(y, [0, 1, 2, 1], [y.shape[0], 3, 4, 2]), [0, 1, 0, 0], [0, 0, 2, 1], -1)],
    ['softmax', (y) => softmax(y)],
    ['unit', (y) => l2Normalize(y)],
    ['argmax', (y) => argmax(y)],
    ['smaller', (y) => upsampleBilinear(y, [3, 11])],
    ['a view', (y) => unary.relu(y.view([y.shape[0], 30, 4]))],
  ];
  for (const [name, body] of cases) await check(name, run(body), shape);
  const { nodes } = await check('channels first', run(cases[0][1]), shape);
  assert.equal(
    nodes.map(({ type }) => type),
    ['Transpose', 'Conv'],
  );
  conv.dispose();
  position.dispose();
});

test('what the inputs do not reach is computed; equal numbers are one constant; names, layouts and metadata are kept', async () => {
  const gpu = await testGpu();
  const weight = Tensor.from(gpu, [1, 2, 3]);
  const inputs = { a: Tensor.zeros(gpu, [2, 4, 5, 3]), b: Tensor.zeros(gpu, [1]) };
  const model = await exportOnnx(
    ({ a, b }: { a: Tensor; b: Tensor }) => {
      const scaled = mul(a, unary.exp(unary.neg(weight)));
      return { y: unary.affine(scaled, 2, 1), z: unary.affine(b, 2, 1), same: a, constant: unary.neg(weight) };
    },
    inputs,
    { layout: 'nchw', opset: 18, metadata: { scale: '0.5' }, names: ['first', 'second', 'copy', 'fixed'] },
  );
  const read = readOnnxFile(model);
  assert.equal(read.inputs, { a: ['batch', 3, 4, 5], b: [1] });
  assert.equal(read.outputs, { first: ['batch', 3, 4, 5], second: [1], copy: ['batch', 3, 4, 5], fixed: [3] });
  assert.is(read.opset, 18);
  assert.is(read.irVersion, 8);
  assert.equal(read.metadata, { scale: '0.5' });
  assert.is(count(read, 'Exp') + count(read, 'Neg') + count(read, 'Transpose'), 0);
  assert.is([...read.initializers.values()].filter(({ shape }) => shape.length === 0).length, 2, 'the numbers 2 and 1');
  const data = randomValues(120, 3);
  const a: OrtArray = { shape: [2, 3, 4, 5], data };
  const outputs = await runOnnx(model, { a, b: { shape: [1], data: Float32Array.of(4) } });
  assert.equal([...outputs.copy.data], [...data]);
  assert.equal([...outputs.second.data], [9]);
  assert.equal([...outputs.fixed.data], [-1, -2, -3]);
  outputs.first.data.forEach((value, k) => {
    const expected = 2 * data[k] * Math.exp(-1 - (Math.floor(k / 20) % 3)) + 1;
    assert.ok(Math.abs(value - expected) < 1e-5);
  });
  for (const tensor of [weight, ...Object.values(inputs)]) tensor.dispose();
});

test('a batch that cannot be a symbol is kept, or refused where it was asked for', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [2, 6]);
  const averaged = (t: Tensor) => unary.affine(sum(t, [0]), 1 / t.shape[0]);
  assert.equal(readOnnxFile(await exportOnnx(averaged, x)).inputs, { input: [2, 6] });
  const refused = await rejection(() => exportOnnx(averaged, x, { dynamicBatch: true }), ArgumentError);
  assert.match(refused.message, /the batch cannot be a symbol; .* affine has other attributes/);
  const halves = (t: Tensor) => slice(t, [0, 0], [t.shape[0] / 2, 6]);
  assert.match(
    (await rejection(() => exportOnnx(halves, x, { dynamicBatch: ['input'] }), ArgumentError)).message,
    /cannot be a symbol/,
  );
  const fixed = await exportOnnx(new Flatten(), x, { dynamicBatch: false });
  assert.equal(readOnnxFile(fixed).inputs, { input: [2, 6] });
  x.dispose();
});

test('what cannot be exported is refused by name', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [2, 6]);
  const own = defineOp({
    name: 'mine',
    shape: ([s]) => s,
    forward: ([t]) => ({ output: t.view(t.shape) }),
    backward: () => [null],
  });
  const messages: [RegExp, Network, OnnxExportOptions?][] = [
    [/no translation of "mine", "mse" here/, (t) => mse(own([t]), t)],
    [/no translation of "dropout"/, (t) => dropout(t, { rate: 0.5 })],
    [/quantize adds noise/, (t) => quantize(t, { mode: 'noise', min: -4, max: 4 })],
    [
      /depends on the inputs, but no recorded operation made it/,
      (t) => add(t, dispatch(unaryKernel('own', '2.0 * x', 12), [t], [2, 6])),
    ],
    [/opset is the number 12; expected an integer from 17 to 21/, (t) => t, { opset: 12 }],
    [/there is no option "colour"/, (t) => t, { colour: 1 } as never],
    [/layout is "chw"/, (t) => t, { layout: 'chw' as never }],
    [/names is the array \[a,b\]; expected one for each of 1 outputs/, (t) => unary.neg(t), { names: ['a', 'b'] }],
    [/"input" names an input and an output/, (t) => unary.neg(t), { names: ['input'] }],
    [/dynamicBatch is the array \[y\]/, (t) => t, { dynamicBatch: ['y'] }],
    [/the result of the network is null/, () => null as never],
    [/the network is "net"; expected a layer or a function/, 'net' as never],
  ];
  for (const [message, network, options] of messages) {
    const error = await rejection(() => exportOnnx(network, x, options), ArgumentError);
    assert.match(error.message, message);
  }
  assert.match(
    (await rejection(() => exportOnnx((t: Tensor) => t, {}), ArgumentError)).message,
    /inputs is an object; expected a tensor/,
  );
  x.dispose();
});

test('a linear network of rows needs no transposition', async () => {
  const gpu = await testGpu();
  const network = new Sequential([new Linear(6, 8), new BatchNorm(8), new PReLU(8), new Linear(8, 3)]).initialize(
    gpu,
    2,
  );
  const model = await check('rows', network, [2, 6]);
  assert.equal(
    model.nodes.map(({ type }) => type),
    ['MatMul', 'Add', 'BatchNormalization', 'PRelu', 'MatMul', 'Add'],
  );
  network.dispose();
});

test.run();
