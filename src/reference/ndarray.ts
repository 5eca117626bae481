import { ShapeError } from '../common/errors.js';
import { formatShape, type Shape, sizeOf, stridesOf } from '../common/shapes.js';

/** A dense float64 array in row-major order. */
export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * An array over a copy of `values`.
 * @throws ShapeError if their number is not the size of `shape`
 */
export function ndarray(shape: Shape, values: ArrayLike<number>): NdArray {
  if (values.length !== sizeOf(shape)) {
    throw new ShapeError(`ndarray: ${values.length} values do not fill shape ${formatShape(shape)}`);
  }
  return { shape: [...shape], data: Float64Array.from(values) };
}

export function zeros(shape: Shape): NdArray {
  return { shape: [...shape], data: new Float64Array(sizeOf(shape)) };
}

export function allOf(shape: Shape, value: number): NdArray {
  const out = zeros(shape);
  out.data.fill(value);
  return out;
}

export function scalar(value: number): NdArray {
  return allOf([], value);
}

/** Applies `f` to each element. */
export function map(x: NdArray, f: (value: number, index: number) => number): NdArray {
  const out = zeros(x.shape);
  for (let i = 0; i < x.data.length; i++) out.data[i] = f(x.data[i], i);
  return out;
}

/**
 * For each element of `shape` in row-major order, `base` plus the dot product of its index with `strides`: where the
 * element lies in another array.
 */
export function stridedOffsets(shape: Shape, strides: readonly number[], base = 0): Int32Array {
  const offsets = new Int32Array(sizeOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  let offset = base;
  for (let i = 0; i < offsets.length; i++) {
    offsets[i] = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return offsets;
}

/** Where the elements of the box of shape `size` that starts at `begin` lie in an array of shape `outer`. */
export function boxOffsets(outer: Shape, begin: readonly number[], size: Shape): Int32Array {
  const strides = stridesOf(outer);
  const base = begin.reduce((sum, first, axis) => sum + first * strides[axis], 0);
  return stridedOffsets(size, strides, base);
}

/** out[i] = x[offsets[i]] */
export function gatherAt(x: NdArray, offsets: Int32Array, shape: Shape): NdArray {
  const out = zeros(shape);
  for (let i = 0; i < offsets.length; i++) out.data[i] = x.data[offsets[i]];
  return out;
}

/** target[offsets[i]] += x[i]; returns the target. */
export function scatterAdd(target: NdArray, offsets: Int32Array, x: NdArray): NdArray {
  for (let i = 0; i < offsets.length; i++) target.data[offsets[i]] += x.data[i];
  return target;
}

/** Sums over all axes but the last: [..., C] → [C]. */
export function columnSums(x: NdArray): NdArray {
  const channels = x.shape[x.shape.length - 1];
  const out = zeros([channels]);
  for (let row = 0; row < x.data.length; row += channels) {
    for (let c = 0; c < channels; c++) out.data[c] += x.data[row + c];
  }
  return out;
}
