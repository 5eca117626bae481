import { normalizeAxes } from '../../common/shapes.js';
import type { ReduceAttrs } from '../../ops/reduce.js';
import type { GraphWriter } from './graph-writer.js';
import type { OnnxAttribute } from './onnx-file.js';
import type { TracedNode, TracedValue } from './trace.js';

/** Adds the nodes of an operation to the graph, and defines its output. */
export type Row<A> = (graph: GraphWriter, node: TracedNode, attrs: A) => void;

export type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** An operation on each element by itself, in the order of axes that the input has. */
export const perElement =
  <A>(body: (graph: GraphWriter, x: string, attrs: A) => string): Row<A> =>
  (graph, { inputs: [x], output }, attrs) => {
    const order = graph.orderOf(x);
    graph.define(output, order, body(graph, graph.name(x, order), attrs));
  };

/** An operation that is one node of ONNX, with these attributes. */
export const single = (type: string, attributes: Attributes = {}): Row<unknown> =>
  perElement((graph, x) => graph.node(type, [x], attributes));

/** A number in place of the first operand, or of the second. */
export interface NumberOperands {
  a?: number;
  b?: number;
}

/**
 * Operands that broadcast. In the order channelsFirst where one has it, and the others are pictures or constants.
 * @param body the node of these operands
 */
export const broadcastingBy =
  (body: (graph: GraphWriter, operands: string[], types: readonly TracedValue[]) => string): Row<NumberOperands> =>
  (graph, { inputs, output }, { a, b }) => {
    const pictures = inputs.filter((input) => input.shape.length === 4 && !input.constant);
    const fits = inputs.every((input) => pictures.includes(input) || input.constant);
    const first = fits && pictures.some((input) => graph.has(input, 'channelsFirst'));
    const names = inputs.map((input) => {
      if (!first) return graph.name(input);
      return input.constant ? graph.broadcastConstant(input) : graph.name(input, 'channelsFirst');
    });
    // Of a condition and two operands, the numbers come after the condition.
    const { dtype } = inputs[inputs.length - 1];
    if (a !== undefined) names.splice(inputs.length - 1, 0, graph.constant(dtype, [], [a]));
    if (b !== undefined) names.push(graph.constant(dtype, [], [b]));
    graph.define(output, first ? 'channelsFirst' : 'engine', body(graph, names, inputs));
  };

export const timesPlus = (graph: GraphWriter, x: string, scale: number, offset: number): string => {
  const scaled = scale === 1 ? x : graph.node('Mul', [x, graph.number(scale)]);
  return offset === 0 ? scaled : graph.node('Add', [scaled, graph.number(offset)]);
};

/** The axes are an input of the node from some opset on, and before that an attribute. */
export function reduceNode(
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

export const reduce =
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
