import { topKGradientShader, topKPlan, topKShader } from '../../shaders/top-k.wgsl.js';
import { withDefaults } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import { aroundAxis, formatShape, normalizeAxis, type Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchInPlace } from '../tensor/dispatch.js';
import { checkDtypes, type DType, WGSL_TYPES } from '../tensor/dtype.js';
import { applyAll, type Op } from '../tensor/tape.js';
import { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

export interface TopKAttrs {
  k: number;
  axis: number;
  largest: boolean;
}

/** @throws ShapeError */
export function topKShape(inputs: readonly Shape[], { k, axis }: TopKAttrs): number[] {
  checkInputs('topK', inputs, ['input']);
  const [x] = inputs;
  checkMinRank('topK', 'input', x, 1, '[...]');
  const along = normalizeAxis(axis, x.length, 'topK');
  if (!Number.isInteger(k) || k < 1 || k > x[along]) {
    throw new ShapeError(
      `topK: k is ${k}; expected an integer from 1 to ${x[along]}, the size of axis ${along} of input ${formatShape(x)}`,
    );
  }
  return x.map((size, a) => (a === along ? k : size));
}

/** Bindings x, values, indices, and `topKPlan`. */
export function topKKernel(largest: boolean, dtype: DType, size: number): Kernel {
  return elementKernel('top k', topKShader(largest, WGSL_TYPES[dtype]), size);
}

/** Bindings indices, dy, dx, and `topKPlan`. */
export function topKGradientKernel(size: number): Kernel {
  return elementKernel('top k gradient', topKGradientShader(), size);
}

function topKScalars(x: Tensor, { k, axis }: TopKAttrs): ArrayBuffer {
  const [, size, inner] = aroundAxis(x.shape, normalizeAxis(axis, x.shape.length));
  return topKPlan.pack({ size, inner, k, threads: x.size });
}

/** Its output are the values; it saves the indices. */
const topKOp: Op<TopKAttrs> = {
  inputs: ['x'],
  shape: topKShape,
  dtype(inputs) {
    checkDtypes('topK', inputs, ['float32', 'int32'], ['x']);
    return inputs[0];
  },
  forward([x], attrs, shape) {
    const output = Tensor.empty(x.gpu, shape, x.dtype);
    const indices = Tensor.empty(x.gpu, shape, 'int32');
    dispatchInPlace(topKKernel(attrs.largest, x.dtype, x.size), [x, output, indices], topKScalars(x, attrs));
    return { output, saved: [indices as Tensor<DType> as Tensor] };
  },
  backward: ({ inputs: [x], saved: [indices], attrs, dy }) => [
    dispatch(topKGradientKernel(x.size), [indices, dy], x.shape, topKScalars(x, attrs)),
  ],
};

export const topKOps = { topK: topKOp };

export interface TopKOptions {
  /** May be negative; default −1, the last. */
  axis?: number;
  /** Default true; false takes the smallest. */
  largest?: boolean;
  /** Default true; false allows any order, which is at present the same. */
  sorted?: boolean;
}

/**
 * The k largest elements along an axis, from the largest down, or the k smallest, from the smallest up. Of equal elements, those of
 * lower indices come first; NaN counts as larger than all numbers, as in NumPy and PyTorch. The gradient of the values goes to the
 * elements that were chosen.
 *
 * Each element is compared with all of its line, so the work grows with the square of the axis: it is meant for up to some
 * 10,000 elements.
 *
 * @param k from 1 to the size of the axis
 * @returns both of the shape of x, but with size k along the axis: the values, of the type of x, and their places along the axis,
 * which have no gradient and must live until the backward pass
 * @throws ShapeError, ArgumentError
 */
export function topK<D extends 'float32' | 'int32' = 'float32'>(
  x: Tensor<D>,
  k: number,
  options?: TopKOptions,
): { values: Tensor<D>; indices: Tensor<'int32'> } {
  const { axis, largest } = withDefaults<Required<TopKOptions>>('topK', options, {
    axis: -1,
    largest: true,
    sorted: true,
  });
  const { output, saved } = applyAll<TopKAttrs, D>('topK', topKOps.topK, [x], { k, axis, largest });
  return { values: output, indices: saved[0] as Tensor<DType> as Tensor<'int32'> };
}

/** For each line of x: where its k elements lie in x, in order, and where their values lie in the result. */
function chosenIn(x: NdArray, { k, axis, largest }: TopKAttrs): { from: number; to: number }[] {
  const [outer, size, inner] = aroundAxis(x.shape, normalizeAxis(axis, x.shape.length));
  const before = (a: number, b: number): number => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
    return a === b ? 0 : a > b ? -1 : 1;
  };
  const chosen: { from: number; to: number }[] = [];
  for (let line = 0; line < outer * inner; line++) {
    const [block, column] = [Math.floor(line / inner), line % inner];
    const places = Array.from({ length: size }, (_, at) => (block * size + at) * inner + column);
    // The sort is stable.
    places.sort((a, b) => (largest ? 1 : -1) * before(x.data[a], x.data[b]));
    for (let rank = 0; rank < k; rank++) {
      chosen.push({ from: places[rank], to: (block * k + rank) * inner + column });
    }
  }
  return chosen;
}

export const topKReference: ReferenceRule<TopKAttrs> = {
  forward([x], attrs, shape) {
    const y = zeros(shape);
    for (const { from, to } of chosenIn(x, attrs)) y.data[to] = x.data[from];
    return y;
  },
  backward([x], _y, dy, attrs) {
    const dx = zeros(x.shape);
    for (const { from, to } of chosenIn(x, attrs)) dx.data[from] = dy.data[to];
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const topKReferences = { topK: topKReference };
