import { broadcastShapes, broadcastStrides, type Shape, sizeOf, stridesOf } from '../common/shapes.js';
import { type HostType, HostValue } from './values.js';

// Small arrays on the host, by plain loops.

/** For each element of `shape` in order, where a walk with these strides is. */
export function offsets(shape: Shape, strides: readonly number[], start = 0): (i: number) => number {
  const own = stridesOf(shape);
  return (i) => {
    let at = start;
    for (let axis = 0; axis < shape.length; axis++) {
      const index = Math.floor(i / own[axis]);
      i -= index * own[axis];
      at += index * strides[axis];
    }
    return at;
  };
}

/** The elements of x at these places. */
export const pick = (x: HostValue, shape: Shape, at: (i: number) => number): HostValue =>
  HostValue.of(x.dtype, shape, (i) => x.data[at(i)]);

export const reshaped = (x: HostValue, shape: Shape): HostValue => new HostValue(x.dtype, shape, x.data);

export const stretched = (x: HostValue, shape: Shape): HostValue =>
  pick(x, shape, offsets(shape, broadcastStrides(x.shape, shape)));

/** f of the elements, broadcast. */
export function elementwise(
  inputs: readonly HostValue[],
  dtype: HostType,
  f: (...values: number[]) => number,
): HostValue {
  const shape = inputs.map((x) => x.shape).reduce((a, b) => broadcastShapes(a, b));
  const readers = inputs.map(({ data, shape: own }) => {
    if (data.length === sizeOf(shape)) return (i: number) => data[i];
    const at = offsets(shape, broadcastStrides(own, shape));
    return (i: number) => data[at(i)];
  });
  return HostValue.of(dtype, shape, (i) => f(...readers.map((read) => read(i))));
}

/** Axis k of the result is axis order[k] of x. */
export function transposed(x: HostValue, order: readonly number[]): HostValue {
  const strides = stridesOf(x.shape);
  const shape = order.map((axis) => x.shape[axis]);
  return pick(
    x,
    shape,
    offsets(
      shape,
      order.map((axis) => strides[axis]),
    ),
  );
}

/** Elements from `starts` on in `steps`. */
export function strided(x: HostValue, starts: readonly number[], sizes: Shape, steps: readonly number[]): HostValue {
  const strides = stridesOf(x.shape);
  const start = starts.reduce((sum, first, axis) => sum + first * strides[axis], 0);
  return pick(
    x,
    sizes,
    offsets(
      sizes,
      strides.map((stride, axis) => stride * steps[axis]),
      start,
    ),
  );
}

/** Joins arrays along an axis. */
export function joined(inputs: readonly HostValue[], axis: number): HostValue {
  const [first] = inputs;
  const inner = sizeOf(first.shape.slice(axis + 1));
  const widths = inputs.map(({ shape }) => shape[axis] * inner);
  const row = widths.reduce((sum, width) => sum + width, 0);
  const shape = [...first.shape];
  shape[axis] = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
  return HostValue.of(first.dtype, shape, (i) => {
    let column = i % row;
    let k = 0;
    while (column >= widths[k]) column -= widths[k++];
    return inputs[k].data[Math.floor(i / row) * widths[k] + column];
  });
}

/** Entries of an axis by indices (negative ones from the end). @returns null for an index out of range */
export function gathered(x: HostValue, indices: HostValue, axis: number): HostValue | null {
  const extent = x.shape[axis];
  const rows = Array.from(indices.data, (index) => (index < 0 ? index + extent : index));
  if (!rows.every((row) => Number.isInteger(row) && row >= 0 && row < extent)) return null;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const width = rows.length * inner;
  return pick(x, shape, (i) => {
    const outer = Math.floor(i / width);
    const row = rows[Math.floor((i % width) / inner)];
    return (outer * extent + row) * inner + (i % inner);
  });
}

/** Reduces axes by `f`, which gets the elements of each. */
export function reduced(
  x: HostValue,
  axes: readonly number[],
  keepDims: boolean,
  dtype: HostType,
  f: (values: number[]) => number,
): HostValue {
  const strides = stridesOf(x.shape);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const outer = offsets(
    kept.map((axis) => x.shape[axis]),
    kept.map((axis) => strides[axis]),
  );
  const innerShape = axes.map((axis) => x.shape[axis]);
  const inner = offsets(
    innerShape,
    axes.map((axis) => strides[axis]),
  );
  const count = sizeOf(innerShape);
  const shape = keepDims
    ? x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))
    : kept.map((axis) => x.shape[axis]);
  return HostValue.of(dtype, shape, (i) => {
    const start = outer(i);
    return f(Array.from({ length: count }, (_, k) => x.data[start + inner(k)]));
  });
}
