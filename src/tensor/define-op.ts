import { refuse } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import { formatShape, sameShape } from '../common/shapes.js';
import { apply, type BackwardContext, type Op } from './tape.js';
import type { Tensor } from './tensor.js';

/** A function of tensors that tapes record: what {@link defineOp} makes. */
export type DefinedOp<A> = (inputs: readonly Tensor[], ...attrs: A extends undefined ? [] : [attrs: A]) => Tensor;

/**
 * Makes an operation from your own kernels for its value and its gradients. Tapes record it, `gradients` differentiates it, and
 * recorded steps replay it, like the operations of the engine.
 *
 * @example
 * const softplus = defineOp({
 *   name: 'softplus',
 *   shape: ([x]) => x,
 *   forward: ([x], _, shape) => ({ output: dispatch(valueKernel(x.size), [x], shape) }),
 *   backward: ({ inputs: [x], dy }) => [dispatch(gradientKernel(x.size), [x, dy], x.shape)],
 * });
 * const y = softplus([x]);
 *
 * @param definition.name for messages and tapes
 * @param definition.shape checks the shapes of the inputs and returns that of the output; throws ShapeError
 * @param definition.forward runs kernels (`dispatch`), or other operations, which tapes do not record, and returns the output; `saved`
 * keeps tensors for `backward`. Temporaries are freed by a `scope` of its own
 * @param definition.backward gets the inputs, the output, what was saved and `dy`, the gradient of the loss by the output; it
 * returns a gradient of each input's shape, or null for one that has none. `needs` tells which are wanted at all
 * @returns a function of the inputs, as an array, and the attributes; it throws ShapeError where `shape` does, or where an
 * output or gradient has another shape than promised; ArgumentError for inputs of several devices
 */
export function defineOp<A = undefined>(definition: Op<A> & { name: string }): DefinedOp<A> {
  const { name } = definition;
  for (const part of ['shape', 'forward', 'backward'] as const) {
    if (typeof definition[part] !== 'function') refuse('defineOp', part, definition[part], 'a function');
  }
  const op: Op<A> = {
    shape: (inputs, attrs) => definition.shape(inputs, attrs),
    ...(definition.dtype && { dtype: (inputs, attrs) => definition.dtype!(inputs, attrs) }),
    forward(inputs, attrs, shape) {
      const result = definition.forward(inputs, attrs, shape);
      checkShape(`${name}: the output`, result.output, shape);
      return result;
    },
    backward(context: BackwardContext<A>) {
      const { inputs, needs } = context;
      const gradients = definition.backward(context);
      if (gradients.length !== inputs.length) {
        throw new ShapeError(`${name}: backward gave ${gradients.length} gradients for ${inputs.length} inputs`);
      }
      gradients.forEach((gradient, k) => {
        if (gradient && needs[k]) checkShape(`${name}: the gradient of input ${k}`, gradient, inputs[k].shape);
      });
      return gradients;
    },
  };
  return (inputs, ...[attrs]) => apply(name, op, inputs, attrs as A);
}

function checkShape(what: string, { shape }: Tensor, expected: readonly number[]): void {
  if (!sameShape(shape, expected)) {
    throw new ShapeError(`${what} has shape ${formatShape(shape)}; expected ${formatShape(expected)}`);
  }
}
