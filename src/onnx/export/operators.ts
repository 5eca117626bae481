import { ArgumentError } from '../../common/errors.js';
import type { Padding2d } from '../../common/shapes.js';
import type { Conv2dAttrs, ConvTranspose2dAttrs } from '../../ops/conv/shape.js';
import type { ConcatAttrs, PadAttrs, SliceAttrs } from '../../ops/layout.js';
import type { MatmulAttrs } from '../../ops/matmul/matmul.js';
import type { AvgPoolAttrs } from '../../ops/pool/pool.js';
import type { TransposeAttrs } from '../../ops/transpose.js';
import type { UpsampleBilinearAttrs, UpsampleNearestAttrs } from '../../ops/upsample.js';
import { axisRows } from './axis-operators.js';
import { elementRows } from './element-operators.js';
import { type AxisOrder, type GraphWriter, TO_CHANNELS_FIRST } from './graph-writer.js';
import { type Attributes, type Row, reduceNode, timesPlus } from './rows.js';
import type { TracedNode, TracedValue } from './trace.js';

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

/** Lines [N,L,C], pictures and volumes; ONNX has all paddings before those after. */
const pool =
  (type: string): Row<AvgPoolAttrs> =>
  (graph, { inputs: [x], output }, attrs) => {
    const { kernel, stride, padding, dilation = kernel.map(() => 1), ceilMode, countIncludePad, sum } = attrs;
    if (type === 'AveragePool' && dilation.some((step) => step > 1) && graph.opset < 19) {
      throw new ArgumentError('exportOnnx: an average pool with dilation needs opset 19');
    }
    if (sum && ceilMode) throw new ArgumentError('exportOnnx: ONNX has no sum pool in ceil mode');
    const all = {
      kernel_shape: kernel,
      strides: stride,
      pads: [0, 1].flatMap((side) => kernel.map((_, axis) => padding[2 * axis + side])),
      ...(dilation.some((step) => step > 1) ? { dilations: dilation } : {}),
      ...(ceilMode ? { ceil_mode: 1 } : {}),
      ...(type === 'AveragePool' ? { count_include_pad: Number(Boolean(countIncludePad || sum)) } : {}),
    };
    const rank = x.shape.length;
    const scaled = (name: string): string =>
      sum ? graph.node('Mul', [name, graph.number(kernel.reduce((area, size) => area * size))]) : name;
    if (rank === 4) {
      graph.define(output, 'channelsFirst', scaled(graph.node(type, [graph.name(x, 'channelsFirst')], all)));
      return;
    }
    const places = kernel.map((_, axis) => axis + 1);
    const first = graph.node('Transpose', [graph.name(x)], { perm: [0, rank - 1, ...places] });
    const perm = [0, ...places.map((axis) => axis + 1), 1];
    graph.define(output, 'engine', graph.node('Transpose', [scaled(graph.node(type, [first], all))], { perm }));
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
  graph.define(output, order, graph.node('Pad', [graph.name(x, order), pads, graph.constant(x.dtype, [], [value])]));
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

const l2Normalize = /* @__PURE__ */ alongChannels<{ eps: number }>((graph, x, axis, { eps }) => {
  const length = reduceNode(graph, 'ReduceL2', x, [axis], true);
  return graph.node('Div', [x, graph.node('Max', [length, graph.number(eps)])]);
});

/** The engine's operations in nodes of ONNX, by name. */
export const operatorRows = /* @__PURE__ */ (() =>
  ({
    ...axisRows,
    ...elementRows,
    matmul,
    batchedMatmul: matmul,
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
    maxPool2d: pool('MaxPool'),
    avgPool2d: pool('AveragePool'),
    maxPool: pool('MaxPool'),
    avgPool: pool('AveragePool'),
    upsampleNearest,
    upsampleBilinear,
    softmax: alongChannels((graph, x, axis) => graph.node('Softmax', [x], { axis })),
    logSoftmax: alongChannels((graph, x, axis) => graph.node('LogSoftmax', [x], { axis })),
    l2Normalize,
  }) as Readonly<Record<string, Row<never>>>)();
