import type { OpAttrs } from '../common/op-attrs.js';
import type { Shape } from '../common/shapes.js';
import { map, type NdArray, scalar, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** Weights of a Gaussian window along one axis; they sum to 1. */
export function gaussianWindow(size: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, v) => sum + v, 0);
  return weights.map((v) => v / total);
}

/**
 * Calls `visit` for each output and input element that a 'valid' filter along one axis couples, and the weight.
 * `input` and `output` differ in that axis only.
 */
function forEachTap(
  input: Shape,
  axis: 1 | 2,
  weights: Float64Array,
  visit: (output: number, at: number, weight: number) => void,
): void {
  const outer = axis === 1 ? input[0] : input[0] * input[1];
  const inner = axis === 1 ? input[2] * input[3] : input[3];
  const length = input[axis];
  const outputs = length - weights.length + 1;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < outputs; i++) {
      for (let k = 0; k < weights.length; k++) {
        const out = (o * outputs + i) * inner;
        const at = (o * length + i + k) * inner;
        for (let j = 0; j < inner; j++) visit(out + j, at + j, weights[k]);
      }
    }
  }
}

function shortened(shape: Shape, axis: 1 | 2, window: number): number[] {
  return shape.map((dim, a) => (a === axis ? dim - window + 1 : dim));
}

function blurAxis(x: NdArray, axis: 1 | 2, weights: Float64Array): NdArray {
  const out = zeros(shortened(x.shape, axis, weights.length));
  forEachTap(x.shape, axis, weights, (i, at, weight) => {
    out.data[i] += x.data[at] * weight;
  });
  return out;
}

function blurAxisTransposed(dy: NdArray, shape: Shape, axis: 1 | 2, weights: Float64Array): NdArray {
  const dx = zeros(shape);
  forEachTap(shape, axis, weights, (i, at, weight) => {
    dx.data[at] += dy.data[i] * weight;
  });
  return dx;
}

function blur(x: NdArray, weights: Float64Array): NdArray {
  return blurAxis(blurAxis(x, 1, weights), 2, weights);
}

function blurTransposed(dy: NdArray, shape: Shape, weights: Float64Array): NdArray {
  const between = shortened(shape, 1, weights.length);
  return blurAxisTransposed(blurAxisTransposed(dy, between, 2, weights), shape, 1, weights);
}

/** Local moments E[a], E[b], E[a²], E[b²], E[ab] under the window. */
function moments(a: NdArray, b: NdArray, weights: Float64Array) {
  return {
    meanA: blur(a, weights).data,
    meanB: blur(b, weights).data,
    squareA: blur(
      map(a, (v) => v * v),
      weights,
    ).data,
    squareB: blur(
      map(b, (v) => v * v),
      weights,
    ).data,
    cross: blur(
      map(a, (v, i) => v * b.data[i]),
      weights,
    ).data,
  };
}

/** The four factors of SSIM = (l1·c1) / (l2·c2) at one position: l of the means, c of the (co)variances. */
function factors(m: ReturnType<typeof moments>, i: number, dataRange: number) {
  const stabilizerL = (0.01 * dataRange) ** 2;
  const stabilizerC = (0.03 * dataRange) ** 2;
  const [a, b] = [m.meanA[i], m.meanB[i]];
  return {
    l1: 2 * a * b + stabilizerL,
    l2: a * a + b * b + stabilizerL,
    c1: 2 * (m.cross[i] - a * b) + stabilizerC,
    c2: m.squareA[i] - a * a + m.squareB[i] - b * b + stabilizerC,
  };
}

export const ssim: ReferenceRule<OpAttrs['ssim']> = {
  forward([a, b], { window, sigma, dataRange }) {
    const m = moments(a, b, gaussianWindow(window, sigma));
    let sum = 0;
    for (let i = 0; i < m.meanA.length; i++) {
      const { l1, l2, c1, c2 } = factors(m, i, dataRange);
      sum += (l1 * c1) / (l2 * c2);
    }
    return scalar(sum / m.meanA.length);
  },
  backward([a, b], _output, dy, { window, sigma, dataRange }) {
    const weights = gaussianWindow(window, sigma);
    const m = moments(a, b, weights);
    const shape = shortened(shortened(a.shape, 1, window), 2, window);
    const [byMeanA, byMeanB, bySquare, byCross] = [zeros(shape), zeros(shape), zeros(shape), zeros(shape)];
    const each = 1 / m.meanA.length;
    for (let i = 0; i < m.meanA.length; i++) {
      const { l1, l2, c1, c2 } = factors(m, i, dataRange);
      const value = (l1 * c1) / (l2 * c2);
      const common = (2 * (c1 - l1)) / (l2 * c2);
      const own = 2 * value * (1 / c2 - 1 / l2);
      byMeanA.data[i] = each * (common * m.meanB[i] + own * m.meanA[i]);
      byMeanB.data[i] = each * (common * m.meanA[i] + own * m.meanB[i]);
      bySquare.data[i] = (-each * value) / c2;
      byCross.data[i] = (2 * each * l1) / (l2 * c2);
    }
    const back = (gradient: NdArray): Float64Array => blurTransposed(gradient, a.shape, weights).data;
    const [meanA, meanB, square, cross] = [back(byMeanA), back(byMeanB), back(bySquare), back(byCross)];
    return [
      map(a, (v, i) => dy.data[0] * (meanA[i] + 2 * v * square[i] + b.data[i] * cross[i])),
      map(b, (v, i) => dy.data[0] * (meanB[i] + 2 * v * square[i] + a.data[i] * cross[i])),
    ];
  },
};
