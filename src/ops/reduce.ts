import { broadcastPlan } from '../../shaders/binary.wgsl.js';
import { SUM_BLOCK } from '../../shaders/common/block-sums.js';
import { type Fold, foldRowsShader, type SumWidth, sumPlan, sumRowsShader } from '../../shaders/reduce.wgsl.js';
import { ShapeError } from '../common/errors.js';
import { broadcastStrides, normalizeAxes, reducedShape, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { chooseChannels } from '../kernels/channel-walk.js';
import { elementKernel } from '../kernels/elementwise.js';
import { mergeAxes } from '../kernels/merge-axes.js';
import { gatherAt, map, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { checkDtypes, type DType, WGSL_TYPES } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { checkInputs } from './shape-checks.js';

/** Over the given axes (all when empty); a reduced axis is dropped unless keepDims. */
export interface ReduceAttrs {
  axes: readonly number[];
  keepDims: boolean;
}

/** @throws ShapeError */
export function reduceShape(op: string, inputs: readonly Shape[], attrs: ReduceAttrs): number[] {
  checkInputs(op, inputs, ['input']);
  const [x] = inputs;
  return reducedShape(x, normalizeAxes(attrs.axes, x.length, op), attrs.keepDims);
}

/** One pass of a sum: [batches, rows, columns] becomes [batches, parts, columns]; see `shaders/reduce.wgsl.ts`. */
export interface SumPass {
  readonly batches: number;
  readonly rows: number;
  readonly columns: number;
  readonly parts: number;
  /** Adjacent columns of an invocation; divides `columns`. */
  readonly width: SumWidth;
}

/**
 * Rows to lay side by side, so that `columns` becomes a multiple of 4 and every load brings 4 numbers:
 * [rows, columns] is also [rows/k, k·columns], whose column sums [k·columns] = [k, columns] the next pass adds up.
 */
function rowsSideBySide(batches: number, rows: number, columns: number): number {
  const wanted = 4 / chooseChannels(columns);
  // This costs another pass, which does not pay off for a short sum.
  return rows % wanted === 0 && rows >= 4 * wanted && batches * rows * columns >= 2 ** 14 ? wanted : 1;
}

/** Number of sums for the rows of a pass: enough to fill the device, and few enough to keep the next pass short. */
function partsFor(batches: number, rows: number, groups: number, limits: KernelLimits): number {
  const threads = batches * groups;
  // A CPU runs a long loop as fast as a short one; on a GPU, the loop of one thread takes as long as the kernel.
  // Most rows of a sum: blocks of blocks.
  const longest = SUM_BLOCK ** 3;
  if (rows <= longest && (limits.software ? rows * threads <= 2 ** 14 : rows <= 64)) return 1;
  const wanted = limits.software ? 2 ** 11 : 2 ** 16;
  const shortest = limits.software ? 16 : 64;
  const busy = Math.min(Math.ceil(wanted / threads), Math.floor(rows / shortest));
  return Math.max(busy, Math.ceil(rows / longest));
}

/**
 * The passes that add up the rows of [batches, rows, columns] to [batches, columns], in a fixed order; mostly two.
 * Pure: the same numbers give the same passes.
 */
export function chooseSumPasses(batches: number, rows: number, columns: number, limits: KernelLimits): SumPass[] {
  const beside = rowsSideBySide(batches, rows, columns);
  const width = chooseChannels(columns * beside);
  const parts = partsFor(batches, rows / beside, (columns * beside) / width, limits);
  const pass: SumPass = { batches, rows: rows / beside, columns: columns * beside, parts, width };
  return parts * beside === 1 ? [pass] : [pass, ...chooseSumPasses(batches, parts * beside, columns, limits)];
}

/** The naive way: one invocation for each sum, which visits all rows in order. */
export function naiveSumPasses(batches: number, rows: number, columns: number): SumPass[] {
  return [{ batches, rows, columns, parts: 1, width: 1 }];
}

/** Bindings x [batches, rows, columns], y [batches, parts, columns] or several outputs, then the scalars of `sumPassScalars`. */
export function sumPassKernel({ batches, columns, parts, width }: SumPass, outputs = 1): Kernel {
  return elementKernel('sum rows', sumRowsShader(width, outputs), (batches * parts * columns) / width);
}

/** The uniform of a pass; its sums are multiplied by `scale`. */
export function sumPassScalars({ batches, rows, columns, parts, width }: SumPass, scale = 1): ArrayBuffer {
  const groups = columns / width;
  return sumPlan.pack({ rows, groups, parts, threads: batches * parts * groups, scale });
}

/** How [batches, rows, columns] is added up; tests replace the default by the naive way. */
export type SumChoice = (...args: Parameters<typeof chooseSumPasses>) => SumPass[];

/** Sums over the middle axis of x as [batches, rows, columns], times `scale`: [batches, columns]. */
function sumMiddle(x: Tensor, [batches, rows, columns]: readonly number[], scale: number, choose: SumChoice): Tensor {
  const passes = choose(batches, rows, columns, x.gpu.limits);
  return scope(x.gpu, () => {
    let sums = x;
    passes.forEach((pass, k) => {
      const shape = [batches, pass.parts, pass.columns];
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
 * Column sums of x [rows, outputs, columns], each output a tensor of its own, [columns]. One dispatch or two make all of them,
 * in place of as many for each.
 * @param outputs 7 at most
 */
export function sumRowsApart(x: Tensor, rows: number, outputs: number, columns: number): Tensor[] {
  const passes = chooseSumPasses(1, rows, outputs * columns, x.gpu.limits);
  // The last pass gives the results to the outputs, so that one load must not bring columns of two.
  const last = { ...passes[passes.length - 1], width: chooseChannels(columns) };
  return scope(x.gpu, () => {
    let sums = x;
    for (const pass of passes.slice(0, -1)) {
      sums = dispatch(sumPassKernel(pass), [sums], [pass.parts, pass.columns], sumPassScalars(pass));
    }
    const shapes = Array.from({ length: outputs }, () => [columns]);
    return dispatchMany(sumPassKernel(last, outputs), [sums], shapes, sumPassScalars(last));
  });
}

/**
 * Sums of x over the axes for which `reduced` holds, times `scale`, as a tensor of `shape` (the sizes of the other axes,
 * with or without ones). Not recorded. If there is nothing to sum, this is x times `scale` (for 1, a view of x).
 */
export function sumOver(
  x: Tensor,
  reduced: (axis: number) => boolean,
  shape: readonly number[],
  scale = 1,
  choose: SumChoice = chooseSumPasses,
): Tensor {
  return scope(x.gpu, () => {
    let left = scale; // what the sums still lack
    let sums = reduceRuns(x, reduced, (part, sizes) => {
      const now = left;
      left = 1;
      return sumMiddle(part, sizes, now, choose);
    });
    if (left !== 1) sums = scaledCopy(sums, sums.shape, left);
    return sums.view(shape);
  });
}

/**
 * Reduces one run of neighbouring reduced axes after the other, from the inside out. Axes of size 1 are left out.
 * @param middle reduces a tensor, seen as [batches, rows, columns], to [batches, columns]
 */
export function reduceRuns(
  x: Tensor,
  reduced: (axis: number) => boolean,
  middle: (x: Tensor, sizes: readonly number[]) => Tensor,
): Tensor {
  const axes = mergeAxes(x.shape, (axis) => [reduced(axis)], [false]);
  let result = x;
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    if (!axes[axis].flags[0]) continue;
    const before = sizeOf(axes.slice(0, axis).map(({ size }) => size));
    const { size } = axes[axis];
    result = middle(result, [before, size, result.size / before / size]);
  }
  return result;
}

/** Bindings x [batches, rows, columns], y [batches, parts, columns], then the scalars of `sumPassScalars`. */
export function foldPassKernel({ batches, columns, parts, width }: SumPass, fold: Fold, dtype: DType): Kernel {
  const shader = foldRowsShader(width, fold, WGSL_TYPES[dtype]);
  return elementKernel(`${fold} of rows`, shader, (batches * parts * columns) / width);
}

/** Folds the middle axis of x as [batches, rows, columns]: [batches, columns]. Types of elements are those of x. */
export function foldMiddle(
  x: Tensor,
  [batches, rows, columns]: readonly number[],
  fold: Fold,
  choose: SumChoice = chooseSumPasses,
): Tensor {
  return scope(x.gpu, () => {
    let result = x;
    for (const pass of choose(batches, rows, columns, x.gpu.limits)) {
      const shape = [batches, pass.parts, pass.columns];
      result = dispatch(foldPassKernel(pass, fold, x.dtype), [result], shape, sumPassScalars(pass), x.dtype);
    }
    return result.view([batches, columns]);
  });
}

/** As `sumOver`, but the largest, the smallest, the product, or the sum without blocks, which is for integers. */
export function foldOver(
  x: Tensor,
  reduced: (axis: number) => boolean,
  shape: readonly number[],
  fold: Fold,
  choose?: SumChoice,
): Tensor {
  return scope(x.gpu, () => reduceRuns(x, reduced, (part, sizes) => foldMiddle(part, sizes, fold, choose)).view(shape));
}

/** The shape of the output if it keeps all axes. */
export const keptShape = (x: Shape, attrs: ReduceAttrs): number[] =>
  reducedShape(x, normalizeAxes(attrs.axes, x.length), true);

/** Whether an axis is among those of a reduction. */
export function isReduced(attrs: ReduceAttrs, rank: number): (axis: number) => boolean {
  const axes = new Set(normalizeAxes(attrs.axes, rank));
  return (axis) => axes.has(axis);
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
export function reduceOp(name: 'sum' | 'mean', choose: SumChoice = chooseSumPasses): Op<ReduceAttrs> {
  const scaleOf = (from: number, to: number) => (name === 'mean' ? to / from : 1);
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => reduceShape(name, inputs, attrs),
    dtype(inputs) {
      checkDtypes(name, inputs, name === 'sum' ? ['float32', 'int32'] : ['float32'], ['x']);
      return inputs[0];
    },
    forward([x], attrs, shape) {
      const reduced = isReduced(attrs, x.shape.length);
      const output =
        (x.dtype as DType) === 'int32'
          ? foldOver(x, reduced, shape, 'sum', choose)
          : sumOver(x, reduced, shape, scaleOf(x.size, sizeOf(shape)), choose);
      return { output };
    },
    backward({ inputs: [x], attrs, dy }) {
      const kept = keptShape(x.shape, attrs);
      return [scope(x.gpu, () => scaledCopy(dy.view(kept), x.shape, scaleOf(x.size, dy.size)))];
    },
  };
}

const sumOp = /* @__PURE__ */ reduceOp('sum');
const meanOp = /* @__PURE__ */ reduceOp('mean');

export const reduceOps = { sum: sumOp, mean: meanOp };

/**
 * Sum over axes, in a fixed order. Sums of int32 wrap around at 32 bits, and have no gradient.
 * @param axes may be negative; all axes if none is given
 * @param keepDims keep the reduced axes, with size 1, instead of dropping them
 * @returns a scalar of shape [] if all axes are reduced
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function sum<D extends 'float32' | 'int32' = 'float32'>(
  x: Tensor<D>,
  axes: readonly number[] = [],
  keepDims = false,
): Tensor<D> {
  return apply('sum', sumOp, [x], { axes, keepDims });
}

/** Mean over axes, of float32; otherwise as `sum`. */
export function mean(x: Tensor, axes: readonly number[] = [], keepDims = false): Tensor {
  return apply('mean', meanOp, [x], { axes, keepDims });
}

/** Where each element of x lies in its reduction. */
export function reductionOffsets(x: NdArray, attrs: ReduceAttrs): Int32Array {
  const kept = reducedShape(x.shape, normalizeAxes(attrs.axes, x.shape.length), true);
  return stridedOffsets(x.shape, broadcastStrides(kept, x.shape));
}

function reduceReference(average: boolean): ReferenceRule<ReduceAttrs> {
  const factor = (x: NdArray, shape: Shape): number => (average ? sizeOf(shape) / x.data.length : 1);
  return {
    forward: ([x], attrs, shape) =>
      map(scatterAdd(zeros(shape), reductionOffsets(x, attrs), x), (v) => v * factor(x, shape)),
    backward: ([x], _output, dy, attrs) => [
      map(gatherAt(dy, reductionOffsets(x, attrs), x.shape), (v) => v * factor(x, dy.shape)),
    ],
  };
}

export const sumReference = /* @__PURE__ */ reduceReference(false);
export const meanReference = /* @__PURE__ */ reduceReference(true);

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const reduceReferences = { sum: sumReference, mean: meanReference };
