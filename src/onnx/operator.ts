import { ArgumentError, FormatError, ShapeError } from '../common/errors.js';
import { normalizeAxis, type Shape } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import type { AnyTensor, Tensor } from '../tensor/tensor.js';
import { UnsupportedModelError, type UnsupportedPart } from './errors.js';
import type { AttributeProto, GraphProto, NodeProto } from './model.js';
import { tensorValues } from './tensor-values.js';
import { GpuValue, HostValue, type Value } from './values.js';

/** What an operator of ONNX does; a row of the tables in `operators/`. */
export interface Operator {
  /** Fewest and most inputs. */
  readonly inputs: readonly [number, number];
  /** Names of its attributes, separated by spaces. A file with others is refused. */
  readonly attributes?: string;
  /** Most outputs; default 1. */
  readonly outputs?: number;
  /** The first input from which on the values must be known on the host (shapes, axes). */
  readonly hostFrom?: number;
  /** Why this node is not supported, if that is known from the file alone. */
  readonly refuse?: (node: NodeView) => string | undefined | false;
  /** Computes small arrays on the host. If all inputs are there, this is used. */
  readonly host?: (context: Context) => Value | readonly Value[];
  /** Computes on the GPU. */
  readonly run?: (context: Context) => Value | readonly Value[];
  /** The result differs from call to call. */
  readonly random?: boolean;
}

export type OperatorTable = { readonly [name: string]: Operator };

/** A node with its attributes, as an operator reads them. */
export class NodeView {
  constructor(
    readonly proto: NodeProto,
    /** Version of the operators. */
    readonly opset: number,
  ) {}

  /** Its name, or that of its first output. */
  get name(): string {
    return nodeName(this.proto);
  }

  get operator(): string {
    return this.proto.operator;
  }

  /** @throws FormatError if an attribute is of another type */
  #attribute(name: string, type: number): AttributeProto | undefined {
    const found = this.proto.attributes.get(name);
    if (found && found.type !== type) {
      throw new FormatError(
        `ONNX: ${this.operator} (node "${this.name}"): attribute ${name} has the type ${found.type}; expected ${type}`,
      );
    }
    return found;
  }

  given(name: string): boolean {
    return this.proto.attributes.has(name);
  }

  float(name: string, missing: number): number {
    return this.#attribute(name, 1)?.float ?? missing;
  }

  int(name: string, missing: number): number {
    return this.#attribute(name, 2)?.int ?? missing;
  }

  text(name: string, missing: string): string {
    return this.#attribute(name, 3)?.text ?? missing;
  }

  tensor(name: string): HostValue | undefined {
    const found = this.#attribute(name, 4);
    return found?.tensor ? tensorValues(found.tensor) : undefined;
  }

  graph(name: string): GraphProto {
    return this.#attribute(name, 5)?.graph ?? this.malformed(`lacks the graph ${name}`);
  }

  floats(name: string): number[] | undefined {
    return this.#attribute(name, 6)?.floats;
  }

  texts(name: string): string[] | undefined {
    return this.#attribute(name, 8)?.strings;
  }

  ints(name: string): number[] | undefined {
    return this.#attribute(name, 7)?.ints;
  }

  malformed(what: string): never {
    throw new FormatError(`ONNX: ${this.operator} (node "${this.name}") ${what}`);
  }

  /** For what depends on the values of a call. @throws UnsupportedModelError */
  unsupported(reason: string): never {
    throw new UnsupportedModelError([this.part(reason)]);
  }

  part(reason: string): UnsupportedPart {
    return { node: this.name, operator: this.operator, reason };
  }

  /** For sizes of a call that do not fit. @throws ShapeError */
  misfit(what: string): never {
    throw new ShapeError(what);
  }
}

export const nodeName = (node: NodeProto): string => node.name || node.outputs[0] || '';

/** What a node's operator gets of the network that runs it. */
export interface Surroundings {
  readonly gpu: Gpu;
  readonly training: boolean;
  /** The GPU's copy of an array. */
  upload(value: HostValue): AnyTensor;
  /** Sets a share of the elements to 0 in training, others in each step. */
  drop(x: Tensor, rate: number, node: NodeView): Tensor;
  /** Whether the result need not have a gradient, so that operations without one may be used. */
  readonly fuses: boolean;
  /** Runs a graph in a node. */
  runGraph(graph: GraphProto, inputs: readonly Value[], node: NodeView): Value[];
}

/** A node with the values of its inputs. */
export class Context extends NodeView {
  constructor(
    node: NodeView,
    readonly inputValues: readonly (Value | undefined)[],
    readonly around: Surroundings,
  ) {
    super(node.proto, node.opset);
  }

  get gpu(): Gpu {
    return this.around.gpu;
  }

  has(k: number): boolean {
    return this.inputValues[k] !== undefined;
  }

  get values(): Value[] {
    return this.inputValues.map((_, k) => this.value(k));
  }

  value(k: number): Value {
    return this.inputValues[k] ?? this.malformed(`lacks its input ${k}`);
  }

  shape(k: number): Shape {
    return this.value(k).shape;
  }

  get rank(): number {
    return this.shape(0).length;
  }

  /** Input k on the GPU. */
  gpuValue(k: number): GpuValue {
    return this.toGpu(this.value(k));
  }

  toGpu(value: Value): GpuValue {
    return value instanceof HostValue ? GpuValue.file(this.around.upload(value)) : value;
  }

  /** Input k on the GPU, in the order of the file. */
  x(k: number): Tensor {
    return this.gpuValue(k).file() as Tensor;
  }

  /** Input k on the GPU, channels last. */
  last(k: number): Tensor {
    return this.gpuValue(k).last() as Tensor;
  }

  /** Input k, which must be known on the host. @throws UnsupportedModelError */
  host(k: number): HostValue {
    const value = this.value(k);
    if (value instanceof HostValue) return value;
    return this.unsupported(`the values of its input "${this.proto.inputs[k]}" must be known before the GPU runs`);
  }

  /** Input k as a list of integers; undefined if it is left out. */
  hostInts(k: number): number[] | undefined {
    return this.has(k) ? Array.from(this.host(k).data) : undefined;
  }

  /** Input k as a number; undefined if it is left out. */
  hostNumber(k: number): number | undefined {
    if (!this.has(k)) return undefined;
    const value = this.host(k);
    return value.size === 1 ? value.data[0] : this.misfit(`input ${k} is [${value.shape}]; expected one number`);
  }

  /** An axis of input 0. */
  axis(axis: number, rank = this.rank): number {
    return normalizeAxis(axis, rank, 'axis');
  }
}

/** Prefixes an error of the engine with the node at which it happened. */
export function atNode(error: unknown, node: NodeView): unknown {
  const prefix = `${node.operator} (node "${node.name}"): `;
  if (error instanceof ShapeError || error instanceof ArgumentError) {
    if (!error.message.startsWith('ONNX')) error.message = `ONNX: ${prefix}${error.message}`;
  }
  return error;
}
