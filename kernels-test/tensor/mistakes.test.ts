import * as assert from 'uvu/assert';
import { ArgumentError, CameoError } from '../../src/common/errors.js';
import * as E from '../../src/engine.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { withOwnGpu } from '../helpers/own-gpu.js';

/*
 * Mistakes that TypeScript would catch, but JavaScript does not. Each must give one of our errors before any GPU work, which
 * names the function, the argument and what was expected. None may be accepted or give an internal TypeError.
 */

const test = gpuSuite('mistakes');

// biome-ignore lint/suspicious/noExplicitAny: these calls are wrong on purpose
type Any = any;
const engine: Any = E;

type Mistake = [what: string, run: (x: E.Tensor, gpu: E.Gpu) => unknown, message: RegExp];

const OPERATIONS: Mistake[] = [
  ['a number for a tensor', (x) => engine.matmul(x, 3), /^matmul: b is the number 3; expected a tensor$/],
  ['two numbers', () => engine.mul(2, 3), /^mul: b is the number 3; expected a tensor, as a is a number$/],
  ['nothing for a tensor', (x) => engine.sub(x), /^sub: b is undefined; expected a tensor$/],
  ['an array for a tensor', (x) => engine.div(x, [1, 2]), /^div: b is the array \[1,2\]; expected a tensor$/],
  ['a parameter', (x) => engine.add(x, new E.PReLU(1).weight), /^add: b is a Parameter; expected a tensor/],
  ['a promise', () => engine.exp(Promise.resolve()), /^exp: x is a Promise; expected a tensor$/],
  ['a slope', (x) => engine.prelu(x, 0.25), /^prelu: slope is the number 0.25; expected a tensor$/],
  ['an axis', (x) => engine.sum(x, 1), /^sum: axes is the number 1; expected a list of axes/],
  ['an axis of mean', (x) => engine.mean(x, '1'), /^mean: axes is "1"; expected a list of axes/],
  ['null axes', (x) => engine.sum(x, null), /^sum: axes is null; expected a list/],
  ['a size', (x) => engine.reshape(x, 48), /^reshape: shape is the number 48; expected a list/],
  ['padding', (x) => engine.pad(x, 1, 1), /^pad: before is the number 1; expected a list/],
  ['a box', (x) => engine.slice(x, 0, 2), /^slice: begin is the number 0; expected a list/],
  ['inputs side by side', (x) => engine.concat(x, x), /^concat: inputs is a Tensor; expected an array/],
  ['no axis', (x) => engine.concat([x, x]), /^concat: axis undefined/],
  ['a range', (x) => engine.clamp(x), /^clamp: min is undefined; expected a finite number/],
  ['a text', (x) => engine.clamp(x, '0', 6), /^clamp: min is 0; expected a finite number|^clamp: min is "0"/],
  ['a factor', (x) => engine.affine(x), /^affine: scale is undefined; expected a finite number/],
  ['no kernel', (x) => engine.maxPool2d(x), /^maxPool2d: kernel is undefined; expected a number or \[rows, columns\]/],
  [
    'an option of a pool',
    (x) => engine.maxPool2d(x, { kernel: 2, size: 2 }),
    /^maxPool2d: there is no option "size"; expected kernel, stride, padding, dilation, ceilMode$/,
  ],
  ['ceil mode', (x) => engine.avgPool2d(x, { kernel: 2, ceil: true }), /^avgPool2d: there is no option "ceil"/],
  ['a kernel of text', (x) => engine.avgPool2d(x, { kernel: '2' }), /^avgPool2d: kernel is "2"; expected a number or/],
  [
    'three paddings',
    (x) => engine.avgPool2d(x, { kernel: 3, padding: [1, 1, 1] }),
    /^avgPool2d: padding .* is \[1,1,1\]; expected 4/,
  ],
  [
    'options for a bias',
    (x, gpu) => engine.conv2d(x, weights(gpu), { padding: 1 }),
    /^conv2d: bias is an object; expected a tensor$/,
  ],
  [
    'an option of a conv',
    (x, gpu) => engine.conv2d(x, weights(gpu), null, { pad: 1 }),
    /^conv2d: there is no option "pad"; expected stride, padding, dilation, groups$/,
  ],
  [
    'a list of options',
    (x, gpu) => engine.conv2d(x, weights(gpu), null, [1, 1]),
    /^conv2d: the options is the array \[1,1\]; expected an object/,
  ],
  [
    'null options',
    (x, gpu) => engine.conv2d(x, weights(gpu), null, null),
    /^conv2d: the options is null; expected an object/,
  ],
  [
    'output padding',
    (x, gpu) => engine.convTranspose2d(x, weights(gpu), null, { output_padding: 1 }),
    /^convTranspose2d: there is no option "output_padding"/,
  ],
  [
    'a text for padding',
    (x, gpu) => engine.conv2d(x, weights(gpu), null, { padding: 'same' }),
    /^conv2d: padding is "same"; expected a number, \[rows, columns\] or/,
  ],
  [
    'transposition',
    (x) => engine.matmul(x, x, { transpose: true }),
    /^matmul: there is no option "transpose"; expected transposeA, transposeB$/,
  ],
  ['a bias', (x) => engine.linear(x, x, 1), /^linear: bias is the number 1; expected a tensor or null$/],
  ['no scale', (x) => engine.upsampleNearest(x), /^upsampleNearest: scale is undefined; expected a number or/],
  [
    'options for a size',
    (x) => engine.upsampleBilinear(x, { size: 4 }),
    /^upsampleBilinear: size is an object; expected a number or/,
  ],
  ['no options', (x) => engine.quantize(x), /^quantize: mode is undefined; expected noise, straightThrough or hard/],
  [
    'bits',
    (x) => engine.quantize(x, { mode: 'hard', min: 0, max: 9, bits: 4 }),
    /^quantize: there is no option "bits"/,
  ],
  ['a window', (x) => engine.ssim(x, x, { windowSize: 3 }), /^ssim: there is no option "windowSize"/],
  ['a loss', (x) => engine.marginLoss(x, x, x), /^marginLoss: spec is undefined; expected an object with a loss$/],
  [
    'a margin',
    (x) => engine.cosFace(x, x, x, { marge: 0.4 }),
    /^cosFace: there is no option "marge"; expected scale, margin, s, m$/,
  ],
  ['labels', (_, gpu) => engine.labelsTensor(gpu, 3, 4), /^labelsTensor: labels is the number 3; expected a list/],
  [
    'eps',
    (x) => engine.batchNormTraining(x, x, x, 1e-5),
    /^batchNormTraining: the options is the number 0.00001; expected an object of eps$/,
  ],
  ['epsilon', (x) => engine.l2Normalize(x, { eps: 1 }), /^l2Normalize: eps is .*; expected a finite number above 0$/],
  ['a shape', (_, gpu) => engine.Tensor.zeros(gpu, 3), /^Tensor: the shape is the number 3; expected a list of sizes$/],
  [
    'half a row',
    (_, gpu) => engine.Tensor.zeros(gpu, [2.5]),
    /^Tensor has shape \[2\.5\]; every size must be an integer of at least 1$/,
  ],
  [
    'no rows',
    (_, gpu) => engine.Tensor.from(gpu, [], [0, 3]),
    /^Tensor has shape \[0,3\]; every size must be an integer of at least 1$/,
  ],
  [
    'fewer than no rows',
    (_, gpu) => engine.Tensor.from(gpu, [], [-1]),
    /^Tensor has shape \[-1\]; every size must be an integer of at least 1$/,
  ],
  ['no device', () => engine.Tensor.from([1, 2], [2]), /^Tensor: gpu is the array \[1,2\]; expected a Gpu$/],
  [
    'nested values',
    (_, gpu) =>
      engine.Tensor.from(
        gpu,
        [
          [1, 2],
          [3, 4],
        ],
        [2],
      ),
    /^Tensor: value 0 is the array \[1,2\]; expected a number$/,
  ],
  ['values of text', (_, gpu) => engine.Tensor.from(gpu, ['a'], [1]), /^Tensor: value 0 is "a"; expected a number$/],
  [
    'one value',
    (_, gpu) => engine.Tensor.from(gpu, 1, []),
    /^Tensor: values is the number 1; expected a list of numbers$/,
  ],
  ['a view', (x) => (x as Any).view(48), /^view: shape is the number 48; expected a list of sizes$/],
];

OPERATIONS.push(
  [
    'too many parts',
    (x) => engine.split(x, 2 ** 31, 1),
    /^split: axis 1 .* has 4 entries, which are not 2147483648 equal/,
  ],
  ['sizes below 0', (x) => x.view([-8, -6]), /^view: the wanted tensor has shape \[-8,-6\]; every size must be/],
  ['half a size', (x) => x.view([0.5, 96]), /^view: the wanted tensor has shape \[0.5,96\]; every size must be/],
  ['no range', (x) => engine.clamp(x, Infinity, Infinity), /^clamp: min is Infinity; expected a finite number, or/],
  ['nor this one', (x) => engine.clamp(x, -Infinity, -Infinity), /^clamp: max is -Infinity; expected a finite number/],
  [
    'integers of 64 bits',
    (_, gpu) => engine.Tensor.from(gpu, BigInt64Array.of(1n), [1], 'int32'),
    /^Tensor: value 0 is the bigint 1; expected an integer that int32 holds$/,
  ],
  [
    'a large stride',
    (x, gpu) => engine.conv2d(x, weights(gpu), null, { stride: 2 ** 31 }),
    /^conv2d: stride is \[2147483648,2147483648\]; expected 2 integers of at least 1 and at most 16777216$/,
  ],
  [
    'a large stride of a pool',
    (x) => engine.maxPool2d(x, { kernel: 2, stride: 2 ** 32 }),
    /^maxPool2d: stride is \[4294967296,4294967296\]; expected 2 integers of at least 1 and at most 16777216$/,
  ],
  ['a number for c', (x) => engine.gemm(x.view([4, 12]), x.view([12, 4]), 5), /^gemm: c is the number 5; expected a/],
  ['a number for a table', (x) => engine.embedding(5, x), /^embedding: table is the number 5; expected a tensor$/],
  ['a number to keep', () => engine.keep(5), /^keep: tensor is the number 5; expected a tensor$/],
  ['no body', (_, gpu) => engine.scope(gpu, 5), /^scope: body is the number 5; expected a function$/],
);

const NETWORKS: Mistake[] = [
  [
    'an object of tensors',
    () => engine.writeSafetensors({}),
    /^writeSafetensors: tensors is an object; expected a map of tensors by name$/,
  ],
  [
    'no bytes',
    () => engine.readSafetensors(5),
    /^readSafetensors: bytes is the number 5; expected the bytes of a file/,
  ],
  [
    'no file',
    () => (new E.PReLU(1) as Any).load(5),
    /^load: bytes is the number 5; expected the bytes of a safetensors/,
  ],
  [
    'a number to clip',
    () => engine.clipGradients([5], 1),
    /^clipGradients: grads\[0\] is the number 5; expected a tensor$/,
  ],
  [
    'BatchNorm()',
    () => new engine.BatchNorm(),
    /^BatchNorm: channels is undefined; expected an integer of at least 1$/,
  ],
  ['PReLU(0)', () => new engine.PReLU(0), /^PReLU: channels is the number 0; expected an integer of at least 1$/],
  [
    'Conv2d of no channels',
    () => new engine.Conv2d(undefined, 8, 3),
    /^Conv2d: inputs is undefined; expected an integer of at least 1$/,
  ],
  [
    'ConvTranspose2d of half a channel',
    () => new engine.ConvTranspose2d(4, 1.5, 3),
    /^ConvTranspose2d: outputs is the number 1\.5; expected an integer of at least 1$/,
  ],
  ['a network without values', (x) => new E.PReLU(1).forward(x), /has no values: call initialize\(gpu, seed\)/],
  ['initialize()', () => (new E.PReLU(1) as Any).initialize(), /^initialize: gpu is undefined; expected a Gpu$/],
  [
    'initialize(seed)',
    () => (new E.PReLU(1) as Any).initialize(1),
    /^initialize: gpu is the number 1; expected a Gpu$/,
  ],
  [
    'initialize(gpu)',
    (_, gpu) => (new E.PReLU(1) as Any).initialize(gpu),
    /^initialize: seed is undefined; expected an integer/,
  ],
  [
    'an array of parameters',
    (x) => new engine.Adam([x]),
    /^Adam: params is the array \[…\]; expected a map of tensors by name/,
  ],
  [
    'a network for its parameters',
    (_, gpu) => withLayer(gpu, (layer) => new engine.SGD(layer)),
    /^SGD: params is a PReLU; expected a map/,
  ],
  [
    'entries for parameters',
    (_, gpu) => withLayer(gpu, (layer) => new engine.Adam(layer.entries())),
    /^Adam: params "weight" is a Parameter; expected a tensor$/,
  ],
  [
    'an option of Adam',
    (x) => new engine.Adam(new Map([['x', x]]), { lr: 0.1 }),
    /^Adam: there is no option "lr"; expected learningRate, betas, eps, weightDecay, decoupled$/,
  ],
  [
    'a rate for options',
    (x) => new engine.SGD(new Map([['x', x]]), 0.1),
    /^SGD: the options is the number 0.1; expected an object/,
  ],
  [
    'no gradients',
    (x) => withOptimizer(x, (adam) => adam.step(new Map(), 0.1)),
    /^step: none of the 0 gradients is of one of the optimizer's parameters$/,
  ],
  [
    'gradients as an array',
    (x) => withOptimizer(x, (adam) => adam.step([x], 0.1)),
    /^step: grads is the array \[…\]; expected the map that Tape.gradients returns$/,
  ],
  [
    'no rate',
    (x) => withOptimizer(x, (adam) => adam.step(new Map([[x, x]]))),
    /^step: the learning rate is undefined; expected one here, or as learningRate of the optimizer$/,
  ],
  [
    'an option of a layer',
    () => new engine.Conv2d(3, 8, 3, { pad: 1 }),
    /^Conv2d: there is no option "pad"; expected stride, padding, dilation, groups, bias, init$/,
  ],
  [
    'an option of another layer',
    () => new engine.Conv2d(3, 8, 3, { outputPadding: 1 }),
    /^Conv2d: there is no option "outputPadding"/,
  ],
  [
    'options for a kernel',
    () => new engine.Conv2d(3, 8, { kernel: 3 }),
    /^Conv2d: kernel is an object; expected a number or \[rows, columns\]$/,
  ],
  ['no kernel', () => new engine.ConvTranspose2d(3, 8), /^ConvTranspose2d: kernel is undefined; expected a number or/],
  [
    'a stride of text',
    () => new engine.ConvTranspose2d(3, 8, 3, { stride: '2' }),
    /^ConvTranspose2d: stride is "2"; expected a number or/,
  ],
  ['no outputs', () => new engine.Linear(3), /^Linear: outputs is undefined; expected an integer of at least 1$/],
  [
    'an option of Linear',
    () => new engine.Linear(3, 4, { biases: false }),
    /^Linear: there is no option "biases"; expected bias, init$/,
  ],
  [
    'an option of BatchNorm',
    () => new engine.BatchNorm(3, { epsilon: 1e-3 }),
    /^BatchNorm: there is no option "epsilon"; expected eps, momentum$/,
  ],
  [
    'layers side by side',
    () => new engine.Sequential(new E.PReLU(1), new E.PReLU(1)),
    /^Sequential: layers is a PReLU; expected an array of layers$/,
  ],
  [
    'a function among layers',
    () => new engine.Sequential([E.exp]),
    /^Sequential: layer 0 is a function; expected a layer$/,
  ],
  ['a body', () => new engine.Residual(E.exp), /^Residual: the part "body" is a function; expected a module$/],
  ['clipping', (x) => engine.clipGradients(x, 1), /^clipGradients: grads is a Tensor; expected/],
];

const TAPES: Mistake[] = [
  [
    'null for a scale',
    (x) => withOptimizer(x, (adam) => adam.step(new Map([[x, x]]), 0.5, null)),
    /^step: scale is null; expected a tensor$/,
  ],
  [
    'a number for a gradient',
    (x) => withOptimizer(x, (adam) => adam.step(new Map([[x, 5]]), 0.5)),
    /^step: the gradient of x is the number 5; expected a tensor$/,
  ],
  [
    'a seed of integers',
    (x, gpu) => summed(x, (tape, y) => tape.gradients(y, [x], E.Tensor.from(gpu, [1], [], 'int32'))),
    /^gradients: the seed is a Tensor; expected a tensor of float32$/,
  ],
  [
    'not recorded',
    (x) => new E.Tape().gradients(E.sum(x), [x]),
    /^gradients: this tape recorded no way from the output to the tensor asked for: compute the output inside record\(\)$/,
  ],
  [
    'another tape',
    (x) =>
      new E.Tape().gradients(
        new E.Tape().record(() => E.sum(x)),
        [x, x],
      ),
    /^gradients: this tape recorded no way/,
  ],
  [
    'nothing asked for',
    (x) => summed(x, (tape, y) => tape.gradients(y, [])),
    /^gradients: wrt is empty; expected at least one tensor$/,
  ],
  [
    'one tensor',
    (x) => summed(x, (tape, y) => tape.gradients(y, x)),
    /^gradients: wrt is a Tensor; expected an array of tensors$/,
  ],
  [
    'no list',
    (x) => summed(x, (tape, y) => tape.gradients(y)),
    /^gradients: wrt is undefined; expected an array of tensors$/,
  ],
  [
    'parameters',
    (x, gpu) => withLayer(gpu, ({ weight }) => summed(x, (tape, y) => tape.gradients(y, [weight]))),
    /^gradients: wrt\[0\] is a Parameter; expected a tensor, here its .tensor$/,
  ],
  [
    'a map',
    (x) => summed(x, (tape, y) => tape.gradients(y, new Map([['x', x]]))),
    /^gradients: wrt\[0\] is the array \["x",…\]|^gradients: wrt\[0\] is the array \[x,…\]; expected a tensor$/,
  ],
  [
    'a figure for the output',
    (x) => summed(x, (tape) => tape.gradients(3, [x])),
    /^gradients: the output is the number 3; expected a tensor$/,
  ],
  [
    'a seed',
    (x) => summed(x, (tape, y) => tape.gradients(y, [x], 1)),
    /^gradients: the seed is the number 1; expected a tensor$/,
  ],
  ['no body', () => (new E.Tape() as Any).record(), /^record: body is undefined; expected a function$/],
  ['an asynchronous body', () => (new E.Tape() as Any).record(async () => {}), /^record: the body must be synchronous/],
  ['a scope without a device', () => engine.scope(() => {}), /^scope: gpu is a function; expected a Gpu$/],
  [
    'a step without names',
    (x, gpu) => engine.recordStep(gpu, { x }, () => E.exp(x)),
    /^recordStep: the result is a Tensor; expected an object of tensors$/,
  ],
  [
    'an operation without a gradient',
    (_, gpu) => engine.defineOp({ name: 'mine', shape: () => [], forward: () => gpu }),
    /^defineOp: backward is undefined; expected a function$/,
  ],
];

const weights = (gpu: E.Gpu): E.Tensor => E.Tensor.zeros(gpu, [3, 3, 3, 2]);

function withLayer(gpu: E.Gpu, run: (layer: E.PReLU) => unknown): void {
  const layer = new E.PReLU(1).initialize(gpu, 1);
  try {
    run(layer);
  } finally {
    layer.dispose();
  }
}

function withOptimizer(x: E.Tensor, run: (adam: Any) => void): void {
  const adam = new E.Adam(new Map([['x', x]]));
  try {
    run(adam);
  } finally {
    adam.dispose();
  }
}

function summed(x: E.Tensor, run: (tape: Any, y: E.Tensor) => unknown): unknown {
  const tape = new E.Tape();
  return run(
    tape,
    tape.record(() => E.sum(x)),
  );
}

for (const [group, mistakes] of Object.entries({ operations: OPERATIONS, networks: NETWORKS, tapes: TAPES })) {
  test(`${group}: each mistake is an error that names it, before any kernel runs`, async () => {
    const gpu = await testGpu();
    const wrong: string[] = [];
    for (const [what, run, message] of mistakes) {
      E.scope(gpu, () => {
        const x = E.Tensor.zeros(gpu, [1, 4, 4, 3]);
        const { dispatches } = gpu;
        try {
          run(x, gpu);
          wrong.push(`${what}: there is no error`);
        } catch (error) {
          const { name, message: text } = error as Error;
          if (!(error instanceof CameoError) || !message.test(text)) wrong.push(`${what}: ${name}: ${text}`);
        }
        if (group !== 'tapes' && gpu.dispatches !== dispatches) wrong.push(`${what}: a kernel ran`);
      });
    }
    assert.is(wrong.join('\n'), '');
  });
}

test('gradients, seeds and scales of another device are refused', async () => {
  const gpu = await testGpu();
  await withOwnGpu({}, async (other) => {
    const [x, here] = [E.Tensor.from(gpu, [1]), E.Tensor.from(gpu, [2])];
    const [there, scale] = [E.Tensor.from(other, [1]), E.Tensor.scalar(other, 1)];
    const refuses = (body: () => unknown, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));
    withOptimizer(x, (adam) => {
      refuses(() => adam.step(new Map([[x, there]]), 0.1), /^step: x, its gradient and the scale live on different/);
      refuses(() => adam.step(new Map([[x, here]]), 0.1, scale), /^step: x, its gradient and the scale live on/);
      assert.is(adam.stepCount, 0);
    });
    E.scope(gpu, () => {
      const tape = new E.Tape();
      const y = tape.record(() => E.square(x));
      refuses(() => tape.gradients(y, [x], there), /^gradients: the seed lives on another device than the output$/);
    });
    for (const tensor of [x, here, there, scale]) tensor.dispose();
    await gpu.sync();
    await other.sync();
  });
});

test('a number may be given in place of a pair, in operations as in layers', async () => {
  const gpu = await testGpu();
  const values = Float32Array.from({ length: 48 }, (_, k) => Math.sin(k));
  const read = async (run: (x: E.Tensor) => E.Tensor) => {
    const y = E.scope(gpu, () => run(E.Tensor.from(gpu, values, [1, 4, 4, 3])));
    const result = [y.shape, [...(await y.read())]];
    y.dispose();
    return result;
  };
  const w = (length: number) => E.Tensor.from(gpu, values.subarray(0, length), [3, 3, 3, length / 27]);
  const same: [(x: E.Tensor) => E.Tensor, (x: E.Tensor) => E.Tensor][] = [
    [(x) => E.maxPool2d(x, { kernel: 2 }), (x) => E.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] })],
    [
      (x) => E.avgPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
      (x) => E.avgPool2d(x, { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] }),
    ],
    [
      (x) => E.avgPool2d(x, { kernel: [3, 2], padding: [2, 1] }),
      (x) => E.avgPool2d(x, { kernel: [3, 2], stride: [3, 2], padding: [2, 2, 1, 1] }),
    ],
    [
      (x) => E.conv2d(x, w(27), null, { padding: 1, stride: 2 }),
      (x) => E.conv2d(x, w(27), null, { padding: [1, 1, 1, 1], stride: [2, 2] }),
    ],
    [
      (x) => E.conv2d(x, w(27), null, { padding: [2, 1], dilation: 2 }),
      (x) => E.conv2d(x, w(27), null, { padding: [2, 2, 1, 1], dilation: [2, 2] }),
    ],
    [
      (x) => E.convTranspose2d(x, w(27).view([3, 3, 1, 3]), null, { stride: 2, outputPadding: 1 }),
      (x) => E.convTranspose2d(x, w(27).view([3, 3, 1, 3]), null, { stride: [2, 2], outputPadding: [1, 1] }),
    ],
    [(x) => E.upsampleNearest(x, 2), (x) => E.upsampleNearest(x, [2, 2])],
    [(x) => E.upsampleBilinear(x, 7), (x) => E.upsampleBilinear(x, [7, 7])],
    [(x) => E.maxPool2d(x, { kernel: 2, stride: undefined }), (x) => E.maxPool2d(x, { kernel: 2 })],
  ];
  for (const [short, long] of same) assert.equal(await read(short), await read(long));
});

test.run();
