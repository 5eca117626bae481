import { stridesOf } from '../../common/shapes.js';
import type { ElementType, OnnxAttribute, OnnxInitializer, OnnxNode } from './onnx-file.js';
import type { TracedValue } from './trace.js';

/** The order of a value's axes in the graph: as in the engine, or of pictures [N,C,H,W]. */
export type AxisOrder = 'engine' | 'channelsFirst';

/** Axis k of [N,C,H,W] is this axis of [N,H,W,C], and the other way round. */
export const TO_CHANNELS_FIRST = [0, 3, 1, 2] as const;
const FROM_CHANNELS_FIRST = [0, 2, 3, 1] as const;

/** The elements with axis k of the result being axis `axes[k]` of the array. */
export function permuted(values: ArrayLike<number>, shape: readonly number[], axes: readonly number[]): Float64Array {
  const strides = stridesOf(shape);
  const sizes = axes.map((axis) => shape[axis]);
  const steps = axes.map((axis) => strides[axis]);
  const out = new Float64Array(values.length);
  const index = new Array<number>(axes.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from];
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < sizes[axis]) break;
      from -= steps[axis] * sizes[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** The graph while it grows. A value has a name in each order of axes that an operation has asked for. */
export class GraphWriter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #names = new Map<TracedValue, Partial<Record<AxisOrder, string>>>();
  readonly #small = new Map<string, string>();
  readonly #taken: Set<string>;

  /** @param taken names that nothing in the graph may get */
  constructor(
    readonly opset: number,
    taken: Iterable<string>,
  ) {
    this.#taken = new Set(taken);
  }

  /** The name itself, or with a number where it is taken. */
  unique(name: string): string {
    let result = name;
    for (let k = 1; this.#taken.has(result); k++) result = `${name}_${k}`;
    this.#taken.add(result);
    return result;
  }

  /** Adds a node with one output, and returns the name of that. */
  node(type: string, inputs: string[], attributes: Readonly<Record<string, OnnxAttribute>> = {}): string {
    const output = this.unique(`${type[0].toLowerCase()}${type.slice(1)}_${this.nodes.length}`);
    this.nodes.push({ type, inputs, outputs: [output], attributes });
    return output;
  }

  /** Names of outputs of the graph that are given. */
  readonly namedOutputs = new Set<string>();

  /** Gives what a node makes another name, for an output of the graph. */
  rename(from: string, to: string): void {
    const renamed = (names: string[]): string[] => names.map((name) => (name === from ? to : name));
    for (const node of this.nodes) {
      node.inputs = renamed(node.inputs);
      node.outputs = renamed(node.outputs);
    }
    for (const orders of this.#names.values()) {
      for (const order of ['engine', 'channelsFirst'] as const) if (orders[order] === from) orders[order] = to;
    }
    this.namedOutputs.add(to);
  }

  /** A constant of the graph; equal small ones are one. */
  constant(type: ElementType, shape: readonly number[], values: ArrayLike<number>, name = 'constant'): string {
    const key =
      values.length <= 8 ? `${type} ${shape} ${Array.from(values, (v) => (Object.is(v, -0) ? '-0' : v))}` : '';
    const known = name === 'constant' && key !== '' ? this.#small.get(key) : undefined;
    if (known !== undefined) return known;
    const unique = this.unique(name === 'constant' ? `constant_${this.initializers.length}` : name);
    if (name === 'constant') this.#small.set(key, unique);
    this.initializers.push({ name: unique, type, shape, values });
    return unique;
  }

  /** A constant of int64, for shapes and axes. */
  integers(values: readonly number[]): string {
    return this.constant('int64', [values.length], values);
  }

  /** A number, which broadcasts. */
  number(value: number): string {
    return this.constant('float32', [], [value]);
  }

  /** Whether a value has this order already. */
  has(value: TracedValue, order: AxisOrder): boolean {
    return this.#names.get(value)?.[order] !== undefined;
  }

  /** The order in which an operation that takes any should take the value. */
  orderOf(value: TracedValue): AxisOrder {
    return this.has(value, 'channelsFirst') ? 'channelsFirst' : 'engine';
  }

  /** Says which name a value has in an order. */
  define(value: TracedValue, order: AxisOrder, name: string): void {
    this.#names.set(value, { ...this.#names.get(value), [order]: name });
  }

  /** The name of a value in an order; adds a Transpose if it exists in the other order only. */
  name(value: TracedValue, order: AxisOrder = 'engine'): string {
    const names = this.#names.get(value);
    const known = names?.[order];
    if (known !== undefined) return known;
    const other = names?.[order === 'engine' ? 'channelsFirst' : 'engine'];
    const axes = order === 'engine' ? FROM_CHANNELS_FIRST : TO_CHANNELS_FIRST;
    const made =
      other !== undefined && !value.constant
        ? this.node('Transpose', [other], { perm: axes })
        : order === 'engine'
          ? this.arranged(value)
          : this.arranged(value, axes);
    this.define(value, order, made);
    return made;
  }

  /** A value with its axes in another order, or another shape: weights are reordered here, others by nodes. */
  arranged(value: TracedValue, axes?: readonly number[], shape?: readonly number[]): string {
    const order = axes ?? value.shape.map((_, k) => k);
    const target = shape ?? order.map((axis) => value.shape[axis]);
    if (value.constant) {
      const { values, name } = value.constant;
      const data = axes ? permuted(values, value.shape, axes) : values;
      return this.constant(value.dtype, target, data, name);
    }
    const moved = axes ? this.node('Transpose', [this.name(value)], { perm: order }) : this.name(value);
    return shape ? this.node('Reshape', [moved, this.integers(shape)]) : moved;
  }

  /** One number for each channel, or one for all, as it broadcasts with a value in an order of axes. */
  perChannel(value: TracedValue, order: AxisOrder): string {
    return order === 'engine' ? this.name(value) : this.arranged(value, undefined, [value.shape[0], 1, 1]);
  }

  /** A constant of at most four axes as it broadcasts with pictures in the order channelsFirst. */
  broadcastConstant(value: TracedValue): string {
    const shape = [...new Array<number>(4 - value.shape.length).fill(1), ...value.shape];
    const target = TO_CHANNELS_FIRST.map((axis) => shape[axis]);
    const first = target.findIndex((size) => size !== 1);
    const data = permuted(value.constant!.values, shape, TO_CHANNELS_FIRST);
    return this.constant(value.dtype, first < 0 ? [] : target.slice(first), data, value.constant!.name);
  }

  /** The axis of a value's order that is this axis of the engine's. */
  axis(axis: number, value: TracedValue, order: AxisOrder): number {
    const rank = value.shape.length;
    const positive = axis < 0 ? axis + rank : axis;
    return order === 'engine' ? positive : TO_CHANNELS_FIRST.indexOf(positive as 0);
  }
}
