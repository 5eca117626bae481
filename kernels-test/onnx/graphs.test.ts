import * as assert from 'uvu/assert';
import { BatchNorm, Conv2d, Flatten, Linear, MaxPool2d, PReLU, Residual, Sequential } from '../../src/nn/index.js';
import { exportOnnx } from '../../src/onnx/export/export.js';
import { importOnnx, type OnnxInput, UnsupportedModelError } from '../../src/onnx/index.js';
import { Tape } from '../../src/ops/tape.js';
import { ones } from '../../src/tensor/create.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { type AnyTensor, scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { type ArraySpec, type GraphSpec, type NodeSpec, onnxFile } from '../helpers/onnx-writer.js';

const test = gpuSuite('onnx graphs');

const scalar = (value: number, type = 7): ArraySpec => ({ dims: [], values: [value], type });
const list = (values: number[], type = 7): ArraySpec => ({ dims: [values.length], values, type });

interface Result {
  shape: number[];
  values: number[];
}

/** Runs a graph, whose inputs are given as values with a shape, and frees everything. */
async function run(
  spec: GraphSpec,
  inputs: Record<string, [number[], number[]] | OnnxInput>,
  opset?: number,
): Promise<Result[]> {
  const gpu = await testGpu();
  const module = importOnnx(gpu, onnxFile(spec, opset));
  const made: AnyTensor[] = [];
  const given = Object.entries(inputs).map(([name, input]) => {
    if (!Array.isArray(input) || !Array.isArray(input[0])) return [name, input];
    made.push(Tensor.from(gpu, input[1] as number[], input[0] as number[]));
    return [name, made[made.length - 1]];
  });
  try {
    const outputs = Object.values(module.run(Object.fromEntries(given)));
    made.push(...outputs);
    return await Promise.all(
      outputs.map(async (tensor) => ({ shape: [...tensor.shape], values: [...(await tensor.read())] })),
    );
  } finally {
    for (const tensor of made) tensor.dispose();
    module.dispose();
  }
}

/** The same of one node. */
const runNode = (
  node: Partial<NodeSpec> & { op: string },
  inputs: Record<string, [number[], number[]] | OnnxInput>,
  opset?: number,
  initializers = {},
) =>
  run(
    {
      nodes: [{ inputs: [...Object.keys(inputs), ...Object.keys(initializers)], outputs: ['y'], ...node }],
      inputs: Object.keys(inputs).map((name) => ({ name })),
      outputs: node.outputs ?? ['y'],
      initializers,
    },
    inputs,
    opset,
  );

const PICTURE: [number[], number[]] = [
  [1, 2, 2, 2],
  [1, 2, 3, 4, 5, 6, 7, 8],
];
/** A 1x1 convolution that keeps both channels, with 10 added to the second; its result lies channels last. */
const KEEP: NodeSpec = { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'] };
const KEPT = { w: { dims: [2, 2, 1, 1], values: [1, 0, 0, 1] }, b: { dims: [2], values: [0, 10] } };
const CHANNELS = [1, 2, 3, 4, 15, 16, 17, 18];

test('the rest of a division is exact, with the sign of the divisor or, for fmod, of the dividend', async () => {
  const a = [1e9, 123456792, -1e9, 1e30, 1, -1, 1e38].map(Math.fround);
  const b = [3, 7, 3, 7, 0.1, 0.1, 1e-10].map(Math.fround);
  const both: Record<string, [number[], number[]]> = { a: [[7], a], b: [[7], b] };
  const rest = a.map((value, k) => value % b[k]);
  const [fmod] = await runNode({ op: 'Mod', attributes: { fmod: { i: 1 } } }, both);
  assert.equal(fmod.values, rest);
  const [floored] = await runNode({ op: 'Mod' }, both);
  assert.equal(
    floored.values,
    rest.map((value, k) => Math.fround(value < 0 ? value + b[k] : value)),
  );
  const [negative] = await runNode({ op: 'Mod', attributes: { fmod: { i: 1 } } }, { a: [[1], [-6]], b: [[1], [3]] });
  assert.ok(Object.is(negative.values[0], -0));
});

test('sizes that keep the ratio are taken at places by their common factor', async () => {
  const x: [number[], number[]] = [[1, 1, 3, 5], Array.from({ length: 15 }, (_, k) => k)];
  const resized = async (policy: string, sizes: number[], mode = 'linear') => {
    const attributes = { axes: { ints: [2, 3] }, mode: { s: mode }, keep_aspect_ratio_policy: { s: policy } };
    const spec: GraphSpec = {
      nodes: [{ op: 'Resize', inputs: ['x', '', '', 'sizes'], outputs: ['y'], attributes }],
      inputs: [{ name: 'x' }],
      outputs: ['y'],
      initializers: { sizes: list(sizes) },
    };
    return (await run(spec, { x }, 19))[0];
  };
  // By the factor 4/5, row r comes from (r + 1/2) / 0.8 − 1/2.
  const down = await resized('not_smaller', [2, 4]);
  assert.equal(down.shape, [1, 1, 2, 4]);
  assertClose('not smaller', down.values, [0.75, 2, 3.25, 4.5, 7, 8.25, 9.5, 10.75]);
  // By the factor 2/3, five columns make 10/3, which is rounded.
  const less = await resized('not_larger', [2, 4]);
  assert.equal(less.shape, [1, 1, 2, 3]);
  assertClose('not larger', less.values, [1.5, 3, 4.5, 9, 10.5, 12]);
  const stretched = await resized('stretch', [2, 4]);
  assertClose('stretch', stretched.values, [1.375, 2.625, 3.875, 5.125, 8.875, 10.125, 11.375, 12.625]);
});

test('rows of zeros and of −∞ have gradients that are numbers', async () => {
  const gpu = await testGpu();
  const cases: [Partial<NodeSpec> & { op: string }, number[], y: number[], dx: number[]][] = [
    [{ op: 'ReduceL2', attributes: { axes: { ints: [1] } } }, [0, 0, 3, 4], [0, 5], [0, 0, 0.6, 0.8]],
    [
      { op: 'ReduceLogSumExp', attributes: { axes: { ints: [1] } } },
      [-Infinity, -Infinity, 1000, 1000],
      [-Infinity, 1000 + Math.log(2)],
      [0, 0, 0.5, 0.5],
    ],
    [{ op: 'LpNormalization' }, [0, 0, 3, 4], [0, 0, 0.6, 0.8], [1, 1, (0.8 - 0.6) * 0.16, (0.6 - 0.8) * 0.12]],
    [{ op: 'LpNormalization', attributes: { p: { i: 1 } } }, [0, 0, 3, -1], [0, 0, 0.75, -0.25], [1, 1, 0.125, 0.375]],
    [
      { op: 'MeanVarianceNormalization', attributes: { axes: { ints: [1] } } },
      [2, 2, 3, 5],
      [0, 0, -1, 1],
      [0, 0, 0, 0],
    ],
  ];
  for (const [node, values, expected, gradient] of cases) {
    const spec = { nodes: [{ inputs: ['x'], outputs: ['y'], ...node }], inputs: [{ name: 'x' }], outputs: ['y'] };
    const module = importOnnx(gpu, onnxFile(spec));
    const [y, dx] = scope(gpu, () => {
      const x = Tensor.from(gpu, values, [2, 2]);
      const tape = new Tape();
      const y = tape.record(() => module.forward(x) as Tensor);
      return [y, tape.gradients(y, [x], ones(gpu, y.shape)).get(x)!];
    });
    assertClose(node.op, await y.read(), expected);
    assertClose(`${node.op} gradient`, await dx.read(), gradient, { scale: 1 });
    for (const owned of [y, dx, module]) owned.dispose();
  }
});

test('operators of integers give integers', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [-7, 2, 3, -4], [2, 2], 'int32');
  const axes = { axes: { ints: [1] } };
  const cases: [Partial<NodeSpec> & { op: string }, number[], initializers?: Record<string, ArraySpec>][] = [
    [{ op: 'Relu' }, [0, 2, 3, 0]],
    [{ op: 'Sign' }, [-1, 1, 1, -1]],
    [{ op: 'ReduceMean', attributes: axes }, [-2, 0]],
    [{ op: 'ReduceL1', attributes: axes }, [9, 7]],
    [{ op: 'ReduceSumSquare', attributes: axes }, [53, 25]],
    [{ op: 'ReduceL2', attributes: axes }, [7, 5]],
    [{ op: 'Pow' }, [49, 4, 9, 16], { e: scalar(2) }],
    [{ op: 'Pow' }, [-343, 8, 27, -64], { e: scalar(3) }],
    [{ op: 'Pow' }, [-7, 8, 3, -64], { e: list([1, 3]) }],
    [{ op: 'Pow' }, [49, 1, 9, 2], { e: { dims: [2, 2], values: [2, 0.5, 2, 0.5] } }],
  ];
  for (const [node, expected, initializers] of cases) {
    const given = node.op === 'Pow' && expected[1] === 1 ? Tensor.from(gpu, [-7, 2, 3, 4], [2, 2], 'int32') : x;
    const spec: GraphSpec = {
      nodes: [{ inputs: ['x', ...Object.keys(initializers ?? {})], outputs: ['y'], ...node }],
      inputs: [{ name: 'x', type: 6 }],
      outputs: ['y'],
      initializers,
    };
    const module = importOnnx(gpu, onnxFile(spec));
    const { y } = module.run({ x: given });
    assert.is(y.dtype, 'int32', node.op);
    assert.equal([...(await y.read())], expected, node.op);
    y.dispose();
    module.dispose();
    if (given !== x) given.dispose();
  }
  x.dispose();
});

test('constants: integers cut off, large exponents, empty lists and arrays', async () => {
  const constant = async (op: string, initializers: Record<string, ArraySpec>, attributes = {}) => {
    const nodes: NodeSpec[] = [
      { op, inputs: Object.keys(initializers), outputs: ['c'], attributes },
      { op: 'Add', inputs: ['x', 'c'], outputs: ['y'] },
    ];
    if (Object.values(initializers)[0].type === 7) {
      nodes.splice(1, 0, { op: 'Cast', inputs: ['c'], outputs: ['f'], attributes: { to: { i: 1 } } });
      nodes[2].inputs[1] = 'f';
    }
    const [{ values }] = await run({ nodes, inputs: [{ name: 'x' }], outputs: ['y'], initializers }, { x: [[1], [0]] });
    return values;
  };
  assertClose('log-sum-exp', await constant('ReduceLogSumExp', { a: { dims: [2], values: [1000, 1000] } }), [
    1000 + Math.log(2),
  ]);
  assert.equal(await constant('ReduceMean', { a: list([1, 2]) }), [1]);
  assert.equal(await constant('ReduceL2', { a: list([1, 2]) }), [2]);
  assert.equal(await constant('Pow', { a: list([2, 9]), b: { dims: [], values: [0.5] } }), [1, 3]);

  const shapeOf = async (node: NodeSpec, initializers: Record<string, ArraySpec>) => {
    const nodes = [node, { op: 'Shape', inputs: node.outputs, outputs: ['s'] }];
    const sum: NodeSpec[] = [
      { op: 'Cast', inputs: ['s'], outputs: ['f'], attributes: { to: { i: 1 } } },
      { op: 'Add', inputs: ['x', 'f'], outputs: ['y'] },
    ];
    const spec = { nodes: [...nodes, ...sum], inputs: [{ name: 'x' }], outputs: ['y'], initializers };
    return (await run(spec, { x: [[1], [0]] }))[0].values;
  };
  const empty = { a: { dims: [2, 0] }, b: { dims: [2, 0] } };
  const joined = (axis: number): NodeSpec => ({
    op: 'Concat',
    inputs: ['a', 'b', 'a'],
    outputs: ['c'],
    attributes: { axis: { i: axis } },
  });
  assert.equal(await shapeOf(joined(0), empty), [6, 0]);
  assert.equal(await shapeOf(joined(1), empty), [2, 0]);
  const squeezed = (dims: number[]) => ({ a: { dims, values: [1, 2] }, axes: list([]) });
  const squeeze: NodeSpec = { op: 'Squeeze', inputs: ['a', 'axes'], outputs: ['c'] };
  assert.equal(await shapeOf(squeeze, squeezed([1, 1, 2])), [1, 1, 2]);
});

test('what Pad adds may be infinite', async () => {
  const initializers = { pads: list([1, 0]), value: { dims: [], values: [-Infinity] } };
  const [{ values }] = await runNode({ op: 'Pad' }, { x: [[2], [1, 2]] }, 17, initializers);
  assert.equal(values, [-Infinity, 1, 2]);
});

test('results that lie channels last mix with others in the order of the file', async () => {
  const after = async (node: NodeSpec, initializers: Record<string, ArraySpec> = {}) => {
    const spec = {
      nodes: [KEEP, node],
      inputs: [{ name: 'x' }],
      outputs: ['y'],
      initializers: { ...KEPT, ...initializers },
    };
    return (await run(spec, { x: PICTURE }))[0];
  };
  const two = (op: string, other: string): NodeSpec => ({ op, inputs: ['c', other], outputs: ['y'] });
  const values = async (node: NodeSpec, initializers?: Record<string, ArraySpec>) =>
    (await after(node, initializers)).values;
  assert.equal(await values(two('Add', 'x')), [2, 4, 6, 8, 20, 22, 24, 26]);
  assert.equal(await values({ op: 'Sub', inputs: ['x', 'c'], outputs: ['y'] }), [0, 0, 0, 0, -10, -10, -10, -10]);
  // A constant for each channel, for each column, and of lower rank.
  assert.equal(
    await values(two('Add', 'k'), { k: { dims: [2, 1, 1], values: [100, 200] } }),
    [101, 102, 103, 104, 215, 216, 217, 218],
  );
  assert.equal(
    await values(two('Add', 'k'), { k: { dims: [2], values: [100, 200] } }),
    [101, 202, 103, 204, 115, 216, 117, 218],
  );
  assert.equal(
    await values(two('Add', 'k'), { k: { dims: [], values: [100] } }),
    [101, 102, 103, 104, 115, 116, 117, 118],
  );
  const concat = await after({ op: 'Concat', inputs: ['c', 'x'], outputs: ['y'], attributes: { axis: { i: 1 } } });
  assert.equal(concat, { shape: [1, 4, 2, 2], values: [...CHANNELS, 1, 2, 3, 4, 5, 6, 7, 8] });
  const rows = await after({ op: 'Concat', inputs: ['c', 'x'], outputs: ['y'], attributes: { axis: { i: -1 } } });
  assert.equal(rows.values, [1, 2, 1, 2, 3, 4, 3, 4, 15, 16, 5, 6, 17, 18, 7, 8]);
  assert.equal((await after({ op: 'Flatten', inputs: ['c'], outputs: ['y'] })).values, CHANNELS);
  const sliced = await after(
    { op: 'Slice', inputs: ['c', 'from', 'to', 'axes', 'by'], outputs: ['y'] },
    { from: list([1, -1]), to: list([2, -9]), axes: list([1, 3]), by: list([1, -1]) },
  );
  assert.equal(sliced, { shape: [1, 1, 2, 2], values: [16, 15, 18, 17] });
  const pad = await after(
    { op: 'Pad', inputs: ['c', 'pads'], outputs: ['y'] },
    { pads: list([0, 0, 0, 1, 0, 0, -1, 0]) },
  );
  assert.equal(pad, { shape: [1, 2, 1, 3], values: [0, 1, 2, 0, 15, 16] });
  for (const [axes, keepdims, shape, expected] of [
    [[1], 1, [1, 1, 2, 2], [16, 18, 20, 22]],
    [[1], 0, [1, 2, 2], [16, 18, 20, 22]],
    [[3], 0, [1, 2, 2], [3, 7, 31, 35]],
    [[2, 3], 0, [1, 2], [10, 66]],
    [[], 0, [], [76]],
  ] as const) {
    const node: NodeSpec = {
      op: 'ReduceSum',
      inputs: ['c', 'axes'],
      outputs: ['y'],
      attributes: { keepdims: { i: keepdims } },
    };
    assert.equal(await after(node, { axes: list([...axes]) }), { shape: [...shape], values: [...expected] });
  }
  const split: GraphSpec = {
    nodes: [
      KEEP,
      { op: 'Split', inputs: ['c'], outputs: ['p', 'q'], attributes: { axis: { i: 1 } } },
      { op: 'Sub', inputs: ['q', 'p'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x' }],
    outputs: ['y'],
    initializers: KEPT,
  };
  assert.equal((await run(split, { x: PICTURE }))[0].values, [14, 14, 14, 14]);
});

test('a convolution with what follows it runs as one where no tape records', async () => {
  const gpu = await testGpu();
  const act = (op: string, attributes?: NodeSpec['attributes']): NodeSpec => ({
    op,
    inputs: ['c'],
    outputs: ['y'],
    attributes,
  });
  const initializers = { ...KEPT, b: { dims: [2], values: [-3, -8] } };
  const cases: [string, NodeSpec, number[]][] = [
    ['relu', act('Relu'), [0, 0, 0, 1, 0, 0, 0, 0]],
    ['leaky', act('LeakyRelu', { alpha: { f: 0.5 } }), [-1, -0.5, 0, 1, -1.5, -1, -0.5, 0]],
    ['relu6', { op: 'Clip', inputs: ['c', 'zero', 'six'], outputs: ['y'] }, [0, 0, 0, 1, 0, 0, 0, 0]],
  ];
  for (const [name, node, expected] of cases) {
    const spec: GraphSpec = {
      nodes: [KEEP, node],
      inputs: [{ name: 'x' }],
      outputs: ['y'],
      initializers: { ...initializers, zero: { dims: [], values: [0] }, six: { dims: [], values: [6] } },
    };
    const module = importOnnx(gpu, onnxFile(spec));
    const x = Tensor.from(gpu, PICTURE[1], PICTURE[0]);
    const steps = [false, true].map((taped) =>
      recordStep(gpu, { x }, ({ x }) => {
        const forward = () => module.forward(x) as Tensor;
        return { y: taped ? new Tape().record(forward) : forward() };
      }),
    );
    for (const step of steps) {
      step.run();
      assertClose(name, await step.outputs.y.read(), expected);
    }
    assert.ok(steps[0].dispatches <= steps[1].dispatches);
    for (const owned of [...steps, x, module]) owned.dispose();
  }
});

test('infinity and NaN come through a convolution with its activation, and through slopes', async () => {
  const after = (op: string, alpha?: number) =>
    run(
      {
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
          { op, inputs: ['c'], outputs: ['y'], attributes: alpha === undefined ? {} : { alpha: { f: alpha } } },
        ],
        inputs: [{ name: 'x' }],
        outputs: ['y'],
        initializers: { w: { dims: [1, 1, 1, 1], values: [10] } },
      },
      {
        x: [
          [1, 1, 1, 4],
          [-3e38, 3e38, NaN, -1],
        ],
      },
    ).then(([{ values }]) => values);
  assert.equal(await after('Relu'), [0, Infinity, NaN, 0]);
  assert.equal(await after('LeakyRelu', 0), [0, Infinity, NaN, 0]);
  assert.equal(await after('LeakyRelu', 0.5), [-Infinity, Infinity, NaN, -5]);
  const x: [number[], number[]] = [[6], [Infinity, -Infinity, 1, -1, NaN, 0]];
  const slopes = [0.5, 0.5, 0, 0.25, 0.5, 0.5];
  const [of] = await runNode({ op: 'PRelu' }, { x, s: [[6], slopes] });
  assert.equal(of.values, [Infinity, -Infinity, 1, -0.25, NaN, 0]);
  assert.equal((await runNode({ op: 'PRelu' }, { x, s: [[1], [0]] }))[0].values.slice(0, 1), [Infinity]);
});

test('slopes of PRelu broadcast from the last axis, those of channels have ones behind them', async () => {
  const below: GraphSpec['initializers'] = { w: { dims: [2, 2, 1, 1], values: [-1, 0, 0, -1] } };
  const slopesOf = async (dims: number[], values: number[], opset = 17, picture = PICTURE) => {
    const spec: GraphSpec = {
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'PRelu', inputs: ['c', 's'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x' }],
      outputs: ['y'],
      initializers: { ...below, s: { dims, values } },
    };
    return (await run(spec, { x: picture }, opset))[0].values.map((value) => -value);
  };
  const ofLast = [1, 4, 3, 8, 5, 12, 7, 16];
  const ofChannels = [1, 2, 3, 4, 10, 12, 14, 16];
  assert.equal(await slopesOf([2], [1, 2]), ofLast);
  assert.equal(await slopesOf([1, 1, 1, 2], [1, 2]), ofLast);
  assert.equal(await slopesOf([2, 1, 1], [1, 2]), ofChannels);
  assert.equal(await slopesOf([1, 2, 1, 1], [1, 2]), ofChannels);
  assert.equal(
    await slopesOf([2], [1, 2], 17, [
      [1, 2, 1, 1],
      [3, 4],
    ]),
    [3, 8],
  );
  assert.equal(await slopesOf([1], [2]), [2, 4, 6, 8, 10, 12, 14, 16]);
  assert.equal(await slopesOf([], [2]), [2, 4, 6, 8, 10, 12, 14, 16]);
});

test('graphs in nodes: a choice, a loop and a scan', async () => {
  const branch = (op: string): GraphSpec => ({
    nodes: [{ op, inputs: ['x', 'x'], outputs: ['z'] }],
    inputs: [],
    outputs: ['z'],
  });
  const choice: GraphSpec = {
    nodes: [
      { op: 'Size', inputs: ['x'], outputs: ['n'] },
      { op: 'Greater', inputs: ['n', 'two'], outputs: ['large'] },
      {
        op: 'If',
        inputs: ['large'],
        outputs: ['y'],
        attributes: { then_branch: { g: branch('Add') }, else_branch: { g: branch('Mul') } },
      },
    ],
    inputs: [{ name: 'x' }],
    outputs: ['y'],
    initializers: { two: scalar(2) },
  };
  assert.equal((await run(choice, { x: [[2], [3, 4]] }))[0].values, [9, 16]);
  assert.equal((await run(choice, { x: [[3], [3, 4, 5]] }))[0].values, [6, 8, 10]);
  const body: GraphSpec = {
    nodes: [
      { op: 'Identity', inputs: ['on'], outputs: ['stays'] },
      { op: 'Add', inputs: ['sum', 'x'], outputs: ['more'] },
      { op: 'Identity', inputs: ['more'], outputs: ['seen'] },
    ],
    inputs: [{ name: 'i', type: 7 }, { name: 'on', type: 9 }, { name: 'sum' }],
    outputs: ['stays', 'more', 'seen'],
  };
  const loop: GraphSpec = {
    nodes: [{ op: 'Loop', inputs: ['times', '', 'x'], outputs: ['last', 'all'], attributes: { body: { g: body } } }],
    inputs: [{ name: 'x' }],
    outputs: ['last', 'all'],
    initializers: { times: scalar(3) },
  };
  assert.equal(await run(loop, { x: [[2], [1, 10]] }), [
    { shape: [2], values: [4, 40] },
    { shape: [3, 2], values: [2, 20, 3, 30, 4, 40] },
  ]);
  const step: GraphSpec = {
    nodes: [
      { op: 'Add', inputs: ['state', 'entry'], outputs: ['next'] },
      { op: 'Identity', inputs: ['next'], outputs: ['out'] },
    ],
    inputs: [{ name: 'state' }, { name: 'entry' }],
    outputs: ['next', 'out'],
  };
  const scan: GraphSpec = {
    nodes: [
      {
        op: 'Scan',
        inputs: ['start', 'x'],
        outputs: ['end', 'sums'],
        attributes: { body: { g: step }, num_scan_inputs: { i: 1 } },
      },
    ],
    inputs: [{ name: 'x' }],
    outputs: ['end', 'sums'],
    initializers: { start: { dims: [2], values: [0, 100] } },
  };
  assert.equal(
    await run(scan, {
      x: [
        [3, 2],
        [1, 2, 3, 4, 5, 6],
      ],
    }),
    [
      { shape: [2], values: [9, 112] },
      { shape: [3, 2], values: [1, 102, 4, 106, 9, 112] },
    ],
  );
});

test('what the GPU would have to tell first is refused', async () => {
  const spec: GraphSpec = {
    nodes: [{ op: 'NonZero', name: 'nz', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x' }],
    outputs: ['y'],
  };
  const error = await run(spec, { x: [[2], [1, 0]] }).catch((e) => e);
  assert.instance(error, UnsupportedModelError);
  assert.match(error.message, /NonZero \(node "nz"\): the values of its input "x" must be known/);
  assert.equal(await run(spec, { x: { shape: [2, 2], data: [0, 1, 1, 0] } }), [
    { shape: [2, 2], values: [0, 1, 1, 0] },
  ]);
});

test('versions of operators differ', async () => {
  const x: [number[], number[]] = [
    [2, 2],
    [-1, 0.5, 2, 9],
  ];
  const values = async (...args: Parameters<typeof runNode>) => (await runNode(...args))[0].values;
  assert.equal(await values({ op: 'Clip', attributes: { max: { f: 3 }, min: { f: 0 } } }, { x }, 10), [0, 0.5, 2, 3]);
  assert.equal(
    await values({ op: 'Clip', inputs: ['x', '', 'max'] }, { x }, 13, { max: { dims: [], values: [3] } }),
    [-1, 0.5, 2, 3],
  );
  const cube: [number[], number[]] = [
    [1, 2, 2],
    [0, 0, 0, 0],
  ];
  assert.equal(await values({ op: 'Softmax', attributes: { axis: { i: 1 } } }, { cube }, 12), [0.25, 0.25, 0.25, 0.25]);
  assert.equal(await values({ op: 'Softmax', attributes: { axis: { i: 1 } } }, { cube }, 13), [0.5, 0.5, 0.5, 0.5]);
  const ends = { starts: { ints: [0, 1] }, ends: { ints: [2, 2 ** 31] } };
  assert.equal(await values({ op: 'Slice', attributes: ends }, { x }, 9), [0.5, 9]);
  assert.equal(
    (
      await runNode(
        { op: 'Squeeze', attributes: { axes: { ints: [0] } } },
        {
          x: [
            [1, 2],
            [3, 4],
          ],
        },
        11,
      )
    )[0].shape,
    [2],
  );
  assert.equal((await runNode({ op: 'Unsqueeze' }, { x }, 13, { axes: list([-1, 0]) }))[0].shape, [1, 2, 2, 1]);
  const pads = { pads: { ints: [0, 1, 0, 0] }, value: { f: 7 } };
  assert.equal(await values({ op: 'Pad', attributes: pads }, { x }, 10), [7, -1, 0.5, 7, 2, 9]);
  const picture: [number[], number[]] = [
    [1, 1, 1, 2],
    [1, 2],
  ];
  assert.equal(
    await values(
      { op: 'Upsample', attributes: { mode: { s: 'nearest' }, scales: { floats: [1, 1, 1, 2] } } },
      { picture },
      7,
    ),
    [1, 1, 2, 2],
  );
  assert.equal(
    await values({ op: 'Resize' }, { picture }, 10, { scales: { dims: [4], values: [1, 1, 1, 2] } }),
    [1, 1, 2, 2],
  );
  const dropped = await runNode({ op: 'Dropout', attributes: { ratio: { f: 0.5 } } }, { x }, 10);
  assert.equal(dropped[0].values, x[1]);
});

test('an exported network comes back', async () => {
  const gpu = await testGpu();
  const network = new Sequential([
    new Conv2d(2, 4, 3, { padding: 1, bias: false }),
    new BatchNorm(4),
    new PReLU(4),
    new Residual(new Sequential([new Conv2d(4, 4, 3, { padding: 1, groups: 4 }), new PReLU(1)])),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear(4 * 3 * 2, 5),
  ]).initialize(gpu, 3);
  const x = Tensor.from(gpu, randomValues(3 * 6 * 4 * 2, 40), [3, 6, 4, 2]);
  const module = importOnnx(gpu, await exportOnnx(network, x));
  network.eval();
  const [expected, actual] = scope(gpu, () => [network.forward(x), module.forward(x) as Tensor]);
  assert.equal([...actual.shape], [3, 5]);
  assertClose('exported and imported', await actual.read(), await expected.read(), { sumLength: 36 });
  for (const owned of [network, module, x, expected, actual]) owned.dispose();
});

test.run();
