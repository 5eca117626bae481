import { checkOptions, describe, refuse } from '../../common/arguments.js';
import { ArgumentError } from '../../common/errors.js';
import { Layer, Module } from '../../nn/module.js';
import { type AnyTensor, Tensor } from '../../tensor/tensor.js';
import { GraphWriter, TO_CHANNELS_FIRST } from './graph-writer.js';
import { type OnnxValue, writeOnnx } from './onnx-file.js';
import { operatorRows } from './operators.js';
import { type TensorsByName, type TracedValue, trace } from './trace.js';

/** A network's results: one, several, or several with names. */
export type OnnxOutputs = AnyTensor | readonly AnyTensor[] | TensorsByName;

/** Examples of the inputs, which give shapes and types: one, which is named `input`, or several by name. */
export type OnnxInputs = AnyTensor | TensorsByName;

export interface OnnxExportOptions {
  /** The module whose parameters a function uses: initializers get their names, and the pass runs in evaluation. */
  module?: Module;
  /** Names of the outputs; default: the keys of what the function returns, else `output`, or `output_0`, `output_1`, … */
  names?: readonly string[];
  /** Version of ONNX's operators, 17 (the default) to 21. */
  opset?: number;
  /**
   * Which inputs have a batch as axis 0, whose size becomes the symbol `batch`: true for all of at least two axes, or their names.
   * The batch of the example is kept if it is false. It is also kept if this is left out and an operation needs it.
   */
  dynamicBatch?: boolean | readonly string[];
  /** Order of the axes of inputs and outputs with four axes: as in the engine (the default), or channels first, as in PyTorch. */
  layout?: 'nhwc' | 'nchw';
  /** Texts for the file's `metadata_props`. */
  metadata?: Readonly<Record<string, string>>;
}

const WHERE = 'exportOnnx';
const OPTIONS = ['module', 'names', 'opset', 'dynamicBatch', 'layout', 'metadata'];

/**
 * A network as an ONNX file, which onnxruntime and others run. A tape records its pass in evaluation, and each operation becomes nodes
 * of the graph; kernels do not run. Inside, pictures are [N,C,H,W], because ONNX has no other convolution; weights are reordered
 * for it, and inputs and outputs where `layout` asks for it. What the inputs do not reach is computed here and stored.
 *
 * @param network a layer, or a function of the inputs (a tensor, or tensors by name, as they are given) that calls operations only
 * @param inputs examples, of which only shapes and types count
 * @returns the bytes of the file
 * @throws ArgumentError for an operation that has no translation (all of them are named), a network that reads its inputs by other means than
 * operations, or a batch that must be a symbol and cannot be
 */
export async function exportOnnx(
  network: Layer | ((inputs: never) => OnnxOutputs),
  inputs: OnnxInputs,
  options?: OnnxExportOptions,
): Promise<Uint8Array> {
  const { names, opset = 17, layout = 'nhwc', metadata = {}, ...rest } = checkOptions(WHERE, options, OPTIONS);
  if (!(network instanceof Layer) && (typeof network !== 'function' || network instanceof Module)) {
    refuse(WHERE, 'the network', network, 'a layer or a function; give the method of another module as a function');
  }
  if (!Number.isInteger(opset) || opset < 17 || opset > 21) refuse(WHERE, 'opset', opset, 'an integer from 17 to 21');
  if (layout !== 'nhwc' && layout !== 'nchw') refuse(WHERE, 'layout', layout, '"nhwc" or "nchw"');
  const byName = checkedInputs(inputs);
  const batched = checkedBatch(byName, rest.dynamicBatch ?? true);
  const module = rest.module ?? (network instanceof Layer ? network : undefined);
  if (module !== undefined && !(module instanceof Module)) refuse(WHERE, 'module', module, 'a module');

  const run = (network instanceof Layer ? network.forward.bind(network) : network) as (inputs: unknown) => OnnxOutputs;
  const forward = (given: TensorsByName): TensorsByName => {
    const pass = (): OnnxOutputs => run(inputs instanceof Tensor ? given.input : given);
    return namedOutputs(module ? module.evaluating(pass) : pass(), names);
  };
  const parameters = new Map<AnyTensor, string>();
  for (const [name, tensor] of module?.stateTensors() ?? []) parameters.set(tensor, name);
  const traced = await trace(forward, byName, parameters, batched, rest.dynamicBatch !== undefined);

  for (const name of traced.outputs.keys()) {
    if (traced.inputs.has(name)) throw new ArgumentError(`${WHERE}: "${name}" names an input and an output`);
  }
  const unknown = new Set(traced.nodes.map(({ name }) => name).filter((name) => !Object.hasOwn(operatorRows, name)));
  if (unknown.size > 0) {
    const what = [...unknown].map((name) => `"${name}"`).join(', ');
    throw new ArgumentError(`${WHERE}: ONNX has no translation of ${what} here`);
  }
  const graph = new GraphWriter(opset, [...traced.inputs.keys(), ...traced.outputs.keys()]);
  const order = (value: TracedValue) => (layout === 'nchw' && value.shape.length === 4 ? 'channelsFirst' : 'engine');
  for (const [name, value] of traced.inputs) graph.define(value, order(value), name);
  for (const node of traced.nodes) operatorRows[node.name](graph, node, node.attrs as never);
  for (const [name, value] of traced.outputs) nameOutput(graph, graph.name(value, order(value)), name);

  const declared = ([name, value]: [string, TracedValue]): OnnxValue => ({
    name,
    type: value.dtype,
    shape: order(value) === 'engine' ? sizes(value) : TO_CHANNELS_FIRST.map((axis) => sizes(value)[axis]),
  });
  // The batch has one symbol; an axis that is a multiple of it has another.
  const batch = [...traced.inputs.values()].find(({ follows }) => follows[0])?.shape[0];
  const sizes = ({ shape, follows }: TracedValue): (number | string)[] =>
    shape.map((size, axis) => (follows[axis] ? (size === batch ? 'batch' : `batch_${size / (batch ?? 1)}`) : size));
  const { nodes, initializers } = graph;
  const [graphInputs, outputs] = [[...traced.inputs].map(declared), [...traced.outputs].map(declared)];
  return writeOnnx({ opset, nodes, initializers, inputs: graphInputs, outputs, metadata });
}

/** Gives the output its name: that of the node which makes it, or of a copy where that has another use. */
function nameOutput(graph: GraphWriter, made: string, name: string): void {
  const producer = graph.nodes.find(({ outputs }) => outputs[0] === made);
  if (!producer || graph.namedOutputs.has(made)) {
    graph.nodes.push({ type: 'Identity', inputs: [made], outputs: [name], attributes: {} });
    return;
  }
  graph.rename(made, name);
}

function checkedInputs(inputs: OnnxInputs): TensorsByName {
  const byName = inputs instanceof Tensor ? { input: inputs } : inputs;
  const expected = 'a tensor, or tensors by name';
  if (byName === null || typeof byName !== 'object') refuse(WHERE, 'inputs', inputs, expected);
  const entries = Object.entries(byName);
  if (entries.length === 0) refuse(WHERE, 'inputs', inputs, expected);
  for (const [name, tensor] of entries)
    if (!(tensor instanceof Tensor)) refuse(WHERE, `input "${name}"`, tensor, 'a tensor');
  return byName as TensorsByName;
}

/** The names of the inputs with a batch. */
function checkedBatch(inputs: TensorsByName, dynamicBatch: boolean | readonly string[]): readonly string[] {
  if (dynamicBatch === false) return [];
  if (dynamicBatch === true) return Object.keys(inputs).filter((name) => inputs[name].shape.length >= 2);
  if (!Array.isArray(dynamicBatch)) refuse(WHERE, 'dynamicBatch', dynamicBatch, 'true, false, or names of inputs');
  for (const name of dynamicBatch) {
    if (!inputs[name]?.shape.length) refuse(WHERE, 'dynamicBatch', dynamicBatch, 'names of inputs that have an axis');
  }
  return dynamicBatch;
}

/** @throws ArgumentError for results that are no tensors, or names that do not fit them */
function namedOutputs(result: OnnxOutputs, names?: readonly string[]): TensorsByName {
  const single = result instanceof Tensor;
  const entries = single
    ? [['output', result] as const]
    : Array.isArray(result)
      ? result.map((tensor, k) => [`output_${k}`, tensor] as const)
      : Object.entries(result ?? {});
  if (entries.length === 0 || entries.some(([, tensor]) => !(tensor instanceof Tensor))) {
    refuse(WHERE, 'the result of the network', result, 'a tensor, an array of tensors, or tensors by name');
  }
  if (names === undefined) return Object.fromEntries(entries);
  if (!Array.isArray(names) || new Set(names).size !== entries.length || names.length !== entries.length) {
    throw new ArgumentError(
      `${WHERE}: names is ${describe(names)}; expected one for each of ${entries.length} outputs`,
    );
  }
  return Object.fromEntries(entries.map(([, tensor], k) => [names[k], tensor]));
}
