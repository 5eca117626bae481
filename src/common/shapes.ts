import { checkList } from './arguments.js';
import { ArgumentError, ShapeError } from './errors.js';

/** [top, bottom, left, right], in pixels. */
export type Padding2d = readonly [number, number, number, number];
/** [rows, columns]. */
export type Pair = readonly [number, number];

/** Sizes of the axes, outermost first; [] is a scalar. */
export type Shape = readonly number[];

/** Computes the shape of an operation's output from the shapes of its inputs and its attributes, and checks all of them. */
export type ShapeRule<A> = (inputs: readonly Shape[], attrs: A) => Shape;

/** `[2,7,5,6]`, as shapes are written in messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

/** Row-major strides in elements; the last is 1. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/**
 * Checks that every size is a positive integer (tensors without elements are refused everywhere).
 * @param what names the tensor in the message, e.g. `conv2d: input`
 * @throws ShapeError
 */
export function checkShape(what: string, shape: Shape): void {
  checkList(what, 'the shape', shape, 'a list of sizes');
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 1) {
      throw new ShapeError(`${what} has shape ${formatShape(shape)}; every size must be an integer of at least 1`);
    }
  }
}

/**
 * The shape that two shapes broadcast to by NumPy's rule: aligned at the last axis, a missing or size-1 axis stretches.
 * @param what prefix of the message, e.g. `add`
 * @throws ShapeError if two sizes differ and neither is 1
 */
export function broadcastShapes(a: Shape, b: Shape, what = 'broadcast'): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const da = i <= a.length ? a[a.length - i] : 1;
    const db = i <= b.length ? b[b.length - i] : 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError(
        `${what}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: ` +
          `axis ${-i} has sizes ${da} and ${db}, which must be equal unless one is 1`,
      );
    }
    out[rank - i] = da === 1 ? db : da;
  }
  return out;
}

/**
 * Strides to read a tensor of `shape` as if it had been stretched to `target` (to which it must broadcast):
 * one stride for each axis of `target`, 0 along the stretched axes.
 */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = stridesOf(shape);
  const missing = target.length - shape.length;
  return target.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : own[axis - missing]));
}

/**
 * Turns an axis in [−rank, rank) into one in [0, rank).
 * @throws ShapeError
 */
export function normalizeAxis(axis: number, rank: number, what = 'axis'): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ShapeError(
      rank === 0
        ? `${what}: axis ${axis} does not exist: the input is a scalar`
        : `${what}: axis ${axis} is outside [${-rank}, ${rank - 1}] of an input of rank ${rank}`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/** The shape as [outer, size, inner] around an axis, counted from 0. */
export function aroundAxis(shape: Shape, axis: number): [outer: number, size: number, inner: number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}

/**
 * Reduction axes in ascending order; all axes where none is given.
 * @throws ShapeError for an axis out of range or given twice
 */
export function normalizeAxes(axes: readonly number[], rank: number, what = 'axes'): number[] {
  checkList(what, 'axes', axes, 'a list of axes, such as [0,1]');
  if (axes.length === 0) return Array.from({ length: rank }, (_, axis) => axis);
  const out = axes.map((axis) => normalizeAxis(axis, rank, what)).sort((a, b) => a - b);
  for (let i = 1; i < out.length; i++) {
    if (out[i] === out[i - 1]) throw new ShapeError(`${what}: axis ${out[i]} is given twice in [${axes.join(',')}]`);
  }
  return out;
}

/** Shape after a reduction over `axes` (normalised): these axes become 1 if `keepDims`, else they are dropped. */
export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): number[] {
  const reduced = new Set(axes);
  if (keepDims) return shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  return shape.filter((_, axis) => !reduced.has(axis));
}

/**
 * Padding that makes a convolution's output ⌈input / stride⌉ ("SAME" in TensorFlow's sense): where the total is odd,
 * the extra row or column goes to the bottom or right.
 * @param inputHW rows and columns of the input
 * @returns [top, bottom, left, right] in pixels
 * @throws ArgumentError for a size, stride or dilation that is not a positive integer
 */
export function samePadding2d(inputHW: Pair, kernel: Pair, stride: Pair = [1, 1], dilation: Pair = [1, 1]): Padding2d {
  for (const [name, pair] of Object.entries({ inputHW, kernel, stride, dilation })) {
    if (pair.length !== 2 || !pair.every((v) => Number.isSafeInteger(v) && v >= 1)) {
      throw new ArgumentError(`samePadding2d: ${name} is [${pair.join(',')}]; expected two integers of at least 1`);
    }
  }
  const [top, bottom] = samePadding1d(inputHW[0], kernel[0], stride[0], dilation[0]);
  const [left, right] = samePadding1d(inputHW[1], kernel[1], stride[1], dilation[1]);
  return [top, bottom, left, right];
}

function samePadding1d(size: number, kernel: number, stride: number, dilation: number): Pair {
  const outputs = Math.ceil(size / stride);
  const total = Math.max(0, (outputs - 1) * stride + dilation * (kernel - 1) + 1 - size);
  const before = Math.floor(total / 2);
  return [before, total - before];
}

/** Rounded up to a multiple of 4: a whole number of vec4. */
export const up4 = (size: number): number => Math.ceil(size / 4) * 4;

/** The divisor-friendly tile: the candidate that wastes least of `count`, the first on a tie. */
export function smallestWaste(count: number, candidates: readonly number[]): number {
  const cost = (tile: number): number => Math.ceil(count / tile) * tile;
  return candidates.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}
