import { refuse } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import type { PooledBuffer } from '../gpu/buffer-pool.js';
import { lastChange } from '../gpu/changes.js';
import { addKernel } from '../kernels/elementwise.js';
import { dispatch } from '../tensor/dispatch.js';
import type { DType } from '../tensor/dtype.js';
import { type BackwardContext, checkTensor, type Recorder, recordOn, type TapeNode } from '../tensor/tape.js';
import { type AnyTensor, checkingUses, scope, Tensor } from '../tensor/tensor.js';
import { convGradients } from './conv/gradient.js';

/** The operations that ran while it was recording, in order. Walking the list backwards gives the gradients. */
export class Tape implements Recorder {
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
    const result = recordOn(this, body);
    if (result instanceof Promise) {
      result.catch(() => {}); // the error below is the one to see
      throw new ArgumentError('record: the body must be synchronous');
    }
    return result;
  }

  /**
   * Gradients of `output` (times `seed`, of its shape; 1 for a scalar output) by each tensor of `wrt`.
   * A tensor that `output` does not depend on is absent from the result. Sums run in a fixed order, so the
   * result is the same to the bit from run to run on one device.
   * @throws ArgumentError if `wrt` has a value that is not a tensor, or no tensor that a gradient reaches; and where a gradient needs
   * values that were changed in place since they were recorded, by `write` or an optimizer's step
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
    if (seed && seed.gpu !== output.gpu)
      throw new ArgumentError('gradients: the seed lives on another device than the output');
    if (seed && (seed as AnyTensor).dtype !== 'float32') refuse('gradients', 'the seed', seed, 'a tensor of float32');
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
        const node = this.nodes[i];
        const { inputs, output: result, saved, attrs } = node;
        const dy = grads.get(result);
        const needs = inputs.map((input) => dependent.has(input));
        if (!dy || !needs.includes(true)) continue;
        const context = { inputs, output: result, saved, attrs: attrs as never, dy, needs, gradients: convGradients };
        const parts = partsOf(node, context);
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

/** The gradients of one operation's inputs. @throws ArgumentError where they need values that were changed since it ran */
function partsOf(node: TapeNode, context: BackwardContext<never>): (Tensor | null)[] {
  const { name, op, inputs, output, saved, madeAt } = node;
  const run = (): (Tensor | null)[] => op.backward(context);
  if (lastChange() <= madeAt) return run();
  const changed = new Map<PooledBuffer, string>();
  [...inputs, output, ...saved].forEach((tensor, k) => {
    if (tensor.disposed || tensor.buffer.changedAt <= madeAt || changed.has(tensor.buffer)) return;
    const own = k === inputs.length ? 'its output' : 'what it kept';
    changed.set(tensor.buffer, `${k < inputs.length ? (op.inputs?.[k] ?? `input ${k + 1}`) : own} [${tensor.shape}]`);
  });
  if (changed.size === 0) return run();
  const refuseChanged = (buffer: PooledBuffer): void => {
    const what = changed.get(buffer);
    if (what === undefined) return;
    throw new ArgumentError(
      `gradients: ${name} needs ${what}, which was changed in place (by write, or the step of an optimizer) after ${name} had run: take all gradients before the change`,
    );
  };
  return checkingUses(refuseChanged, run);
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
