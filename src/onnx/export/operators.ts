import { ArgumentError } from '../../common/errors.js';
import { normalizeAxes, normalizeAxis, type Padding2d } from '../../common/shapes.js';
import type { Conv2dAttrs, ConvTranspose2dAttrs } from '../../ops/conv/shape.js';
import type { ConcatAttrs, PadAttrs, SliceAttrs } from '../../ops/layout.js';
import type { MatmulAttrs } from '../../ops/matmul/matmul.js';
import type { Pool2dAttrs } from '../../ops/pool.js';
import type { QuantizeAttrs } from '../../ops/quantize.js';
import type { ReduceAttrs } from '../../ops/reduce.js';
import type { TransposeAttrs } from '../../ops/transpose.js';
import type { UpsampleBilinearAttrs, UpsampleNearestAttrs } from '../../ops/upsample.js';
import { type AxisOrder, type GraphWriter, TO_CHANNELS_FIRST } from './graph-writer.js';
import { ELEMENT_TYPES, type OnnxAttribute } from './onnx-file.js';
import type { TracedNode, TracedValue } from './trace.js';

/** Adds the nodes of an operation to the graph, and defines its output. */
type Row<A> = (graph: GraphWriter, node: TracedNode, attrs: A) => void;

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** An operation on each element by itself, in the order of axes that the input has. */
const elementwise =
  <A>(body: (graph: GraphWriter, x: string, attrs: A) => string): Row<A> =>
  (graph, { inputs: [x], output }, attrs) => {
    const order = graph.orderOf(x);
    graph.define(output, order, body(graph, graph.name(x, order), attrs));
  };

/** An operation that is one node of ONNX, with these attributes. */
const single = (type: string, attributes: Attributes = {}): Row<unknown> =>
  elementwise((graph, x) => graph.node(type, [x], attributes));

/** Operands that broadcast. In the order channelsFirst where one has it, and the others are pictures or constants. */
const broadcasting =
  (type: string): Row<unknown> =>
  (graph, { inputs, output }) => {
    const pictures = inputs.filter((input) => input.shape.length === 4 && !input.constant);
    const fits = inputs.every((input) => pictures.includes(input) || input.constant);
    const first = fits && pictures.some((input) => graph.has(input, 'channelsFirst'));
    const names = inputs.map((input) => {
      if (!first) return graph.name(input);
      return input.constant ? graph.broadcastConstant(input) : graph.name(input, 'channelsFirst');
    });
    graph.define(output, first ? 'channelsFirst' : 'engine', graph.node(type, names));
  };

const timesPlus = (graph: GraphWriter, x: string, scale: number, offset: number): string => {
  const scaled = scale === 1 ? x : graph.node('Mul', [x, graph.number(scale)]);
  return offset === 0 ? scaled : graph.node('Add', [scaled, graph.number(offset)]);
};

const clip = (graph: GraphWriter, x: string, min: number, max: number): string => {
  // An infinite bound is none; the name of an input that is left out is empty.
  const bounds = [min === -Infinity ? '' : graph.number(min), ...(max === Infinity ? [] : [graph.number(max)])];
  return graph.node('Clip', [x, ...bounds]);
};

/** x·(1 + erf(x/√2))/2, or Hendrycks and Gimpel's form with tanh; opset 17 has no Gelu. */
const gelu = elementwise<{ approximate: string }>((graph, x, { approximate }) => {
  let inner: string;
  if (approximate === 'none') inner = graph.node('Erf', [timesPlus(graph, x, Math.SQRT1_2, 0)]);
  else {
    const factor = timesPlus(graph, graph.node('Mul', [x, x]), 0.044715, 1);
    inner = graph.node('Tanh', [timesPlus(graph, graph.node('Mul', [x, factor]), Math.sqrt(2 / Math.PI), 0)]);
  }
  return graph.node('Mul', [timesPlus(graph, x, 0.5, 0), timesPlus(graph, inner, 1, 1)]);
});

const quantize: Row<QuantizeAttrs> = (graph, node, attrs) => {
  if (attrs.mode === 'noise') throw new ArgumentError('exportOnnx: quantize adds noise, which ONNX has no node for');
  elementwise<QuantizeAttrs>((_, x, { scale, min, max }) =>
    clip(graph, graph.node('Round', [timesPlus(graph, x, scale, 0)]), min, max),
  )(graph, node, attrs);
};

/** ONNX's order of the sides: top, left, bottom, right. */
const sides = ([top, bottom, left, right]: Padding2d): number[] => [top, left, bottom, right];

/** Both convolutions: the weights' axes [kh,kw,in,out] become [out,in,kh,kw]. */
const conv =
  (type: string): Row<Conv2dAttrs & Partial<ConvTranspose2dAttrs>> =>
  (graph, { inputs: [x, weights, bias], output }, { stride, padding, dilation, groups, outputPadding }) => {
    const operands = [graph.name(x, 'channelsFirst'), graph.arranged(weights, [3, 2, 0, 1])];
    if (bias) operands.push(graph.name(bias));
    const attributes = {
      kernel_shape: weights.shape.slice(0, 2),
      strides: stride,
      pads: sides(padding),
      dilations: dilation,
      group: groups,
      ...(outputPadding ? { output_padding: outputPadding } : {}),
    };
    graph.define(output, 'channelsFirst', graph.node(type, operands, attributes));
  };

const pool =
  (type: string, attributes: Attributes): Row<Pool2dAttrs> =>
  (graph, { inputs: [x], output }, { kernel, stride, padding }) => {
    const all = { kernel_shape: kernel, strides: stride, pads: sides(padding), ...attributes };
    graph.define(output, 'channelsFirst', graph.node(type, [graph.name(x, 'channelsFirst')], all));
  };

/** Pictures go channels first; [N,C] has its channels there already. Others are computed step by step. */
function normalized(graph: GraphWriter, inputs: readonly TracedValue[], eps: number): [string, AxisOrder] {
  const [x, ...perChannel] = inputs;
  const [gamma, beta, mean, variance] = perChannel.map((value) => graph.name(value));
  const rank = x.shape.length;
  const order = rank === 4 ? 'channelsFirst' : 'engine';
  const name = graph.name(x, order);
  if (rank === 2 || rank === 4) {
    const operands = [name, gamma, beta, mean, variance];
    return [graph.node('BatchNormalization', operands, { epsilon: { float: eps } }), order];
  }
  const deviation = graph.node('Sqrt', [timesPlus(graph, variance, 1, eps)]);
  const unit = graph.node('Div', [graph.node('Sub', [name, mean]), deviation]);
  return [graph.node('Add', [graph.node('Mul', [unit, gamma]), beta]), order];
}

const batchNorm: Row<{ eps: number }> = (graph, { inputs, output }, { eps }) => {
  const [name, order] = normalized(graph, inputs, eps);
  graph.define(output, order, name);
};

const batchNormPrelu: Row<{ eps: number }> = (graph, { inputs, output }, { eps }) => {
  const [name, order] = normalized(graph, inputs.slice(0, 5), eps);
  graph.define(output, order, graph.node('PRelu', [name, graph.perChannel(inputs[5], order)]));
};

const prelu: Row<unknown> = (graph, { inputs: [x, slope], output }) => {
  const order = graph.orderOf(x);
  graph.define(output, order, graph.node('PRelu', [graph.name(x, order), graph.perChannel(slope, order)]));
};

/** The axes of the last two swapped, if asked for. */
function matrix(graph: GraphWriter, value: TracedValue, swapped: boolean): string {
  if (!swapped) return graph.name(value);
  const axes = value.shape.map((_, k) => k);
  return graph.arranged(value, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

const matmul: Row<MatmulAttrs> = (graph, { inputs: [a, b], output }, { transposeA, transposeB }) => {
  graph.define(output, 'engine', graph.node('MatMul', [matrix(graph, a, transposeA), matrix(graph, b, transposeB)]));
};

/** The axes are an input of the node from some opset on, and before that an attribute. */
function reduceNode(
  graph: GraphWriter,
  type: string,
  x: string,
  axes: readonly number[],
  keepDims: boolean,
  since = 18,
): string {
  const keepdims = Number(keepDims);
  return graph.opset >= since
    ? graph.node(type, [x, graph.integers(axes)], { keepdims })
    : graph.node(type, [x], { axes, keepdims });
}

const reduce =
  (type: string, since?: number): Row<ReduceAttrs> =>
  (graph, { inputs: [x], output }, attrs) => {
    const rank = x.shape.length;
    const given = attrs.axes.length === 0 ? x.shape.map((_, k) => k) : attrs.axes;
    const reduced = normalizeAxes(given, rank);
    let order = graph.orderOf(x);
    // Without the channels, or with nothing but them, the other axes stay in their order.
    const sameOrder = attrs.keepDims || reduced.includes(3) || (reduced.includes(1) && reduced.includes(2));
    if (order === 'channelsFirst' && !sameOrder) order = 'engine';
    const axes = reduced.map((axis) => graph.axis(axis, x, order)).sort((a, b) => a - b);
    const name =
      rank === 0 ? graph.name(x) : reduceNode(graph, type, graph.name(x, order), axes, attrs.keepDims, since);
    graph.define(output, attrs.keepDims ? order : 'engine', name);
  };

/** −1 stands for the axis that follows the batch. */
const reshape: Row<unknown> = (graph, { inputs: [x], output }) => {
  const shape = output.shape.map((size, axis) => (output.follows[axis] ? -1 : size));
  const [, height, width, channels] = x.shape;
  // The elements then lie in the same order either way.
  const same = graph.has(x, 'channelsFirst') && (channels === 1 || height * width === 1);
  const name = graph.name(x, same ? 'channelsFirst' : 'engine');
  graph.define(output, 'engine', graph.node('Reshape', [name, graph.integers(shape)]));
};

const transpose: Row<TransposeAttrs> = (graph, { inputs: [x], output }, { axes }) => {
  const order = graph.orderOf(x);
  const perm = axes.map((axis) => graph.axis(axis, x, order));
  const name = graph.name(x, order);
  const unchanged = perm.every((axis, k) => axis === k);
  graph.define(output, 'engine', unchanged ? name : graph.node('Transpose', [name], { perm }));
};

/** One entry for each axis, in an order of axes. */
const inOrder = (entries: readonly number[], order: AxisOrder): readonly number[] =>
  order === 'engine' ? entries : TO_CHANNELS_FIRST.map((axis) => entries[axis]);

const pad: Row<PadAttrs> = (graph, { inputs: [x], output }, { before, after, value }) => {
  const order = graph.orderOf(x);
  const pads = graph.integers([...inOrder(before, order), ...inOrder(after, order)]);
  graph.define(output, order, graph.node('Pad', [graph.name(x, order), pads, graph.number(value)]));
};

const slice: Row<SliceAttrs> = (graph, { inputs: [x], output }, { begin }) => {
  const order = graph.orderOf(x);
  const axes = x.shape.map((_, axis) => axis).filter((axis) => output.shape[axis] !== x.shape[axis]);
  const name = graph.name(x, order);
  if (axes.length === 0) {
    graph.define(output, order, name);
    return;
  }
  const starts = axes.map((axis) => begin[axis]);
  const ends = axes.map((axis) => begin[axis] + output.shape[axis]);
  const of = axes.map((axis) => graph.axis(axis, x, order));
  graph.define(output, order, graph.node('Slice', [name, ...[starts, ends, of].map((list) => graph.integers(list))]));
};

const concat: Row<ConcatAttrs> = (graph, { inputs, output }, { axis }) => {
  const order = inputs.some((input) => graph.has(input, 'channelsFirst')) ? 'channelsFirst' : 'engine';
  const names = inputs.map((input) => graph.name(input, order));
  graph.define(output, order, graph.node('Concat', names, { axis: graph.axis(axis, output, order) }));
};

function upsampled(graph: GraphWriter, { inputs: [x], output }: TracedNode, rest: string[], attributes: Attributes) {
  const name = graph.node('Resize', [graph.name(x, 'channelsFirst'), '', ...rest], attributes);
  graph.define(output, 'channelsFirst', name);
}

const upsampleNearest: Row<UpsampleNearestAttrs> = (graph, node, { scale }) => {
  const scales = graph.constant('float32', [4], [1, 1, ...scale]);
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  upsampled(graph, node, [scales], attributes);
};

/** By sizes, because a scale may not be a float32; so the batch's size must be computed. */
const upsampleBilinear: Row<UpsampleBilinearAttrs> = (graph, node, { size }) => {
  const { inputs, output } = node;
  const [batch, , , channels] = output.shape;
  const sizes = (...known: number[]): string => graph.integers([...known, channels, ...size]);
  const shape = { start: 0, end: 1 };
  const target = output.follows[0]
    ? graph.node('Concat', [graph.node('Shape', [graph.name(inputs[0], 'channelsFirst')], shape), sizes()], { axis: 0 })
    : sizes(batch);
  upsampled(graph, node, ['', target], { mode: 'linear', coordinate_transformation_mode: 'half_pixel' });
};

/** An operation along the last axis that keeps the shape. */
const alongChannels =
  <A>(body: (graph: GraphWriter, x: string, axis: number, attrs: A) => string): Row<A> =>
  (graph, { inputs: [x], output }, attrs) => {
    const order = graph.orderOf(x);
    graph.define(output, order, body(graph, graph.name(x, order), graph.axis(-1, x, order), attrs));
  };

const l2Normalize = alongChannels<{ eps: number }>((graph, x, axis, { eps }) => {
  const length = reduceNode(graph, 'ReduceL2', x, [axis], true);
  return graph.node('Div', [x, graph.node('Max', [length, graph.number(eps)])]);
});

/** ONNX gives indices of int64. */
const argmax: Row<{ axis?: number; keepDims?: boolean }> = (graph, { inputs: [x], output }, attrs) => {
  const axis = normalizeAxis(attrs.axis ?? -1, x.shape.length);
  const keepdims = Number(attrs.keepDims ?? false);
  const indices = graph.node('ArgMax', [graph.name(x)], { axis, keepdims });
  graph.define(output, 'engine', graph.node('Cast', [indices], { to: ELEMENT_TYPES[output.dtype] }));
};

/** The engine's operations in nodes of ONNX, by name. */
export const operatorRows = /* @__PURE__ */ (() =>
  ({
    exp: single('Exp'),
    log: single('Log'),
    sqrt: single('Sqrt'),
    abs: single('Abs'),
    square: elementwise((graph, x) => graph.node('Mul', [x, x])),
    sigmoid: single('Sigmoid'),
    relu: single('Relu'),
    clamp: elementwise<{ min: number; max: number }>((graph, x, { min, max }) => clip(graph, x, min, max)),
    affine: elementwise<{ scale: number; offset: number }>((graph, x, { scale, offset }) =>
      timesPlus(graph, x, scale, offset),
    ),
    neg: single('Neg'),
    reciprocal: single('Reciprocal'),
    sin: single('Sin'),
    cos: single('Cos'),
    tanh: single('Tanh'),
    erf: single('Erf'),
    floor: single('Floor'),
    ceil: single('Ceil'),
    round: single('Round'),
    sign: single('Sign'),
    leakyRelu: elementwise<{ slope: number }>((graph, x, { slope }) =>
      graph.node('LeakyRelu', [x], { alpha: { float: slope } }),
    ),
    elu: elementwise<{ alpha: number }>((graph, x, { alpha }) => graph.node('Elu', [x], { alpha: { float: alpha } })),
    selu: single('Selu'),
    gelu,
    silu: elementwise((graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])])),
    softplus: single('Softplus'),
    hardSigmoid: elementwise<{ alpha: number; beta: number }>((graph, x, { alpha, beta }) =>
      graph.node('HardSigmoid', [x], { alpha: { float: alpha }, beta: { float: beta } }),
    ),
    hardSwish: single('HardSwish'),
    add: broadcasting('Add'),
    sub: broadcasting('Sub'),
    mul: broadcasting('Mul'),
    div: broadcasting('Div'),
    pow: broadcasting('Pow'),
    minimum: broadcasting('Min'),
    maximum: broadcasting('Max'),
    matmul,
    sum: reduce('ReduceSum', 13),
    mean: reduce('ReduceMean'),
    reshape,
    transpose,
    pad,
    slice,
    concat,
    batchNormInference: batchNorm,
    batchNormPreluInference: batchNormPrelu,
    prelu,
    conv2d: conv('Conv'),
    convTranspose2d: conv('ConvTranspose'),
    maxPool2d: pool('MaxPool', {}),
    avgPool2d: pool('AveragePool', { count_include_pad: 0 }),
    upsampleNearest,
    upsampleBilinear,
    softmax: alongChannels((graph, x, axis) => graph.node('Softmax', [x], { axis })),
    logSoftmax: alongChannels((graph, x, axis) => graph.node('LogSoftmax', [x], { axis })),
    l2Normalize,
    argmax,
    quantize,
  }) as Readonly<Record<string, Row<never>>>)();
