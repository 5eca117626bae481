import { checkOptions, refuse } from '../common/arguments.js';
import { normalizeAxes, reducedShape, type Shape, sizeOf } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { unaryKernel } from '../kernels/elementwise.js';
import { gatherAt, map, type NdArray, scatterAdd, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, composed, isTapeRecording, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sub } from './binary.js';
import { max } from './fold.js';
import {
  foldOver,
  isReduced,
  keptShape,
  mean,
  type ReduceAttrs,
  reduceShape,
  reductionOffsets,
  sum,
  sumOver,
} from './reduce.js';
import { abs, affine, square } from './unary.js';

/**
 * An operation of float32 over axes.
 * @param value returns the output, and what the gradient needs of each reduction
 * @param gradient WGSL of dx from `x0`, which is x, and the names of dy and of what else `value` returned
 */
function reductionOp(
  name: string,
  value: (x: Tensor, attrs: ReduceAttrs, shape: readonly number[]) => [output: Tensor, ...saved: Tensor[]],
  gradient: (dy: string, first: string, second: string) => string,
): Op<ReduceAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => reduceShape(name, inputs, attrs),
    forward([x], attrs, shape) {
      // Without a tape there is no gradient, and nothing to keep for it.
      const [output, ...saved] = scope(x.gpu, () => value(x, attrs, shape).slice(0, isTapeRecording() ? undefined : 1));
      return { output, saved };
    },
    backward({ inputs: [x], saved, attrs, dy }) {
      const kept = keptShape(x.shape, attrs);
      const shapes = [x.shape, kept, ...saved.map(() => kept)];
      const kernel = broadcastKernel(`${name} gradient`, gradient('x1', 'x2', 'x3'), shapes, x.shape);
      return [dispatch(kernel, [x, dy, ...saved], x.shape)];
    },
  };
}

/** The Euclidean norm. Where it is 0, so is the gradient. */
const normOp = /* @__PURE__ */ reductionOp(
  'norm',
  (x, attrs, shape) => {
    const squares = dispatch(unaryKernel('square', 'x * x', x.size), [x], x.shape);
    const total = sumOver(squares, isReduced(attrs, x.shape.length), shape);
    const y = dispatch(unaryKernel('sqrt', 'sqrt(x)', total.size), [total], shape);
    return [y, y];
  },
  (dy, y) => `keepNan(select(x0 / ${y} * ${dy}, V(), ${y} == V()), ${y})`,
);

/** e^(x − the largest x), which is left out where it is infinite. */
const termOf = (largest: string): string => `expOf(x0 - select(V(), ${largest}, isFinite(${largest})))`;

/** ln Σ eˣ. The gradient is the share of each term in their sum, but 0 for x = −∞. */
const logSumExpOp = /* @__PURE__ */ reductionOp(
  'logSumExp',
  (x, attrs, shape) => {
    const reduced = isReduced(attrs, x.shape.length);
    const kept = keptShape(x.shape, attrs);
    const run = (expression: string, operands: readonly Tensor[], to: readonly number[]) => {
      const shapes = operands.map((operand) => operand.shape);
      return dispatch(broadcastKernel('log-sum-exp', expression, shapes, to), operands, to);
    };
    const largest = foldOver(x, reduced, kept, 'max');
    const total = sumOver(run(`keepNan(${termOf('x1')}, x0)`, [x, largest], x.shape), reduced, kept);
    return [run('keepNan(logOf(x0) + x1, x0)', [total, largest], kept).view(shape), largest, total];
  },
  (dy, largest, total) =>
    `keepNan(keepNan(select(V(), ${termOf(largest)} / ${total}, isFinite(x0) | (x0 > V())) * ${dy}, x0), ${total})`,
);

export const reductionOps = { norm: normOp, logSumExp: logSumExpOp };

export interface VectorNormOptions {
  /** 1: Σ |x|. 2, the default: √Σ x². Infinity: the largest |x|. */
  p?: 1 | 2 | typeof Infinity;
  /** May be negative; default: all axes. */
  axes?: readonly number[];
  /** Keep the reduced axes, with size 1. Default false. */
  keepDims?: boolean;
}

/**
 * The norm of x over axes. NaN in x gives NaN. Squares must be numbers of float32: for p = 2, elements above 1.8e19 give infinity, and
 * those below 1e-23 count as 0. At 0 the gradient is 0; for p = ∞, equal largest elements share it.
 * @throws ShapeError for an axis that does not exist or is given twice; ArgumentError
 */
export function norm(x: Tensor, options?: VectorNormOptions): Tensor {
  const { p = 2, axes = [], keepDims = false } = checkOptions('norm', options, ['p', 'axes', 'keepDims']);
  if (p !== 1 && p !== 2 && p !== Infinity) refuse('norm', 'p', p, '1, 2 or Infinity');
  if (p === 2) return apply('norm', normOp, [x], { axes, keepDims });
  return composed(x, () => (p === 1 ? sum : max)(abs(x), axes, keepDims));
}

/**
 * ln Σ eˣ over axes, without overflow. Of nothing but −∞ it is −∞, with a gradient of 0; an element +∞ makes it +∞, and the gradient
 * of that element NaN.
 * @param axes may be negative; all axes if none is given
 * @param keepDims keep the reduced axes, with size 1, instead of dropping them
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function logSumExp(x: Tensor, axes: readonly number[] = [], keepDims = false): Tensor {
  return apply('logSumExp', logSumExpOp, [x], { axes, keepDims });
}

export interface VarianceOptions {
  /** Keep the reduced axes, with size 1. Default false. */
  keepDims?: boolean;
  /** What is taken from the number of elements before the division: 0, the default, or 1 for the unbiased estimate. */
  correction?: number;
}

/**
 * Variance over axes: Σ (x − mean)² / (n − correction).
 * @param axes may be negative; all axes if none is given
 * @throws ShapeError for an axis that does not exist or is given twice; ArgumentError for a correction outside [0, n)
 */
export function variance(x: Tensor, axes: readonly number[] = [], options?: VarianceOptions): Tensor {
  const { keepDims = false, correction = 0 } = checkOptions('variance', options, ['keepDims', 'correction']);
  const count = x.size / sizeOf(reducedShape(x.shape, normalizeAxes(axes, x.shape.length, 'variance'), true));
  if (!(correction >= 0 && correction < count)) {
    refuse('variance', 'correction', correction, `at least 0 and less than ${count}, the number of elements`);
  }
  return composed(x, () => {
    const biased = mean(square(sub(x, mean(x, axes, true))), axes, keepDims);
    return correction === 0 ? biased : affine(biased, count / (count - correction), 0);
  });
}

export const normReference: ReferenceRule<ReduceAttrs> = {
  forward: ([x], attrs, shape) =>
    map(
      scatterAdd(
        zeros(shape),
        reductionOffsets(x, attrs),
        map(x, (v) => v * v),
      ),
      Math.sqrt,
    ),
  backward([x], y, dy, attrs) {
    const offsets = reductionOffsets(x, attrs);
    const [norms, dys] = [y, dy].map((array) => gatherAt(array, offsets, x.shape).data);
    return [map(x, (v, i) => (norms[i] === 0 ? 0 : (v / norms[i]) * dys[i]))];
  },
};

/** For each reduction: the largest x, 0 if that is infinite, and the sum of the terms e^(x − largest). */
function expSums(x: NdArray, attrs: ReduceAttrs, shape: Shape) {
  const offsets = reductionOffsets(x, attrs);
  const largest = map(zeros(shape), () => -Infinity);
  x.data.forEach((value, i) => {
    largest.data[offsets[i]] = Math.max(largest.data[offsets[i]], value);
  });
  const base = map(largest, (value) => (Number.isFinite(value) ? value : 0));
  const terms = map(x, (value, i) => Math.exp(value - base.data[offsets[i]]));
  return { base, terms, offsets, totals: scatterAdd(zeros(shape), offsets, terms) };
}

export const logSumExpReference: ReferenceRule<ReduceAttrs> = {
  forward([x], attrs, shape) {
    const { base, totals } = expSums(x, attrs, shape);
    return map(totals, (total, i) => Math.log(total) + base.data[i]);
  },
  backward([x], _y, dy, attrs) {
    const { terms, offsets, totals } = expSums(x, attrs, dy.shape);
    // Where all terms are 0, each has the share 0.
    return [
      map(
        terms,
        (term, i) => (term / (totals.data[offsets[i]] === 0 ? 1 : totals.data[offsets[i]])) * dy.data[offsets[i]],
      ),
    ];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const reductionReferences = { norm: normReference, logSumExp: logSumExpReference };
