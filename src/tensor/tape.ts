import { refuse } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import type { Shape } from '../common/shapes.js';
import { addKernel } from '../kernels/elementwise.js';
import { dispatch } from './dispatch.js';
import { checkDtypes, type DType } from './dtype.js';
import { type AnyTensor, scope, Tensor } from './tensor.js';

/** What the backward pass of an operation gets. */
export interface BackwardContext<A> {
  inputs: readonly Tensor[];
  output: Tensor;
  /** Tensors that the forward pass kept for this (statistics, masks). */
  saved: readonly Tensor[];
  attrs: A;
  /** Gradient of the loss by the output, of the output's shape. */
  dy: Tensor;
  /** Which inputs need a gradient. */
  needs: readonly boolean[];
}

/** A differentiable operation on the GPU: kernels for forward and backward; shapes are checked before it runs. */
export interface Op<A> {
  /** Names of the inputs in messages. */
  readonly inputs?: readonly string[];
  /**
   * Checks the shapes of the inputs and the attributes, and returns the shape of the output. Each operation has its own rule, so
   * that a program contains only the rules that it uses.
   * @throws ShapeError, ArgumentError that name the operation
   */
  shape(inputs: readonly Shape[], attrs: A): readonly number[];
  /**
   * Checks the types of the inputs' elements, and returns that of the output. An operation without this rule takes and gives
   * float32; one with it may get other types than the signatures below say.
   * @throws ArgumentError that names the operation
   */
  dtype?(inputs: readonly DType[], attrs: A): DType;
  /** Computes an output of the given shape (which `shape` made). */
  forward(inputs: readonly Tensor[], attrs: A, shape: readonly number[]): { output: Tensor; saved?: readonly Tensor[] };
  /** One gradient for each input, of its shape; null for inputs that need or have none. */
  backward(context: BackwardContext<A>): (Tensor | null)[];
}

/** The attributes of an operation that has none. */
export type NoAttrs = Record<string, never>;

/** One executed operation. The names and attributes suffice to replay it elsewhere, e.g. in float64. */
export interface TapeNode {
  name: string;
  op: Op<never>;
  inputs: readonly Tensor[];
  attrs: unknown;
  output: Tensor;
  saved: readonly Tensor[];
}

let active: Tape | null = null;

/** The operations that ran while it was recording, in order. Walking the list backwards gives the gradients. */
export class Tape {
  readonly nodes: TapeNode[] = [];

  /**
   * @param standIn makes the output of an operation in place of its kernels, or gives undefined where they should run: for a record of
   * what a pass does, without its values
   */
  constructor(
    readonly standIn?: (inputs: readonly AnyTensor[], shape: readonly number[], dtype: DType) => AnyTensor | undefined,
  ) {}

  /**
   * Runs `body` with this tape recording. Tapes do not nest: an inner one takes over until it ends.
   * @throws ArgumentError if the body is asynchronous, because what it does after its first wait would not be recorded
   */
  record<T>(body: () => T): T {
    if (typeof body !== 'function') refuse('record', 'body', body, 'a function');
    const outer = active;
    active = this;
    try {
      const result = body();
      if (result instanceof Promise) {
        result.catch(() => {}); // the error below is the one to see
        throw new ArgumentError('record: the body must be synchronous');
      }
      return result;
    } finally {
      active = outer;
    }
  }

  /**
   * Gradients of `output` (times `seed`, of its shape; 1 for a scalar output) by each tensor of `wrt`.
   * A tensor that `output` does not depend on is absent from the result. Sums run in a fixed order, so the
   * result is the same to the bit from run to run on one device.
   * @throws ArgumentError if `wrt` has a value that is not a tensor, or no tensor that a gradient reaches
   */
  gradients(output: Tensor, wrt: readonly Tensor[], seed?: Tensor): Map<Tensor, Tensor> {
    checkTensor('gradients', 'the output', output);
    const asked = checkTensors('gradients', wrt);
    if (seed !== undefined) checkTensor('gradients', 'the seed', seed);
    if (!seed && output.size !== 1) {
      throw new ArgumentError(`gradients: an output of shape [${output.shape}] needs a seed of that shape`);
    }
    if (seed && `${seed.shape}` !== `${output.shape}`) {
      throw new ShapeError(`gradients: the seed [${seed.shape}] must have the output's shape [${output.shape}]`);
    }
    asked.forEach(({ dtype }: AnyTensor, k) => {
      if (dtype !== 'float32') refuse('gradients', `wrt[${k}]`, dtype, 'a tensor of float32: others have no gradient');
    });
    const dependent = new Set(asked);
    for (const node of this.nodes) if (node.inputs.some((input) => dependent.has(input))) dependent.add(node.output);

    const wanted = new Set(asked);
    return scope(output.gpu, () => {
      const grads = new Map<Tensor, Tensor>();
      if (!dependent.has(output)) {
        const count = asked.length === 1 ? 'the tensor' : `any of the ${asked.length} tensors`;
        throw new ArgumentError(
          `gradients: this tape recorded no way from the output to ${count} asked for: compute the output inside record()`,
        );
      }
      grads.set(output, seed ?? Tensor.from(output.gpu, [1], output.shape));
      for (let i = this.nodes.length - 1; i >= 0; i--) {
        const { op, inputs, output: result, saved, attrs } = this.nodes[i];
        const dy = grads.get(result);
        const needs = inputs.map((input) => dependent.has(input));
        if (!dy || !needs.includes(true)) continue;
        const parts = op.backward({ inputs, output: result, saved, attrs: attrs as never, dy, needs });
        inputs.forEach((input, k) => {
          const part = parts[k];
          if (!part || !needs[k]) return;
          const sum = grads.get(input);
          grads.set(input, sum ? dispatch(addKernel(input.size), [sum, part], input.shape) : part);
        });
        // Gradients that are not needed any more return to the pool now, so the peak is that of the activations, not of all gradients.
        if (!wanted.has(result)) {
          grads.delete(result);
          if (dy !== seed && ![...grads.values()].includes(dy)) dy.dispose();
        }
      }
      const found = new Map([...grads].filter(([tensor]) => wanted.has(tensor)));
      if (found.size === 0) {
        throw new ArgumentError(
          'gradients: no gradient reaches what was asked for: an operation on the way, such as hard rounding, passes none',
        );
      }
      return found;
    });
  }
}

/** @throws ArgumentError if `value` is not a tensor */
function checkTensor(where: string, name: string, value: unknown): void {
  if (value instanceof Tensor) return;
  const holdsOne = typeof value === 'object' && value !== null && 'tensor' in value;
  refuse(where, name, value, holdsOne ? 'a tensor, here its .tensor' : 'a tensor');
}

/** @returns the tensors as a list. @throws ArgumentError for what is no list of tensors, or an empty one */
function checkTensors(where: string, tensors: Iterable<Tensor>): Tensor[] {
  if (typeof tensors?.[Symbol.iterator] !== 'function') refuse(where, 'wrt', tensors, 'an array of tensors');
  const list = [...tensors];
  if (list.length === 0) throw new ArgumentError(`${where}: wrt is empty; expected at least one tensor`);
  list.forEach((tensor, k) => {
    checkTensor(where, `wrt[${k}]`, tensor);
  });
  return list;
}

/** True while a tape records: what runs now may be asked for a gradient. */
export const isTapeRecording = (): boolean => active !== null;

/**
 * Runs a function that is composed of operations, the first on x. What it makes beside its result is freed, unless a tape
 * records, which needs all of it.
 */
export const composed = <T>(x: AnyTensor, body: () => T): T =>
  active === null && x instanceof Tensor ? scope(x.gpu, body) : body();

/**
 * Checks shapes, runs an operation and records it on the active tape, if one is.
 * @throws ShapeError, ArgumentError before any GPU work
 */
export function apply<A, D extends DType = 'float32'>(
  name: string,
  op: Op<A>,
  given: readonly AnyTensor[],
  attrs: A,
): Tensor<D> {
  return applyAll<A, D>(name, op, given, attrs).output;
}

/** As `apply`, and also returns what the operation saved: other results, which have no gradient of their own. */
export function applyAll<A, D extends DType = 'float32'>(
  name: string,
  op: Op<A>,
  given: readonly AnyTensor[],
  attrs: A,
): { output: Tensor<D>; saved: readonly Tensor[] } {
  // Each operation checks its types below.
  const inputs = given as readonly Tensor[];
  inputs.forEach((input, k) => {
    checkTensor(name, op.inputs?.[k] ?? `input ${k + 1}`, input);
  });
  const shape = op.shape(
    inputs.map((input) => input.shape),
    attrs,
  );
  const dtypes = given.map(({ dtype }) => dtype);
  const dtype = op.dtype ? op.dtype(dtypes, attrs) : 'float32';
  if (!op.dtype) checkDtypes(name, dtypes, ['float32'], op.inputs);
  for (const input of inputs) {
    if (input.gpu !== inputs[0].gpu) throw new ArgumentError(`${name}: the inputs live on different devices`);
    void input.buffer; // throws DisposedError
  }
  const made = active?.standIn?.(inputs, shape, dtype) as Tensor | undefined;
  const { output, saved = [] } = made ? { output: made } : op.forward(inputs, attrs, shape);
  active?.nodes.push({ name, op: op as Op<never>, inputs, attrs, output, saved });
  return { output: output as AnyTensor as Tensor<D>, saved };
}
