import { refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import type { Shape } from '../common/shapes.js';
import { lastChange } from '../gpu/changes.js';
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
  /** Gradients that are not part of their operations; those of convolutions. */
  gradients: BroughtGradients;
}

/**
 * Gradients that a tape brings, because they need many kernels that the forward pass does not: programs without a tape leave them
 * out. Each takes its operation's context, the options that the operation was made with, and what the forward pass runs kernels by.
 */
export interface BroughtGradients {
  conv2d(context: BackwardContext<unknown>, options: object, runner: object): (Tensor | null)[];
  convTranspose2d(context: BackwardContext<unknown>, options: object, runner: object): (Tensor | null)[];
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
  /** `lastChange` when it had run: what was changed later has other values than it saw. */
  madeAt: number;
}

/** What records operations: see `Tape` of `src/ops/tape.ts`. */
export interface Recorder {
  readonly nodes: TapeNode[];
  /**
   * Makes the output of an operation in place of its kernels, or gives undefined where they should run: for a record of what a pass
   * does, without its values.
   */
  readonly standIn?: (inputs: readonly AnyTensor[], shape: readonly number[], dtype: DType) => AnyTensor | undefined;
}

let active: Recorder | null = null;
/** True while the operation that runs will be recorded as a whole, and what it runs will not. */
let isAside = false;

/** Runs `body`, whose operations `recorder` records. */
export function recordOn<T>(recorder: Recorder, body: () => T): T {
  const outer = active;
  active = recorder;
  try {
    return body();
  } finally {
    active = outer;
  }
}

/** Runs the kernels of an operation, and what operations they are made of, which belong to it and are not recorded. */
function runAside<T>(body: () => T): T {
  const outer = active;
  const wasAside = isAside;
  isAside ||= active !== null;
  active = null;
  try {
    return body();
  } finally {
    active = outer;
    isAside = wasAside;
  }
}

/** @throws ArgumentError if `value` is not a tensor */
export function checkTensor(where: string, name: string, value: unknown): void {
  if (value instanceof Tensor) return;
  const holdsOne = typeof value === 'object' && value !== null && 'tensor' in value;
  refuse(where, name, value, holdsOne ? 'a tensor, here its .tensor' : 'a tensor');
}

/** True while a tape records: what runs now may be asked for a gradient. */
export const isTapeRecording = (): boolean => active !== null || isAside;

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
  const { output, saved } = applyAll<A, D>(name, op, given, attrs);
  // No gradient will ask for what was kept.
  if (active === null) {
    const used: readonly AnyTensor[] = [output, ...given];
    for (const tensor of saved) if (!used.includes(tensor)) tensor.dispose();
  }
  return output;
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
  const { output, saved = [] } = made ? { output: made } : runAside(() => op.forward(inputs, attrs, shape));
  active?.nodes.push({ name, op: op as Op<never>, inputs, attrs, output, saved, madeAt: lastChange() });
  return { output: output as AnyTensor as Tensor<D>, saved };
}
