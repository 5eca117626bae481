import * as assert from 'uvu/assert';
import { ArgumentError, FormatError, ShapeError } from '../../src/common/errors.js';
import { BatchNorm } from '../../src/nn/layers/batch-norm.js';
import { Conv2d } from '../../src/nn/layers/conv.js';
import { fromPyTorchLayout, toPyTorchLayout } from '../../src/nn/layout.js';
import { loadState, saveState } from '../../src/nn/state.js';
import { importOnnx, type OnnxModule, UnsupportedModelError } from '../../src/onnx/index.js';
import { add, mul } from '../../src/ops/binary.js';
import { matmul } from '../../src/ops/matmul/matmul.js';
import { prelu } from '../../src/ops/prelu.js';
import { mean, sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { transpose } from '../../src/ops/transpose.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { type ArraySpec, type GraphSpec, onnxFile } from '../helpers/onnx-writer.js';

const test = gpuSuite('onnx import');

const random = (dims: number[], seed: number, range?: [number, number]): ArraySpec => ({
  dims,
  values: [
    ...randomValues(
      dims.reduce((a, b) => a * b, 1),
      seed,
      range,
    ),
  ],
});

/** conv → batch norm → PReLU → pooled → flattened → linear. */
const NETWORK: GraphSpec = {
  nodes: [
    {
      op: 'Conv',
      name: 'first conv',
      inputs: ['x', 'conv.weight', 'conv.bias'],
      outputs: ['c'],
      attributes: { pads: { ints: [1, 1, 1, 1] }, strides: { ints: [2, 1] } },
    },
    {
      op: 'BatchNormalization',
      name: 'norm',
      inputs: ['c', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'],
      outputs: ['n'],
    },
    { op: 'PRelu', name: 'act', inputs: ['n', 'slope'], outputs: ['a'] },
    { op: 'GlobalAveragePool', name: 'pool', inputs: ['a'], outputs: ['p'] },
    { op: 'Flatten', name: 'flat', inputs: ['p'], outputs: ['f'] },
    {
      op: 'Gemm',
      name: 'last',
      inputs: ['f', 'fc.weight', 'fc.bias'],
      outputs: ['y'],
      attributes: { transB: { i: 1 } },
    },
  ],
  inputs: [{ name: 'x', shape: ['batch', 3, 'h', 'w'] }],
  outputs: [{ name: 'y', shape: ['batch', 4] }],
  initializers: {
    'conv.weight': random([5, 3, 3, 3], 1),
    'conv.bias': random([5], 2),
    'bn.weight': random([5], 3, [0.5, 2]),
    'bn.bias': random([5], 4),
    'bn.running_mean': random([5], 5),
    'bn.running_var': random([5], 6, [0.5, 2]),
    slope: random([5, 1, 1], 7),
    'fc.weight': random([4, 5], 8),
    'fc.bias': random([4], 9),
  },
};

/** The same network of layers, from the middle of which the product with the last weights is left to `ending`. */
async function sameNetwork(module: OnnxModule) {
  const gpu = await testGpu();
  const conv = new Conv2d(3, 5, 3, { padding: 1, stride: [2, 1] });
  const norm = new BatchNorm(5);
  const state = toPyTorchLayout(module, await saveState(module));
  const part = (prefix: string) =>
    new Map([...state].filter(([name]) => name.startsWith(prefix)).map(([name, x]) => [name.slice(prefix.length), x]));
  loadState(conv, fromPyTorchLayout(conv, part('conv.')), gpu);
  loadState(norm, part('bn.'), gpu);
  const rest = (name: string, shape: number[]) => Tensor.from(gpu, state.get(name)!.data, shape);
  const [slope, weight, bias] = [rest('slope', [5]), rest('fc.weight', [4, 5]), rest('fc.bias', [4])];
  const forward = (x: Tensor): Tensor => {
    const a = prelu(norm.forward(conv.forward(transpose(x, [0, 2, 3, 1]))), slope);
    return add(matmul(mean(a, [1, 2]), weight, { transposeB: true }), bias);
  };
  return { conv, norm, slope, weight, bias, forward };
}

test('a network of layers gives the same outputs and gradients', async () => {
  const gpu = await testGpu();
  const module = importOnnx(gpu, onnxFile(NETWORK));
  assert.equal(
    [...module.parameters().keys()].sort(),
    Object.keys(NETWORK.initializers!)
      .filter((name) => !name.includes('running'))
      .sort(),
  );
  assert.equal(module.inputNames, ['x']);
  assert.equal(module.outputNames, ['y']);
  assert.equal(module.inputShape('x'), ['batch', 3, 'h', 'w']);
  assert.equal([...module.entries().get('conv.weight')!.shape], [3, 3, 3, 5]);
  const own = await sameNetwork(module);
  for (const training of [false, true]) {
    module.train(training);
    own.norm.train(training);
    const x = Tensor.from(gpu, randomValues(2 * 3 * 7 * 6, 10), [2, 3, 7, 6]);
    const dy = Tensor.from(gpu, randomValues(8, 11), [2, 4]);
    const results = scope(gpu, () => {
      const both = [
        {
          forward: (t: Tensor) => module.forward(t) as Tensor,
          names: (name: string) => module.parameters().get(name)!,
        },
        {
          forward: own.forward,
          names: (name: string) =>
            ({
              'conv.weight': own.conv.weight.tensor,
              slope: own.slope,
              'bn.weight': own.norm.weight.tensor,
              'fc.weight': own.weight,
            })[name]!,
        },
      ];
      return both.map(({ forward, names }) => {
        const tape = new Tape();
        const y = tape.record(() => forward(x));
        const loss = tape.record(() => sum(mul(y, dy)));
        const wrt = [x, names('conv.weight'), names('slope'), names('bn.weight'), names('fc.weight')];
        const gradients = tape.gradients(loss, wrt);
        return [y, ...wrt.map((tensor) => gradients.get(tensor)!)];
      });
    });
    const [imported, layers] = await Promise.all(
      results.map((list) => Promise.all(list.map((tensor) => tensor.read()))),
    );
    imported.forEach((values, k) => {
      assertClose(`training ${training}, result ${k}`, values, layers[k], { sumLength: 400 });
    });
    for (const tensor of [x, dy, ...results.flat()]) tensor.dispose();
  }
  // Both moved their running statistics.
  const [moved, expected] = await Promise.all([
    module.stateTensors().get('bn.running_mean')!.read(),
    own.norm.runningMean.tensor.read(),
  ]);
  assertClose('running mean', moved, expected);
  const before = Float32Array.from(NETWORK.initializers!['bn.running_mean'].values!);
  assert.not.equal([...moved], [...before]);
  for (const owned of [own.conv, own.norm, own.slope, own.weight, own.bias, module]) owned.dispose();
});

test('the batch and the sizes are those of the call; without a tape, steps are fused', async () => {
  const gpu = await testGpu();
  const module = importOnnx(gpu, onnxFile(NETWORK));
  const nhwc = importOnnx(gpu, onnxFile(NETWORK), { layout: 'nhwc' });
  for (const [n, h, w] of [
    [1, 3, 3],
    [3, 8, 5],
  ]) {
    const x = Tensor.from(gpu, randomValues(n * 3 * h * w, n), [n, 3, h, w]);
    const channelsLast = scope(gpu, () => transpose(x, [0, 2, 3, 1]));
    const tape = new Tape();
    const results = scope(gpu, () => [
      tape.record(() => module.forward(x) as Tensor),
      module.forward(x) as Tensor,
      nhwc.forward({ x: channelsLast }) as Tensor,
    ]);
    const [recorded, fused, last] = await Promise.all(results.map((tensor) => tensor.read()));
    assert.equal([...results[1].shape], [n, 4]);
    assertClose('fused', fused, recorded, { sumLength: 30 });
    assertClose('channels last', last, recorded, { sumLength: 30 });
    for (const tensor of [x, channelsLast, ...results]) tensor.dispose();
  }
  module.dispose();
  nhwc.dispose();
});

test('a recorded step runs the network again', async () => {
  const gpu = await testGpu();
  const module = importOnnx(gpu, onnxFile(NETWORK));
  const x = Tensor.from(gpu, randomValues(2 * 3 * 5 * 5, 20), [2, 3, 5, 5]);
  const step = recordStep(gpu, { x }, ({ x }) => ({ y: module.forward(x) as Tensor }));
  for (const seed of [21, 22]) {
    x.write(randomValues(2 * 3 * 5 * 5, seed));
    step.run();
    const y = module.forward(x) as Tensor;
    assert.equal([...(await step.outputs.y.read())], [...(await y.read())]);
    y.dispose();
  }
  step.dispose();
  x.dispose();
  module.dispose();
});

test('shapes are computed on the host, constants are folded, and transposes cancel', async () => {
  const gpu = await testGpu();
  const one = (value: number): ArraySpec => ({ dims: [1], values: [value], type: 7 });
  // x [N, C, H, W] → [N, C·H, W], where C·H is computed from the shape of x.
  const module = importOnnx(
    gpu,
    onnxFile({
      nodes: [
        { op: 'Transpose', inputs: ['x'], outputs: ['last'], attributes: { perm: { ints: [0, 2, 3, 1] } } },
        { op: 'Relu', inputs: ['last'], outputs: ['r'] },
        { op: 'Transpose', inputs: ['r'], outputs: ['back'], attributes: { perm: { ints: [0, 3, 1, 2] } } },
        { op: 'Shape', inputs: ['x'], outputs: ['shape'] },
        { op: 'Slice', inputs: ['shape', 'from', 'to'], outputs: ['middle'] },
        { op: 'ReduceProd', inputs: ['middle'], outputs: ['product'], attributes: { keepdims: { i: 1 } } },
        { op: 'Add', inputs: ['two', 'minus'], outputs: ['one'] },
        { op: 'Gather', inputs: ['shape', 'zero'], outputs: ['n'] },
        { op: 'Unsqueeze', inputs: ['n', 'zeroAxis'], outputs: ['n1'] },
        { op: 'Sub', inputs: ['one', 'two'], outputs: ['free'] },
        { op: 'Concat', inputs: ['n1', 'product', 'free'], outputs: ['wanted'], attributes: { axis: { i: 0 } } },
        { op: 'Reshape', inputs: ['back', 'wanted'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x' }],
      outputs: ['y', 'wanted'],
      initializers: {
        from: one(1),
        to: one(3),
        two: one(2),
        minus: one(-1),
        zero: { dims: [], values: [0], type: 7 },
        zeroAxis: one(0),
      },
    }),
  );
  assert.is(module.parameters().size, 0);
  const values = randomValues(2 * 3 * 4 * 5, 30);
  const x = Tensor.from(gpu, values, [2, 3, 4, 5]);
  const { y, wanted } = module.run({ x });
  assert.equal([...y.shape], [2, 12, 5]);
  assert.equal([...(await y.read())], [...values.map((value) => Math.max(value, 0))]);
  assert.is(wanted.dtype, 'int32');
  assert.equal([...(await wanted.read())], [2, 12, -1]);
  for (const tensor of [x, y, wanted]) tensor.dispose();
  module.dispose();
});

test('what is not supported is listed with nodes and operators before any GPU work', async () => {
  const gpu = await testGpu();
  const file = onnxFile({
    nodes: [
      { op: 'Relu', name: 'fine', inputs: ['x'], outputs: ['a'] },
      { op: 'Fancy', name: 'one', inputs: ['a'], outputs: ['b'] },
      { op: 'Relu', name: 'two', inputs: ['b'], outputs: ['c'], domain: 'com.example' },
      { op: 'Gemm', name: 'three', inputs: ['c', 'c'], outputs: ['d'], attributes: { broadcast: { i: 1 } } },
      { op: 'Cast', inputs: ['d'], outputs: ['e'], attributes: { to: { i: 8 } } },
    ],
    inputs: [{ name: 'x' }],
    outputs: ['e'],
    initializers: { unused: { dims: [1000], values: new Array(1000).fill(0) } },
  });
  const { liveBytes } = gpu.pool;
  assert.throws(
    () => importOnnx(gpu, file),
    (error: Error) =>
      error instanceof UnsupportedModelError &&
      /Fancy \(node "one"\): operator; Relu \(node "two"\): domain "com\.example"; Gemm \(node "three"\): attribute broadcast; Cast \(node "e"\): makes values of string/.test(
        error.message,
      ) &&
      error.parts.length === 4 &&
      error.parts[0].operator === 'Fancy',
  );
  assert.is(gpu.pool.liveBytes, liveBytes);
  const old = onnxFile(
    { nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }], inputs: [{ name: 'x' }], outputs: ['y'] },
    6,
  );
  assert.throws(() => importOnnx(gpu, old), /version 6 of the operators; expected 7 to/);
  const text = onnxFile({ nodes: [], inputs: [{ name: 'x', type: 8 }], outputs: ['x'] });
  assert.throws(() => importOnnx(gpu, text), /"x" is of string/);
});

test('sizes that depend on values of the GPU are refused by name at the call', async () => {
  const gpu = await testGpu();
  const module = importOnnx(
    gpu,
    onnxFile({
      nodes: [{ op: 'Reshape', name: 'r', inputs: ['x', 'shape'], outputs: ['y'] }],
      inputs: [{ name: 'x' }, { name: 'shape', type: 7 }],
      outputs: ['y'],
    }),
  );
  const x = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const shape = Tensor.from(gpu, [2, 2], [2], 'int32');
  assert.throws(
    () => module.run({ x, shape }),
    (error: Error) =>
      error instanceof UnsupportedModelError &&
      /Reshape \(node "r"\): the values of its input "shape" must be known/.test(error.message),
  );
  const y = module.forward(x, [2, 2]) as Tensor;
  assert.equal([...y.shape], [2, 2]);
  assert.throws(
    () => module.run({ x, shape: [3, 2] }),
    (error: Error) => error instanceof ShapeError && /Reshape \(node "r"\)/.test(error.message),
  );
  assert.throws(
    () => module.run({ x }),
    (error: Error) => error instanceof ArgumentError && /input "shape" is missing/.test(error.message),
  );
  assert.throws(() => module.run({ x, other: x } as never), /there is no option "other"/);
  assert.throws(() => module.run({ x: shape, shape: [2, 2] }), /the input "x" is "int32"/);
  assert.throws(() => module.forward(x, x, x), /3 inputs; expected 2: x, shape/);
  for (const tensor of [x, shape, y]) tensor.dispose();
  module.dispose();
});

test('all types of arrays are read, and integers that int32 does not hold are refused', async () => {
  const gpu = await testGpu();
  const read = async (array: ArraySpec, cast?: number): Promise<number[]> => {
    const nodes = cast
      ? [{ op: 'Cast', inputs: ['c'], outputs: ['y'], attributes: { to: { i: cast } } }]
      : [{ op: 'Identity', inputs: ['c'], outputs: ['y'] }];
    const module = importOnnx(gpu, onnxFile({ nodes, inputs: [], outputs: ['y'], initializers: { c: array } }));
    try {
      const y = module.forward() as Tensor;
      const values = [...(await y.read())];
      y.dispose();
      return values;
    } finally {
      module.dispose();
    }
  };
  assert.equal(await read({ dims: [2], values: [1.5, -2] }), [1.5, -2]);
  assert.equal(await read({ dims: [2], values: [1.5, -2], type: 11 }), [1.5, -2]);
  assert.equal(await read({ dims: [4], values: [0x3e00, 0xc000, 0x7c00, 1], type: 10 }), [1.5, -2, Infinity, 2 ** -24]);
  assert.equal(await read({ dims: [2], values: [0x3fc0, 0xc000], type: 16 }), [1.5, -2]);
  assert.equal(await read({ dims: [2], values: [2 ** 31 - 1, -5], type: 7 }), [2 ** 31 - 1, -5]);
  assert.equal(await read({ dims: [2], values: [7, -5], type: 6 }), [7, -5]);
  assert.equal(await read({ dims: [2], values: [200, 255], type: 2 }, 6), [200, 255]);
  assert.equal(await read({ dims: [2], values: [200, 255], type: 3 }, 6), [-56, -1]);
  assert.equal(await read({ dims: [3], values: [0, 1, 1], type: 9 }), [0, 1, 1]);
  for (const value of [2 ** 31, -(2 ** 62)]) {
    const error = await read({ dims: [1], values: [value], type: 7 }).catch((e) => e);
    assert.instance(error, ArgumentError);
    assert.match(error.message, /does not fit int32/);
  }
});

test('a file in a view of a larger buffer gives the same', async () => {
  const gpu = await testGpu();
  const bytes = onnxFile(NETWORK);
  for (const offset of [0, 1]) {
    // As small Buffers of Node are.
    const larger = new Uint8Array(offset + 8 + bytes.length);
    larger.set(bytes, offset + 8);
    const module = importOnnx(gpu, larger.subarray(offset + 8));
    assert.equal(
      [...(await module.parameters().get('fc.weight')!.read())],
      [...Float32Array.from(NETWORK.initializers!['fc.weight'].values!)],
    );
    module.dispose();
  }
});

test('arrays in other files are read through the option external, within their bounds', async () => {
  const gpu = await testGpu();
  const file = (external: Record<string, string>) =>
    onnxFile({
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x' }],
      outputs: ['y'],
      initializers: { w: { dims: [2], external } },
    });
  const data = new Uint8Array(Float32Array.from([9, 2, 3, 9]).buffer);
  const asked: string[] = [];
  const external = (location: string): Uint8Array => {
    asked.push(location);
    return data;
  };
  const module = importOnnx(gpu, file({ location: 'w.bin', offset: '4', length: '8' }), { external });
  assert.equal(asked, ['w.bin']);
  assert.equal([...(await module.parameters().get('w')!.read())], [2, 3]);
  module.dispose();
  const refused = (given: Record<string, string>, message: RegExp, read = external) =>
    assert.throws(
      () => importOnnx(gpu, file(given), { external: read }),
      (error: Error) => error instanceof FormatError && message.test(error.message),
    );
  refused({ location: 'w.bin', offset: '12', length: '8' }, /needs 8 bytes of "w.bin"; it gives 8 at 12 of 16/);
  refused({ location: 'w.bin', length: '4' }, /it gives 4 at 0 of 16/);
  refused({ location: 'w.bin', offset: '-4' }, /offset "-4"/);
  refused({ offset: '0' }, /without a name/);
  assert.throws(() => importOnnx(gpu, file({ location: 'w.bin' })), /give the option external/);
  refused({ location: 'w.bin' }, /gave no Uint8Array/, () => 'text' as never);
});

test.run();
