import { broadcastPlan } from '../../shaders/binary.wgsl.js';
import { ShapeError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { meanShape, sumShape } from '../common/op-shapes.js';
import { normalizeAxes, reducedShape, sizeOf } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/binary.js';
import { mergeAxes } from '../kernels/merge-axes.js';
import { chooseSumPasses, type SumPass, sumPassKernel, sumPassScalars } from '../kernels/reduce.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';

/** How [batches, rows, columns] is added up; tests replace the default by the naive way. */
export type SumChoice = (...args: Parameters<typeof chooseSumPasses>) => SumPass[];

/** Sums over the middle axis of x as [batches, rows, columns], times `scale`: [batches, columns]. */
function sumMiddle(x: Tensor, [batches, rows, columns]: readonly number[], scale: number, choose: SumChoice): Tensor {
  const passes = choose(batches, rows, columns, x.gpu.limits);
  return scope(x.gpu, () => {
    let sums = x;
    passes.forEach((pass, k) => {
      const shape = [batches, pass.slots, pass.columns];
      sums = dispatch(sumPassKernel(pass), [sums], shape, sumPassScalars(pass, k < passes.length - 1 ? 1 : scale));
    });
    return sums.view([batches, columns]);
  });
}

/**
 * Column sums of x, seen as [rows, columns]: a new tensor [columns]. Not recorded on a tape: a building block for
 * gradients (of biases, of broadcast operands). The order of the sums is fixed.
 * @throws ShapeError unless x has rows·columns elements
 */
export function sumRows(x: Tensor, rows: number, columns: number): Tensor {
  if (rows * columns !== x.size) {
    throw new ShapeError(`sumRows: a tensor [${x.shape}] of ${x.size} elements is not ${rows} rows of ${columns}`);
  }
  return scope(x.gpu, () => sumMiddle(x, [1, rows, columns], 1, chooseSumPasses).view([columns]));
}

/**
 * Sums of x over the axes for which `reduced` holds, times `scale`, as a tensor of `shape` (the sizes of the other axes,
 * with or without ones). Not recorded. Where nothing is to be summed, this is x times `scale` (for 1: a view of x).
 */
export function sumOver(
  x: Tensor,
  reduced: (axis: number) => boolean,
  shape: readonly number[],
  scale = 1,
  choose: SumChoice = chooseSumPasses,
): Tensor {
  const axes = mergeAxes(x.shape, (axis) => [reduced(axis)], [false]);
  return scope(x.gpu, () => {
    let sums = x;
    let left = scale;
    // From the inside out, one run of reduced axes after the other; `left` is what the sums still lack.
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      if (!axes[axis].flags[0]) continue;
      const before = sizeOf(axes.slice(0, axis).map(({ size }) => size));
      const { size } = axes[axis];
      sums = sumMiddle(sums, [before, size, sums.size / before / size], left, choose);
      left = 1;
    }
    if (left !== 1) sums = scaledCopy(sums, sums.shape, left);
    return sums.view(shape);
  });
}

/** x, stretched to `shape`, times `scale`. */
function scaledCopy(x: Tensor, shape: readonly number[], scale: number): Tensor {
  const kernel = broadcastKernel('scale', 'plan.scale * x0', [x.shape], shape, { scaled: true });
  return dispatch(kernel, [x], shape, broadcastPlan.pack({ scale }));
}

/**
 * The gradient by an operand of `shape` that was broadcast to the shape of dy: `scale` times the sum of dy over the axes
 * along which the operand was stretched. Not recorded.
 */
export function sumToShape(dy: Tensor, shape: readonly number[], scale = 1): Tensor {
  const missing = dy.shape.length - shape.length;
  const reduced = (axis: number) => axis < missing || shape[axis - missing] < dy.shape[axis];
  return sumOver(dy, reduced, shape, scale);
}

/** sum or mean, added up as `choose` says. */
export function reduceOp(name: 'sum' | 'mean', choose: SumChoice = chooseSumPasses): Op<OpAttrs['sum']> {
  const scaleOf = (from: number, to: number) => (name === 'mean' ? to / from : 1);
  return {
    inputs: ['x'],
    shape: name === 'sum' ? sumShape : meanShape,
    forward([x], attrs, shape) {
      const axes = new Set(normalizeAxes(attrs.axes, x.shape.length));
      return { output: sumOver(x, (axis) => axes.has(axis), shape, scaleOf(x.size, sizeOf(shape)), choose) };
    },
    backward({ inputs: [x], attrs, dy }) {
      const kept = reducedShape(x.shape, normalizeAxes(attrs.axes, x.shape.length), true);
      return [scope(x.gpu, () => scaledCopy(dy.view(kept), x.shape, scaleOf(x.size, dy.size)))];
    },
  };
}

export const reduceOps = { sum: /* @__PURE__ */ reduceOp('sum'), mean: /* @__PURE__ */ reduceOp('mean') };

/**
 * Sum over axes, in a fixed order.
 * @param axes which ones; may be negative; all of them where none is given
 * @param keepDims keep the reduced axes, with size 1, instead of dropping them
 * @returns a scalar of shape [] when all axes go
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function sum(x: Tensor, axes: readonly number[] = [], keepDims = false): Tensor {
  return apply('sum', reduceOps.sum, [x], { axes, keepDims });
}

/** Mean over axes; otherwise as `sum`. */
export function mean(x: Tensor, axes: readonly number[] = [], keepDims = false): Tensor {
  return apply('mean', reduceOps.mean, [x], { axes, keepDims });
}
