import type { OpAttrs } from '../common/op-attrs.js';
import { transposeShape } from '../common/op-shapes-layout.js';
import { normalizeAxis } from '../common/shapes.js';
import { transposeKernel } from '../kernels/transpose.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

const transposeOp: Op<OpAttrs['transpose']> = {
  inputs: ['x'],
  shape: transposeShape,
  forward([x], { axes }, shape) {
    const order = axes.map((axis) => normalizeAxis(axis, axes.length));
    return { output: dispatch(transposeKernel(x.shape, order), [x], shape) };
  },
  backward({ inputs: [x], attrs: { axes }, dy }) {
    const order = axes.map((axis) => normalizeAxis(axis, axes.length));
    const back = order.map((_, axis) => order.indexOf(axis));
    return [dispatch(transposeKernel(dy.shape, back), [dy], x.shape)];
  },
};

export const transposeOps = { transpose: transposeOp };

/**
 * The same elements with the axes in another order: axis k of the result is axis axes[k] of x.
 * @param axes each axis of x once; may be negative: −1 is the last. Default: all in reverse, which of a matrix is its transpose
 * @throws ShapeError where an axis is missing, given twice or outside x
 */
export function transpose(x: Tensor, axes?: readonly number[]): Tensor {
  return apply('transpose', transposeOps.transpose, [x], { axes: axes ?? x.shape.map((_, k) => -1 - k) });
}
