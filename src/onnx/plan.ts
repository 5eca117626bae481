import { ArgumentError, FormatError, ShapeError } from '../common/errors.js';
import { UnsupportedModelError, type UnsupportedPart } from './errors.js';
import { fusedStep, groupSteps } from './fuse.js';
import type { GraphStep, Plan } from './graph-plan.js';
import type { GraphProto, NodeProto } from './model.js';
import { atNode, Context, NodeView, type Surroundings } from './operator.js';
import { OPERATORS } from './operators/index.js';
import { hostType, isNarrow, typeName } from './tensor-values.js';
import type { HostValue } from './values.js';

/** Operators that pass on elements of fewer than 32 bits as they are; others would have to wrap. */
const MOVES =
  'Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Concat Split Gather Expand Tile Pad Shape Size Cast';

const graphsOf = (node: NodeProto): GraphProto[] =>
  [...node.attributes.values()].map(({ graph }) => graph).filter((graph) => graph !== null);

/** Names that a graph uses and does not make itself. */
function capturedBy(graph: GraphProto): string[] {
  const own = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  const found = new Set<string>();
  const use = (name: string): unknown => name && !own.has(name) && found.add(name);
  for (const node of graph.nodes) {
    node.inputs.forEach(use);
    for (const inner of graphsOf(node)) capturedBy(inner).forEach(use);
    for (const name of node.outputs) own.add(name);
  }
  for (const { name } of graph.outputs) use(name);
  return [...found];
}

/**
 * Checks all nodes of a graph and of the graphs in it.
 * @param outside names that a graph around it has
 * @returns what is not supported
 * @throws FormatError for a graph that is no graph: a name that nothing makes, or that is made twice
 */
export function checkGraph(
  graph: GraphProto,
  opsets: ReadonlyMap<string, number>,
  outside: Iterable<string> = [],
): UnsupportedPart[] {
  const parts: UnsupportedPart[] = graph.others.map((reason) => ({ node: '', operator: '', reason }));
  const known = new Set(outside);
  const made = new Set<string>();
  const narrow = new Set<string>();
  const make = (name: string, type: number): void => {
    if (made.has(name)) throw new FormatError(`ONNX: two nodes make "${name}"`);
    made.add(name);
    known.add(name);
    if (isNarrow(type)) narrow.add(name);
  };
  const initial = new Map(graph.initializers.map((tensor) => [tensor.name, tensor.type]));
  for (const [name, type] of initial) make(name, type);
  for (const { name, type } of graph.inputs) if (!initial.has(name)) make(name, type);
  for (const node of graph.nodes) {
    const opset = opsets.get('') ?? 0;
    for (const name of node.inputs) {
      if (name && !known.has(name))
        throw new FormatError(`ONNX: ${node.operator} uses "${name}", which nothing before it makes`);
    }
    const view = new NodeView(node, opset);
    const reason = problemOf(view, narrow);
    if (reason) parts.push(view.part(reason));
    for (const inner of graphsOf(node)) parts.push(...checkGraph(inner, opsets, known));
    const passes = MOVES.split(' ').includes(node.operator) && node.operator !== 'Cast' && node.operator !== 'Shape';
    const tensor = node.attributes.get('value')?.tensor;
    const type =
      tensor && isNarrow(tensor.type) ? tensor.type : passes && node.inputs.some((name) => narrow.has(name)) ? 2 : 1;
    for (const name of node.outputs) if (name) make(name, type);
  }
  for (const { name } of graph.outputs)
    if (!known.has(name)) throw new FormatError(`ONNX: nothing makes the output "${name}"`);
  return parts;
}

/** Why a node is not supported; empty if it is. */
function problemOf(view: NodeView, narrow: ReadonlySet<string>): string {
  const { proto: node } = view;
  if (node.domain !== '' && node.domain !== 'ai.onnx') return `domain "${node.domain}"`;
  const operator = Object.hasOwn(OPERATORS, node.operator) ? OPERATORS[node.operator] : undefined;
  if (!operator) return 'operator';
  const [least, most] = operator.inputs;
  const given = node.inputs.length;
  if (given > most) return `${given} inputs`;
  for (let k = 0; k < least; k++) if (!node.inputs[k]) view.malformed(`lacks its input ${k}`);
  if (node.outputs.length > (operator.outputs ?? 1)) return `${node.outputs.length} outputs`;
  if (node.outputs.length === 0) view.malformed('has no output');
  const attributes = (operator.attributes ?? '').split(' ');
  const unknown = [...node.attributes.keys()].find((name) => !attributes.includes(name));
  if (unknown !== undefined) return `attribute ${unknown}`;
  const small = node.inputs.find((name) => narrow.has(name));
  if (small !== undefined && !MOVES.split(' ').includes(node.operator))
    return `elements of fewer than 32 bits in "${small}"`;
  return operator.refuse?.(view) || '';
}

/** The most elements that folding may make. */
const MOST_FOLDED = 2 ** 26;

/** What nodes get while constants are folded: no GPU. */
const NOWHERE = {
  get gpu(): never {
    throw new ArgumentError('constants are folded without a GPU');
  },
} as unknown as Surroundings;

/**
 * Computes what depends on constants alone, and says when each value is needed last.
 * @param initial values of initializers
 */
export function planGraph(graph: GraphProto, opset: number, initial: ReadonlyMap<string, HostValue>): Plan {
  const constants = new Map(initial);
  const steps: GraphStep[] = [];
  const outputs = graph.outputs.map(({ name }) => name);
  let folded = 0;
  for (const node of graph.nodes) {
    const view = new NodeView(node, opset);
    const operator = OPERATORS[node.operator];
    const step: GraphStep = {
      view,
      operator,
      inputs: node.inputs,
      outputs: node.outputs,
      captured: [...new Set(graphsOf(node).flatMap(capturedBy))],
      dies: [],
    };
    const values = step.inputs.map((name) => (name ? constants.get(name) : undefined));
    const known = step.inputs.every((name, k) => name === '' || values[k]) && graphsOf(node).length === 0;
    if (!known || !operator.host || operator.random) {
      steps.push(step);
      continue;
    }
    const results = onNode(view, () => listOf(operator.host!(new Context(view, values, NOWHERE))));
    results.forEach((value, k) => {
      if (!node.outputs[k]) return;
      folded += value.size;
      if (folded > MOST_FOLDED) throw new ShapeError(`ONNX: constants of more than ${MOST_FOLDED} elements`);
      constants.set(node.outputs[k], value);
    });
  }
  const groups = groupSteps(steps, outputs, constants);
  const needed = new Set(outputs);
  const made = new Set(steps.flatMap((step) => step.outputs));
  for (const step of groups.flat().reverse()) {
    for (const name of new Set([...step.outputs, ...step.inputs, ...step.captured])) {
      if (needed.has(name) || !made.has(name)) continue;
      needed.add(name);
      step.dies.push(name);
    }
  }
  const used = new Set([...steps.flatMap((step) => [...step.inputs, ...step.captured]), ...outputs]);
  for (const name of constants.keys()) if (!used.has(name)) constants.delete(name);
  const inputs = graph.inputs.map(({ name }) => name).filter((name) => !initial.has(name));
  return { inputs, outputs, constants, steps: groups.map((group) => fusedStep(group, constants)) };
}

function listOf(result: unknown): HostValue[] {
  return (Array.isArray(result) ? result : [result]) as HostValue[];
}

/** Runs `body`; its errors name the node. */
export function onNode<T>(view: NodeView, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw atNode(error, view);
  }
}

/** @throws UnsupportedModelError if there is anything in the list */
export function refuseParts(parts: readonly UnsupportedPart[]): void {
  if (parts.length > 0) throw new UnsupportedModelError(parts);
}

/** Checks the type of an input or output of the whole graph. */
export function typeProblem(name: string, type: number): UnsupportedPart[] {
  if (hostType(type)) return [];
  return [
    { node: '', operator: '', reason: `"${name}" is of ${type === 0 ? 'a type that is no tensor' : typeName(type)}` },
  ];
}
