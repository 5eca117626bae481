import { normalizeAxes, normalizeAxis, type Shape, stridesOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { mergeStrides, type StridedAxes, stridedReadKernel } from '../kernels/strided-read.js';
import { gatherAt, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { type DType, movedAs, sameDtype } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkPerAxis } from './shape-checks.js';

export interface TransposeAttrs {
  /** Axis k of the output is axis axes[k] of the input. */
  axes: readonly number[];
}

/** @throws ShapeError */
export function transposeShape(inputs: readonly Shape[], attrs: TransposeAttrs): number[] {
  checkInputs('transpose', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('transpose', 'axes', attrs.axes, x);
  normalizeAxes(attrs.axes, x.length, 'transpose');
  return orderOf(attrs).map((axis) => x[axis]);
}

/** The axes, those below 0 counted from the end. */
const orderOf = ({ axes }: TransposeAttrs): number[] =>
  axes.map((axis) => normalizeAxis(axis, axes.length, 'transpose'));

/** The fewest axes that give the same order. */
export function transposeAxes(shape: readonly number[], axes: readonly number[]): StridedAxes {
  return mergeStrides(...inOrder(shape, axes));
}

/** Sizes of the output's axes, and their strides in the input. */
function inOrder(shape: readonly number[], axes: readonly number[]): [number[], number[]] {
  const all = stridesOf(shape);
  return [axes.map((axis) => shape[axis]), axes.map((axis) => all[axis])];
}

/** Axis k of y is axis axes[k] of x. Bindings x, y. */
export function transposeKernel(shape: readonly number[], axes: readonly number[], dtype: DType = 'float32'): Kernel {
  return stridedReadKernel('transpose', ...inOrder(shape, axes), movedAs(dtype));
}

const transposeOp: Op<TransposeAttrs> = {
  inputs: ['x'],
  shape: transposeShape,
  dtype: (inputs) => sameDtype('transpose', inputs),
  forward([x], attrs, shape) {
    const kernel = transposeKernel(x.shape, orderOf(attrs), x.dtype);
    return { output: dispatch(kernel, [x], shape, undefined, x.dtype) };
  },
  backward({ inputs: [x], attrs, dy }) {
    const order = orderOf(attrs);
    const back = order.map((_, axis) => order.indexOf(axis));
    return [dispatch(transposeKernel(dy.shape, back), [dy], x.shape)];
  },
};

export const transposeOps = { transpose: transposeOp };

/**
 * The same elements, of any type, with the axes in another order: axis k of the result is axis axes[k] of x.
 * @param axes each axis of x once; may be negative: −1 is the last. Default: all in reverse, which of a matrix is its transpose
 * @throws ShapeError if an axis is missing, given twice or outside x
 */
export function transpose<D extends DType>(x: Tensor<D>, axes?: readonly number[]): Tensor<D> {
  return apply('transpose', transposeOps.transpose, [x], { axes: axes ?? x.shape.map((_, k) => -1 - k) });
}

/** Where in x each element of its transpose lies. */
function transposeOffsets(x: NdArray, { axes }: TransposeAttrs, shape: Shape): Int32Array {
  const strides = stridesOf(x.shape);
  return stridedOffsets(
    shape,
    axes.map((axis) => strides[normalizeAxis(axis, axes.length)]),
  );
}

export const transposeReference: ReferenceRule<TransposeAttrs> = {
  forward: ([x], attrs, shape) => gatherAt(x, transposeOffsets(x, attrs, shape), shape),
  backward: ([x], _output, dy, attrs) => [scatterAdd(zeros(x.shape), transposeOffsets(x, attrs, dy.shape), dy)],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const transposeReferences = { transpose: transposeReference };
