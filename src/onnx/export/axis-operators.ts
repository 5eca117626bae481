import { ArgumentError } from '../../common/errors.js';
import { normalizeAxis } from '../../common/shapes.js';
import type { ArgmaxAttrs } from '../../ops/argmax.js';
import type {
  GatherAttrs,
  GatherNDAttrs,
  OneHotAttrs,
  ScatterAttrs,
  ScatterElementsAttrs,
} from '../../ops/indexing/shape.js';
import type { PadAxisAttrs } from '../../ops/pad-axis.js';
import type { ReduceAttrs } from '../../ops/reduce.js';
import type { ResampleAttrs } from '../../ops/resize.js';
import type { ScanAttrs } from '../../ops/scan.js';
import type { StandardizeAttrs } from '../../ops/standardize.js';
import type { StridedSliceAttrs } from '../../ops/strided.js';
import type { TopKAttrs } from '../../ops/top-k.js';
import type { GraphWriter } from './graph-writer.js';
import { ELEMENT_TYPES } from './onnx-file.js';
import { type Row, reduce, reduceNode, timesPlus } from './rows.js';

/** ONNX gives indices of int64. */
const arg =
  (type: string): Row<ArgmaxAttrs> =>
  (graph, { inputs: [x], output }, { axis, keepDims, last }) => {
    const attributes = {
      axis: normalizeAxis(axis, x.shape.length),
      keepdims: Number(keepDims),
      select_last_index: Number(last),
    };
    const indices = graph.node(type, [graph.name(x)], attributes);
    graph.define(output, 'engine', graph.node('Cast', [indices], { to: ELEMENT_TYPES[output.dtype] }));
  };

/** Of booleans, ONNX has the largest from opset 20 on only, so they become integers. */
const fold =
  (type: string): Row<ReduceAttrs> =>
  (graph, node, attrs) => {
    const [x] = node.inputs;
    if (x.dtype !== 'bool') {
      reduce(type)(graph, node, attrs);
      return;
    }
    const all = attrs.axes.length === 0 ? x.shape.map((_, axis) => axis) : attrs.axes;
    const axes = all.map((axis) => normalizeAxis(axis, x.shape.length));
    const integers = graph.node('Cast', [graph.name(x)], { to: ELEMENT_TYPES.int32 });
    const folded = reduceNode(graph, type, integers, axes, attrs.keepDims);
    graph.define(node.output, 'engine', graph.node('Cast', [folded], { to: ELEMENT_TYPES.bool }));
  };

const cumsum: Row<ScanAttrs> = (graph, { inputs: [x], output }, { axis, exclusive, reverse }) => {
  const order = graph.orderOf(x);
  const along = graph.constant('int64', [], [graph.axis(axis, x, order)]);
  const attributes = { exclusive: Number(exclusive), reverse: Number(reverse) };
  graph.define(output, order, graph.node('CumSum', [graph.name(x, order), along], attributes));
};

const standardize: Row<StandardizeAttrs> = (graph, { inputs: [x], output }, { axes, epsilon, centred }) => {
  const order = graph.orderOf(x);
  const along = axes.map((axis) => graph.axis(axis, x, order)).sort((a, b) => a - b);
  const meanOf = (name: string): string => reduceNode(graph, 'ReduceMean', name, along, true);
  const given = graph.name(x, order);
  const centre = centred ? graph.node('Sub', [given, meanOf(given)]) : given;
  const variance = meanOf(graph.node('Mul', [centre, centre]));
  const deviation = graph.node('Sqrt', [timesPlus(graph, variance, 1, epsilon)]);
  graph.define(output, order, graph.node('Div', [centre, deviation]));
};

/** An axis that follows the batch keeps its size: 1 stands for that. */
const expand: Row<unknown> = (graph, { inputs: [x], output }) => {
  const shape = output.shape.map((size, axis) => (output.follows[axis] ? 1 : size));
  graph.define(output, 'engine', graph.node('Expand', [graph.name(x), graph.integers(shape)]));
};

/** Beyond every axis: the end of one where a slice begins or ends. */
const BEYOND = 2 ** 31 - 1;

const stridedSlice: Row<StridedSliceAttrs> = (graph, { inputs: [x], output }, { begin, end, step }) => {
  const order = graph.orderOf(x);
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => output.shape[axis] !== x.shape[axis] || step[axis] !== 1);
  const name = graph.name(x, order);
  if (axes.length === 0) {
    graph.define(output, order, name);
    return;
  }
  const starts = axes.map((axis) => begin[axis] ?? (step[axis] > 0 ? 0 : BEYOND));
  // An axis that follows the batch is taken whole, so its end is not that of this batch.
  const ends = axes.map((axis) => (output.follows[axis] ? null : end[axis]) ?? Math.sign(step[axis]) * BEYOND);
  const places = axes.map((axis) => graph.axis(axis, x, order));
  const steps = axes.map((axis) => step[axis]);
  const lists = [starts, ends, places, steps].map((list) => graph.integers(list));
  graph.define(output, order, graph.node('Slice', [name, ...lists]));
};

const triangle =
  (upper: number): Row<{ k: number }> =>
  (graph, { inputs: [x], output }, { k }) => {
    graph.define(output, 'engine', graph.node('Trilu', [graph.name(x), graph.constant('int64', [], [k])], { upper }));
  };

const padAxis: Row<PadAxisAttrs> = (graph, { inputs: [x], output }, { axis, before, after, mode }) => {
  if (mode === 'wrap' && graph.opset < 19) throw new ArgumentError('exportOnnx: padding by wrap needs opset 19');
  const order = graph.orderOf(x);
  const pads = new Array<number>(2 * x.shape.length).fill(0);
  pads[graph.axis(axis, x, order)] = before;
  pads[x.shape.length + graph.axis(axis, x, order)] = after;
  graph.define(output, order, graph.node('Pad', [graph.name(x, order), graph.integers(pads)], { mode }));
};

const long = (graph: GraphWriter, name: string): string => graph.node('Cast', [name], { to: ELEMENT_TYPES.int64 });

const gather =
  (type: string): Row<GatherAttrs> =>
  (graph, { inputs: [x, indices], output }, { axis }) => {
    graph.define(output, 'engine', graph.node(type, [graph.name(x), graph.name(indices)], { axis }));
  };

const gatherND: Row<GatherNDAttrs> = (graph, { inputs: [x, indices], output }, { batchDims }) => {
  const operands = [graph.name(x), long(graph, graph.name(indices))];
  graph.define(output, 'engine', graph.node('GatherND', operands, { batch_dims: batchDims }));
};

const scatter =
  (type: string): Row<ScatterAttrs & Partial<ScatterElementsAttrs>> =>
  (graph, { inputs, output }, { axis, reduction }) => {
    const [x, indices, updates] = inputs.map((input) => graph.name(input));
    if (graph.opset < 18 && (reduction === 'max' || reduction === 'min')) {
      throw new ArgumentError(`exportOnnx: ${type} by ${reduction} needs opset 18`);
    }
    const attributes = { reduction, ...(axis === undefined ? {} : { axis }) };
    graph.define(output, 'engine', graph.node(type, [x, long(graph, indices), updates], attributes));
  };

const oneHot: Row<OneHotAttrs> = (graph, { inputs: [indices], output }, { depth, axis, on, off }) => {
  const values = graph.constant('float32', [2], [off, on]);
  const operands = [long(graph, graph.name(indices)), graph.constant('int64', [], [depth]), values];
  graph.define(output, 'engine', graph.node('OneHot', operands, { axis }));
};

const topK: Row<TopKAttrs> = (graph, { inputs: [x], output }, { k, axis, largest }) => {
  const order = graph.orderOf(x);
  const attributes = { axis: graph.axis(axis, x, order), largest: Number(largest), sorted: 1 };
  const values = graph.node('TopK', [graph.name(x, order), graph.integers([k])], attributes);
  graph.nodes[graph.nodes.length - 1].outputs.push(graph.unique(`${values}_indices`));
  graph.define(output, order, values);
};

/** A product with the weights as a matrix, along an axis that is first moved to the end. */
const resample: Row<ResampleAttrs> = (graph, { inputs: [x], output }, { axis, table, fill }) => {
  const order = graph.orderOf(x);
  const rank = x.shape.length;
  const along = graph.axis(axis, x, order);
  const [inputs, outputs] = [x.shape[normalizeAxis(axis, rank)], table.starts.length - 1];
  const matrix = new Float32Array(inputs * outputs);
  for (let o = 0; o < outputs; o++) {
    for (let e = table.starts[o]; e < table.starts[o + 1]; e++)
      matrix[table.indices[e] * outputs + o] += table.weights[e];
  }
  const axes = Array.from({ length: rank }, (_, k) => k);
  const perm = [...axes.filter((k) => k !== along), along];
  const moved = along === rank - 1 ? graph.name(x, order) : graph.node('Transpose', [graph.name(x, order)], { perm });
  let made = graph.node('MatMul', [moved, graph.constant('float32', [inputs, outputs], matrix)]);
  const empty = Array.from({ length: outputs }, (_, o) => (table.starts[o] === table.starts[o + 1] ? fill : 0));
  if (empty.some((value) => value !== 0)) made = graph.node('Add', [made, graph.constant('float32', [outputs], empty)]);
  const back = axes.map((k) => perm.indexOf(k));
  graph.define(output, order, along === rank - 1 ? made : graph.node('Transpose', [made], { perm: back }));
};

/** Operations along axes, and by indices. */
export const axisRows = /* @__PURE__ */ (() => ({
  sum: reduce('ReduceSum', 13),
  mean: reduce('ReduceMean'),
  max: fold('ReduceMax'),
  min: fold('ReduceMin'),
  prod: reduce('ReduceProd'),
  norm: reduce('ReduceL2'),
  logSumExp: reduce('ReduceLogSumExp'),
  argmax: arg('ArgMax'),
  argmin: arg('ArgMin'),
  cumsum,
  standardize,
  expand,
  stridedSlice,
  triu: triangle(1),
  tril: triangle(0),
  padAxis,
  gather: gather('Gather'),
  gatherElements: gather('GatherElements'),
  gatherND,
  scatterElements: scatter('ScatterElements'),
  scatterND: scatter('ScatterND'),
  oneHot,
  topK,
  resample,
}))();
