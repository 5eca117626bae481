import { ShapeError } from '../common/errors.js';
import { formatShape, type Shape, type ShapeRule, sameShape } from '../common/shapes.js';
import type { NdArray } from './ndarray.js';

/** An operation in float64: the truth that kernels are compared with. */
export interface ReferenceOp<A> {
  /** @throws ShapeError, ArgumentError as the shape rule of the operation does */
  forward(inputs: readonly NdArray[], attrs: A): NdArray;
  /**
   * Vector-Jacobian product.
   * @param output what forward returned
   * @param dy gradient of the loss with respect to the output
   * @returns the gradient for each input, null where an input has none (labels, running statistics)
   * @throws ShapeError, ArgumentError
   */
  backward(inputs: readonly NdArray[], output: NdArray, dy: NdArray, attrs: A): (NdArray | null)[];
}

/** Operations in float64 by name: all of them, or those that somebody needs. */
export type ReferenceTable = { readonly [name: string]: ReferenceOp<never> };

/** An operation before its checks; `shape` is that of the output by the shape rule. */
export interface ReferenceRule<A> {
  forward(inputs: readonly NdArray[], attrs: A, shape: Shape): NdArray;
  backward(inputs: readonly NdArray[], output: NdArray, dy: NdArray, attrs: A): (NdArray | null)[];
}

/** Puts the checks of the operation's shape rule before both directions. */
export function checked<A>(op: string, rule: ReferenceRule<A>, shapeRule: ShapeRule<A>): ReferenceOp<A> {
  const shapeOf = (inputs: readonly NdArray[], attrs: A): Shape =>
    shapeRule(
      inputs.map((x) => x.shape),
      attrs,
    );
  return {
    forward(inputs, attrs) {
      return rule.forward(inputs, attrs, shapeOf(inputs, attrs));
    },
    backward(inputs, output, dy, attrs) {
      const shape = shapeOf(inputs, attrs);
      for (const [name, array] of Object.entries({ output, dy })) {
        if (!sameShape(array.shape, shape)) {
          throw new ShapeError(`${op}: ${name} has shape ${formatShape(array.shape)}; expected ${formatShape(shape)}`);
        }
      }
      return rule.backward(inputs, output, dy, attrs);
    },
  };
}
