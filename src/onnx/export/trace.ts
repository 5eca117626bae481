import { ArgumentError } from '../../common/errors.js';
import { sizeOf } from '../../common/shapes.js';
import type { PooledBuffer } from '../../gpu/buffer-pool.js';
import { Tape } from '../../ops/tape.js';
import type { DType } from '../../tensor/dtype.js';
import type { TapeNode } from '../../tensor/tape.js';
import { type AnyTensor, keep, scope, Tensor } from '../../tensor/tensor.js';

export type TensorsByName = Readonly<Record<string, AnyTensor>>;

/** A tensor of the traced pass. */
export interface TracedValue {
  readonly shape: readonly number[];
  /** For each axis, whether its size follows that of the batch. */
  readonly follows: readonly boolean[];
  readonly dtype: DType;
  /** What it holds if it does not depend on the inputs, and the name of the parameter that it is. */
  readonly constant?: { readonly values: ArrayLike<number>; readonly name?: string };
}

/** An operation between the inputs and the outputs. */
export interface TracedNode {
  readonly name: string;
  readonly attrs: unknown;
  readonly inputs: readonly TracedValue[];
  readonly output: TracedValue;
}

export interface Trace {
  readonly nodes: readonly TracedNode[];
  readonly inputs: ReadonlyMap<string, TracedValue>;
  readonly outputs: ReadonlyMap<string, TracedValue>;
}

/** A pass, before its constants are read. A class, so that a scope that returns one frees its tensors. */
class Pass {
  constructor(
    readonly nodes: readonly TapeNode[],
    /** Each with a view of it, which lives on when a scope of the network frees the constant. */
    readonly constants: ReadonlyMap<AnyTensor, AnyTensor>,
    readonly inputs: TensorsByName,
    readonly outputs: TensorsByName,
  ) {}
}

function filled({ gpu }: AnyTensor, shape: readonly number[], dtype: DType, fill: number): AnyTensor {
  const values = dtype === 'float32' ? new Float32Array(sizeOf(shape)) : new Int32Array(sizeOf(shape));
  return Tensor.from(gpu, values.fill(dtype === 'float32' ? fill : Math.round(fill)), shape, dtype);
}

/** The tensors that the inputs reach. */
class Reached {
  readonly #tensors = new Set<AnyTensor>();
  readonly #byBuffer = new Map<PooledBuffer, AnyTensor>();

  add(tensor: AnyTensor): void {
    this.#tensors.add(tensor);
    this.#byBuffer.set(tensor.buffer, tensor);
  }

  has(tensor: AnyTensor): boolean {
    return this.#tensors.has(tensor);
  }

  /** `tensor.view` is not recorded: the tensor of which this is a view, if there is one. */
  viewedBy(tensor: AnyTensor): AnyTensor | undefined {
    const other = tensor.disposed ? undefined : this.#byBuffer.get(tensor.buffer);
    return other?.disposed ? undefined : other;
  }
}

/**
 * Records a pass. Kernels run only for what the inputs do not reach; all else holds `fill`, so that what depends on the inputs without
 * an operation differs between two passes.
 * @param held gets the views of the constants, which the caller frees
 */
function runOnce(
  forward: (inputs: TensorsByName) => TensorsByName,
  inputs: TensorsByName,
  fill: number,
  held: AnyTensor[],
): Pass {
  const reached = new Reached();
  for (const tensor of Object.values(inputs)) reached.add(tensor);
  const views = new Map<AnyTensor, AnyTensor>();
  const constants = new Map<AnyTensor, AnyTensor>();
  /** Notes a view of what was reached, or a constant, while it is alive. @returns whether the inputs reach it */
  const visit = (tensor: AnyTensor): boolean => {
    if (reached.has(tensor)) return true;
    const viewed = reached.viewedBy(tensor);
    if (viewed) {
      views.set(tensor, viewed);
      reached.add(tensor);
    } else if (!constants.has(tensor)) {
      const view = keep(tensor.view(tensor.shape));
      held.push(view);
      constants.set(tensor, view);
    }
    return viewed !== undefined;
  };
  const tape = new Tape((operands, shape, dtype) => {
    if (!operands.map(visit).includes(true)) return undefined;
    const output = filled(operands[0], shape, dtype, fill);
    reached.add(output);
    return output;
  });
  const outputs = tape.record(() => forward(inputs));
  for (const output of Object.values(outputs)) visit(output);
  const nodes: TapeNode[] = [];
  const addView = (tensor: AnyTensor): void => {
    const viewed = views.get(tensor);
    if (!viewed || nodes.some(({ output }) => output === tensor)) return;
    const [x, output] = [viewed, tensor] as Tensor[];
    nodes.push({ name: 'reshape', op: null as never, inputs: [x], attrs: {}, output, saved: [], madeAt: 0 });
  };
  for (const node of tape.nodes) {
    // Without an input that was reached, the result is a constant of the graph.
    if (!reached.has(node.output)) continue;
    node.inputs.forEach(addView);
    nodes.push(node);
  }
  Object.values(outputs).forEach(addView);
  return new Pass(needed(nodes, Object.values(outputs)), constants, inputs, outputs);
}

/** The nodes on the way to the outputs. */
function needed(nodes: readonly TapeNode[], outputs: readonly AnyTensor[]): TapeNode[] {
  const wanted = new Set(outputs);
  const kept: TapeNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!wanted.has(node.output)) continue;
    for (const input of node.inputs) wanted.add(input);
    kept.unshift(node);
  }
  return kept;
}

/** For each axis, whether the two sizes differ. */
const following = (first: readonly number[], second: readonly number[]): boolean[] =>
  first.map((size, axis) => size !== second[axis]);

/** Attributes without those that follow from the shapes. */
const comparable = ({ name, attrs }: TapeNode): string => {
  const follows = { reshape: ['shape'], expand: ['shape'], slice: ['size'], stridedSlice: ['end'] }[name] ?? [];
  return JSON.stringify(attrs, (key, value) => (follows.includes(key) ? null : value));
};

/** The first reason why one graph does not stand for both passes, if there is one. */
function differenceOf(first: Pass, second: Pass): string | undefined {
  const operations = ({ nodes }: Pass): string => `${nodes.map(({ name }) => name)}`;
  if (operations(first) !== operations(second)) return 'it runs other operations';
  for (const [k, node] of first.nodes.entries()) {
    const { name, inputs, output } = node;
    const other = second.nodes[k];
    if (comparable(node) !== comparable(other)) return `${name} has other attributes`;
    const follows = following(output.shape, other.output.shape);
    if (name === 'reshape' && follows.filter(Boolean).length > 1) return 'more than one axis of a reshape follows it';
    if (name === 'expand') {
      // An axis that the input lacks, or has with size 1, would need the batch's size.
      const given = following(inputs[0].shape, other.inputs[0].shape);
      const added = follows.length - given.length;
      if (follows.some((moves, axis) => moves && !given[axis - added])) return 'an axis is expanded to it';
    }
    const whole = ({ inputs: [x], output: y }: TapeNode, axis: number) => x.shape[axis] === y.shape[axis];
    if (
      name === 'slice' &&
      inputs[0].shape.some((_, axis) => follows[axis] && !(whole(node, axis) && whole(other, axis)))
    ) {
      return 'the size of a slice follows it';
    }
  }
  const shapes = ({ constants }: Pass): string => [...constants.keys()].map(({ shape }) => `[${shape}]`).join();
  return shapes(first) === shapes(second) ? undefined : 'a constant has another shape';
}

/**
 * Records a network's pass twice, the second time with one more in the batch. What differs follows the batch.
 * @param names of tensors that lived before the pass
 * @param batched inputs whose axis 0 is the batch
 * @param demanded whether the batch must be a symbol; else it stays as it is if it cannot be one
 * @throws ArgumentError
 */
export async function trace(
  forward: (inputs: TensorsByName) => TensorsByName,
  inputs: TensorsByName,
  names: ReadonlyMap<AnyTensor, string>,
  batched: readonly string[],
  demanded: boolean,
): Promise<Trace> {
  const { gpu } = Object.values(inputs)[0];
  const firstId = scope(gpu, () => Tensor.empty(gpu, [1]).id);
  const held: AnyTensor[] = [];
  const run = (given: TensorsByName, fill: number): Pass =>
    scope(gpu, () => {
      return runOnce(forward, given, fill, held);
    });
  const runAgain = (larger: readonly string[]): Pass =>
    scope(gpu, () => {
      const others = Object.entries(inputs).map(([name, tensor]) => {
        const shape = tensor.shape.map((size, axis) => (axis === 0 && larger.includes(name) ? size + 1 : size));
        return [name, filled(tensor, shape, tensor.dtype, 0.75)] as const;
      });
      return run(Object.fromEntries(others), 0.75);
    });
  try {
    const first = run(inputs, 0.25);
    return await readTrace(first, secondPass(first, runAgain, batched, demanded), names, firstId);
  } finally {
    for (const view of held) view.dispose();
  }
}

/** A pass over a larger batch, or else over the same one. */
function secondPass(
  first: Pass,
  runAgain: (larger: readonly string[]) => Pass,
  batched: readonly string[],
  demanded: boolean,
): Pass {
  if (batched.length > 0) {
    let why: string | undefined;
    let cause: unknown;
    try {
      const second = runAgain(batched);
      why = differenceOf(first, second);
      if (why === undefined) return second;
    } catch (error) {
      cause = error;
      why = (error as Error).message;
    }
    if (demanded) {
      throw new ArgumentError(`exportOnnx: the batch cannot be a symbol; with one more in it: ${why}`, { cause });
    }
  }
  const second = runAgain([]);
  const why = differenceOf(first, second);
  if (why !== undefined) throw new ArgumentError(`exportOnnx: the network differs from run to run: ${why}`);
  return second;
}

/** Reads the constants. @throws ArgumentError if one differs between the passes */
async function readTrace(
  first: Pass,
  second: Pass,
  names: ReadonlyMap<AnyTensor, string>,
  firstId: number,
): Promise<Trace> {
  const byTensor = new Map<AnyTensor, TracedValue>();
  const add = (tensor: AnyTensor, other: AnyTensor, constant?: TracedValue['constant']): TracedValue => {
    const { shape, dtype } = tensor;
    const value = { shape, dtype, follows: following(shape, other.shape), constant };
    byTensor.set(tensor, value);
    return value;
  };
  const used = new Set<AnyTensor>([...first.nodes.flatMap(({ inputs }) => inputs), ...Object.values(first.outputs)]);
  const others = [...second.constants.values()];
  const constants = [...first.constants]
    .map(([tensor, view], k) => ({ tensor, view, other: others[k] }))
    .filter(({ tensor }) => used.has(tensor));
  const read = await Promise.all(
    constants.map(({ tensor, view, other }) => Promise.all([view.read(), tensor.id < firstId ? null : other.read()])),
  );
  for (const [k, { tensor }] of constants.entries()) {
    const [values, otherValues] = [read[k][0], read[k][1] ?? read[k][0]];
    if (!values.every((value, i) => Object.is(value, otherValues[i]))) {
      throw new ArgumentError(
        `exportOnnx: a tensor [${tensor.shape}] depends on the inputs, but no recorded operation made it; use operations or defineOp`,
      );
    }
    add(tensor, tensor, { values, name: names.get(tensor) });
  }
  const inputs = new Map(
    Object.entries(first.inputs).map(([name, tensor]) => [name, add(tensor, second.inputs[name])] as const),
  );
  const nodes = first.nodes.map(({ name, attrs, inputs: operands, output }, k) => ({
    name,
    attrs,
    inputs: operands.map((operand) => byTensor.get(operand)!),
    output: add(output, second.nodes[k].output),
  }));
  const outputs = new Map(
    Object.entries(first.outputs).map(([name, tensor]) => [name, byTensor.get(tensor)!] as const),
  );
  return { nodes, inputs, outputs };
}
