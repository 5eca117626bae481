import { type StridedBox, stridedGradientShader } from '../../shaders/strided.wgsl.js';
import { checkList, refuse } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  formatShape,
  normalizeAxes,
  type Shape,
  sizeOf,
  stridesOf,
} from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { stridedReadKernel } from '../kernels/strided-read.js';
import { gatherAt, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { type DType, movedAs, sameDtype } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { sumToShape } from './reduce.js';
import { checkInputs, checkPerAxis } from './shape-checks.js';

/** What NumPy's begin:end:step takes of each axis; null is the end of the axis where the step begins, or ends. */
export interface StridedSliceAttrs {
  begin: readonly (number | null)[];
  end: readonly (number | null)[];
  step: readonly number[];
}

export interface ExpandAttrs {
  shape: readonly number[];
}

/** What is taken of x. @throws ShapeError, ArgumentError */
function boxOfRanges(x: Shape, { begin, end, step }: StridedSliceAttrs): StridedBox {
  for (const [name, list] of Object.entries({ begin, end, step })) {
    checkPerAxis('stridedSlice', name, list as readonly number[], x);
    const fits = (v: number | null) =>
      list === step ? Number.isInteger(v) && v !== 0 : v === null || Number.isInteger(v);
    if (!list.every(fits)) refuse('stridedSlice', name, list, list === step ? 'integers, not 0' : 'integers or null');
  }
  const box: { [K in keyof StridedBox]: number[] } = { begin: [], size: [], step: [...step] };
  x.forEach((dim, axis) => {
    const by = step[axis];
    const [first, behind] = by > 0 ? [0, dim] : [dim - 1, -1];
    const place = (index: number | null, otherwise: number): number =>
      index === null
        ? otherwise
        : Math.min(Math.max(index < 0 ? index + dim : index, Math.min(0, behind)), Math.max(first, behind));
    box.begin[axis] = place(begin[axis], first);
    box.size[axis] = Math.ceil((place(end[axis], behind) - box.begin[axis]) / by);
    if (box.size[axis] < 1) {
      const range = [begin[axis], end[axis], by].join(':');
      throw new ShapeError(`stridedSlice: ${range} takes nothing of axis ${axis} of input ${formatShape(x)}`);
    }
  });
  return box;
}

/** @throws ShapeError, ArgumentError */
export function stridedSliceShape(inputs: readonly Shape[], attrs: StridedSliceAttrs): readonly number[] {
  checkInputs('stridedSlice', inputs, ['input']);
  return boxOfRanges(inputs[0], attrs).size;
}

/** Bindings: dy, dx; `outer` is the shape of dx. */
export function stridedGradientKernel(outer: readonly number[], box: StridedBox): Kernel {
  return elementKernel('strided slice gradient', stridedGradientShader(outer, box), sizeOf(outer));
}

const stridedSliceOp: Op<StridedSliceAttrs> = {
  inputs: ['x'],
  shape: stridedSliceShape,
  dtype: (inputs) => sameDtype('stridedSlice', inputs),
  forward([x], attrs, shape) {
    const { begin, step } = boxOfRanges(x.shape, attrs);
    const strides = stridesOf(x.shape);
    const base = begin.reduce((sum, first, axis) => sum + first * strides[axis], 0);
    const steps = strides.map((stride, axis) => stride * step[axis]);
    const kernel = stridedReadKernel('strided slice', shape, steps, movedAs(x.dtype), base);
    return { output: dispatch(kernel, [x], shape, undefined, x.dtype) };
  },
  backward: ({ inputs: [x], attrs, dy }) => [
    dispatch(stridedGradientKernel(x.shape, boxOfRanges(x.shape, attrs)), [dy], x.shape),
  ],
};

/** @throws ShapeError */
export function expandShape(inputs: readonly Shape[], attrs: ExpandAttrs): number[] {
  checkInputs('expand', inputs, ['input']);
  checkShape('expand: the wanted tensor', attrs.shape);
  return broadcastShapes(inputs[0], attrs.shape, 'expand');
}

const expandOp: Op<ExpandAttrs> = {
  inputs: ['x'],
  shape: expandShape,
  dtype: (inputs) => sameDtype('expand', inputs),
  forward([x], _attrs, shape) {
    const kernel = stridedReadKernel('expand', shape, broadcastStrides(x.shape, shape), movedAs(x.dtype));
    return { output: dispatch({ ...kernel, pointwise: true }, [x], shape, undefined, x.dtype) };
  },
  backward: ({ inputs: [x], dy }) => [sumToShape(dy, x.shape)],
};

export const stridedOps = { stridedSlice: stridedSliceOp, expand: expandOp };

/**
 * Of each axis of x, of any type, the elements begin, begin + step, … up to but without `end`, as x[begin:end:step] of NumPy takes
 * them: indices below 0 count from the end, and ends outside the axis are cut.
 * @param begin one entry for each axis; null is the first element, or the last one if the step is below 0
 * @param end likewise; null is behind the last element, or before the first one if the step is below 0
 * @param step likewise; not 0; default 1 everywhere
 * @throws ShapeError if nothing is left along an axis; ArgumentError for entries that are no integers
 */
export function stridedSlice<D extends DType>(
  x: Tensor<D>,
  begin: readonly (number | null)[],
  end: readonly (number | null)[],
  step: readonly number[] = x.shape.map(() => 1),
): Tensor<D> {
  return apply('stridedSlice', stridedSliceOp, [x], { begin, end, step });
}

/**
 * x, of any type, with the order of its elements reversed along some axes.
 * @param axes may be negative: −1 is the last; all axes if none is given
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function flip<D extends DType>(x: Tensor<D>, axes: readonly number[] = []): Tensor<D> {
  const flipped = normalizeAxes(axes, x.shape.length, 'flip');
  const whole = x.shape.map(() => null);
  const step = whole.map((_, axis) => (flipped.includes(axis) ? -1 : 1));
  return apply('stridedSlice', stridedSliceOp, [x], { begin: whole, end: whole, step });
}

/**
 * x, of any type, stretched to the shape that it and `shape` broadcast to by NumPy's rule: a missing axis, or one of size 1, takes
 * the size of the other. So a 1 in `shape` leaves the axis of x, as ONNX's Expand does.
 * @throws ShapeError if two sizes differ and neither is 1
 */
export function expand<D extends DType>(x: Tensor<D>, shape: readonly number[]): Tensor<D> {
  checkList('expand', 'shape', shape, 'a list of sizes');
  return apply('expand', expandOp, [x], { shape });
}

/** The indices that begin:end:step takes of an axis, one after the other. */
function takenIndices(dim: number, begin: number | null, end: number | null, step: number): number[] {
  const counted = (index: number): number => (index < 0 ? index + dim : index);
  const indices: number[] = [];
  if (step > 0) {
    const behind = end === null ? dim : Math.min(counted(end), dim);
    for (let i = Math.max(counted(begin ?? 0), 0); i < behind; i += step) indices.push(i);
  } else {
    const behind = end === null ? -1 : Math.max(counted(end), -1);
    for (let i = Math.min(counted(begin ?? dim - 1), dim - 1); i > behind; i += step) indices.push(i);
  }
  return indices;
}

/** Where in x each element of the slice lies. */
function takenOffsets(x: NdArray, { begin, end, step }: StridedSliceAttrs): Int32Array {
  let offsets = [0];
  x.shape.forEach((dim, axis) => {
    const indices = takenIndices(dim, begin[axis], end[axis], step[axis]);
    offsets = offsets.flatMap((offset) => indices.map((index) => offset * dim + index));
  });
  return Int32Array.from(offsets);
}

export const stridedSliceReference: ReferenceRule<StridedSliceAttrs> = {
  forward: ([x], attrs, shape) => gatherAt(x, takenOffsets(x, attrs), shape),
  backward: ([x], _output, dy, attrs) => [scatterAdd(zeros(x.shape), takenOffsets(x, attrs), dy)],
};

export const expandReference: ReferenceRule<ExpandAttrs> = {
  forward: ([x], _attrs, shape) => gatherAt(x, stridedOffsets(shape, broadcastStrides(x.shape, shape)), shape),
  backward: ([x], _output, dy) => [
    scatterAdd(zeros(x.shape), stridedOffsets(dy.shape, broadcastStrides(x.shape, dy.shape)), dy),
  ],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const stridedReferences = { stridedSlice: stridedSliceReference, expand: expandReference };
