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
import { slice } from './layout.js';
import { sumToShape } from './reduce.js';
import { checkInputs, checkIntegers, checkPerAxis } from './shape-checks.js';

/** Along each axis `size` elements, from `begin` on, `step` apart. */
export type StridedSliceAttrs = StridedBox;

export interface ExpandAttrs {
  shape: readonly number[];
}

/** @throws ShapeError, ArgumentError */
export function stridedSliceShape(inputs: readonly Shape[], { begin, size, step }: StridedSliceAttrs): number[] {
  checkInputs('stridedSlice', inputs, ['input']);
  const [x] = inputs;
  for (const [name, list, least] of [
    ['begin', begin, 0],
    ['size', size, 1],
    ['step', step, undefined],
  ] as const) {
    checkPerAxis('stridedSlice', name, list, x);
    checkIntegers('stridedSlice', name, list, x.length, least);
  }
  x.forEach((dim, axis) => {
    const last = begin[axis] + (size[axis] - 1) * step[axis];
    if (step[axis] === 0) refuse('stridedSlice', 'step', step, 'steps other than 0');
    if (Math.max(begin[axis], last) >= dim || last < 0) {
      throw new ShapeError(
        `stridedSlice: axis ${axis} of input ${formatShape(x)} has ${dim} entries, but those from ${begin[axis]} ` +
          `to ${last} are asked for`,
      );
    }
  });
  return [...size];
}

/** Bindings: dy, dx; `outer` is the shape of dx. */
export function stridedGradientKernel(outer: readonly number[], box: StridedBox): Kernel {
  return elementKernel('strided slice gradient', stridedGradientShader(outer, box), sizeOf(outer));
}

const stridedSliceOp: Op<StridedSliceAttrs> = {
  inputs: ['x'],
  shape: stridedSliceShape,
  dtype: (inputs) => sameDtype('stridedSlice', inputs),
  forward([x], { begin, step }, shape) {
    const strides = stridesOf(x.shape);
    const base = begin.reduce((sum, first, axis) => sum + first * strides[axis], 0);
    const steps = strides.map((stride, axis) => stride * step[axis]);
    const kernel = stridedReadKernel('strided slice', shape, steps, movedAs(x.dtype), base);
    return { output: dispatch(kernel, [x], shape, undefined, x.dtype) };
  },
  backward: ({ inputs: [x], attrs, dy }) => [dispatch(stridedGradientKernel(x.shape, attrs), [dy], x.shape)],
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

/** What NumPy's begin:end:step takes of an axis: the first index and the number of elements, which may be 0. */
function rangeOf(dim: number, begin: number | null, end: number | null, step: number): [number, number] {
  const lowest = step > 0 ? 0 : -1; // the range of ends; a first index lies between them, too
  const place = (index: number): number =>
    Math.min(Math.max(index < 0 ? index + dim : index, lowest), step > 0 ? dim : dim - 1);
  const first = begin === null ? (step > 0 ? 0 : dim - 1) : place(begin);
  const last = end === null ? (step > 0 ? dim : -1) : place(end);
  return [first, Math.ceil((last - first) / step)];
}

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
  for (const [name, list] of Object.entries({ begin, end, step })) {
    checkPerAxis('stridedSlice', name, list as readonly number[], x.shape);
    const isEntry = (v: unknown) =>
      (v === null && list !== step) || (Number.isInteger(v) && (v !== 0 || list !== step));
    if (!list.every(isEntry))
      refuse('stridedSlice', name, list, list === step ? 'integers, not 0' : 'integers or null');
  }
  const ranges = x.shape.map((dim, axis) => rangeOf(dim, begin[axis], end[axis], step[axis]));
  ranges.forEach(([, size], axis) => {
    if (size > 0) return;
    const range = [begin[axis], end[axis], step[axis]].join(':');
    throw new ShapeError(`stridedSlice: ${range} takes nothing of axis ${axis} of input ${formatShape(x.shape)}`);
  });
  const [first, size] = [ranges.map(([from]) => from), ranges.map(([, count]) => count)];
  if (step.every((by) => by === 1)) return slice(x, first, size);
  return apply('stridedSlice', stridedSliceOp, [x], { begin: first, size, step });
}

/**
 * x, of any type, with the order of its elements reversed along some axes.
 * @param axes may be negative: −1 is the last; all axes if none is given
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function flip<D extends DType>(x: Tensor<D>, axes: readonly number[] = []): Tensor<D> {
  const flipped = normalizeAxes(axes, x.shape.length, 'flip');
  return apply('stridedSlice', stridedSliceOp, [x], {
    begin: x.shape.map((dim, axis) => (flipped.includes(axis) ? dim - 1 : 0)),
    size: x.shape,
    step: x.shape.map((_, axis) => (flipped.includes(axis) ? -1 : 1)),
  });
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

/** Where in x each element of the slice lies. */
function takenOffsets(x: NdArray, { begin, size, step }: StridedSliceAttrs): Int32Array {
  const strides = stridesOf(x.shape);
  const base = begin.reduce((sum, first, axis) => sum + first * strides[axis], 0);
  return stridedOffsets(
    size,
    strides.map((stride, axis) => stride * step[axis]),
    base,
  );
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
