import {
  type FilterWeights,
  ssimColumnMomentsShader,
  ssimGradientShader,
  ssimPlan,
  ssimShader,
  ssimSpreadShader,
} from '../../shaders/ssim.wgsl.js';
import { withDefaults } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import { formatShape, type Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { gaussianWindow } from '../reference/gaussian-window.js';
import { map, type NdArray, scalar, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';
import { checkInputs, checkIntegers, checkPositive, checkRank, checkSame, NHWC } from './shape-checks.js';

/** Gaussian window (odd size, sigma), 'valid' borders, K1 = 0.01, K2 = 0.03, per channel. */
export interface SsimAttrs {
  window: number;
  sigma: number;
  dataRange: number;
}

/** @throws ShapeError, ArgumentError */
export function ssimShape(inputs: readonly Shape[], attrs: SsimAttrs): number[] {
  const op = 'ssim';
  checkInputs(op, inputs, ['a', 'b']);
  checkRank(op, 'a', inputs[0], 4, NHWC);
  checkSame(op, inputs[0], inputs[1]);
  checkIntegers(op, 'window', [attrs.window], 1, 1);
  if (attrs.window % 2 === 0) throw new ArgumentError(`${op}: window is ${attrs.window}; expected an odd size`);
  checkPositive(op, 'sigma', attrs.sigma);
  checkPositive(op, 'dataRange', attrs.dataRange);
  // Their squares stabilise two quotients.
  checkPositive(op, '(0.01·dataRange)²', (0.01 * attrs.dataRange) ** 2);
  checkPositive(op, '(0.03·dataRange)²', (0.03 * attrs.dataRange) ** 2);
  const [, h, w] = inputs[0];
  if (attrs.window > h || attrs.window > w) {
    throw new ShapeError(
      `${op}: a window of ${attrs.window}x${attrs.window} does not fit the input ${formatShape(inputs[0])}`,
    );
  }
  return [];
}

/** Adjacent outputs of an invocation. */
export type RunChoice = (window: number) => number;

/** Long enough that an invocation reads few more values than it writes: run + window − 1. */
export const chooseRun: RunChoice = (window) => Math.max(8, 2 * window - 2);
/** One output an invocation. */
export const naiveRun: RunChoice = () => 1;

/** Weights of a Gaussian window along one axis; they sum to 1. */
function gaussianWeights(window: number, sigma: number): number[] {
  const centre = (window - 1) / 2;
  const weights = Array.from({ length: window }, (_, k) => Math.exp(-((k - centre) ** 2) / (2 * sigma ** 2)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** One pass: the filter's weights, and the [outer, length, inner] arrays it goes between. */
interface FilterPass {
  readonly weights: FilterWeights;
  readonly threads: number;
  readonly scalars: ArrayBuffer;
}

/** The four passes of SSIM on pictures [N, H, W, C]. */
export interface SsimPlan {
  /** 1 / number of positions. */
  readonly each: number;
  /** Shape of the moments after the first pass, of the derivatives at every position, and of their spread along rows. */
  readonly momentsShape: number[];
  readonly positionsShape: number[];
  readonly columns: FilterPass;
  readonly rows: FilterPass;
  readonly rowsBack: FilterPass;
  readonly columnsBack: FilterPass;
}

/** Sizes of all passes; a vec4 of moments is a last axis of 4. */
export function planSsim(shape: readonly number[], attrs: SsimAttrs, choose: RunChoice): SsimPlan {
  const { window, sigma, dataRange } = attrs;
  const [n, h, w, c] = shape;
  const [ho, wo] = [h - window + 1, w - window + 1];
  const weights = gaussianWeights(window, sigma);
  const run = choose(window);
  const each = 1 / (n * ho * wo * c);
  const pass = (outer: number, from: number, to: number, inner: number): FilterPass => {
    const runs = Math.ceil(to / run);
    const threads = outer * runs * inner;
    const scalars = ssimPlan.pack({
      inner,
      run,
      runs,
      sourceLength: from,
      outputLength: to,
      threads,
      each,
      c1: (0.01 * dataRange) ** 2,
      c2: (0.03 * dataRange) ** 2,
    });
    new Float32Array(scalars, 24).set([each, (0.01 * dataRange) ** 2, (0.03 * dataRange) ** 2]);
    return { weights, threads, scalars };
  };
  return {
    each,
    momentsShape: [n, ho, w, c, 4],
    positionsShape: [n, ho, wo, c, 4],
    columns: pass(n, h, ho, w * c),
    rows: pass(n * ho, w, wo, c),
    rowsBack: pass(n * ho, wo, w, c),
    columnsBack: pass(n, ho, h, w * c),
  };
}

/** Bindings a, b, moments. */
export function ssimColumnMomentsKernel({ weights, threads }: FilterPass): Kernel {
  return elementKernel('ssim column moments', ssimColumnMomentsShader(weights), threads);
}

/** Bindings moments, derivatives, one partial sum of SSIM a thread. */
export function ssimKernel({ weights, threads }: FilterPass): Kernel {
  return elementKernel('ssim', ssimShader(weights), threads);
}

/** Bindings derivatives, their spread along the rows. */
export function ssimSpreadKernel({ weights, threads }: FilterPass): Kernel {
  return elementKernel('ssim spread', ssimSpreadShader(weights), threads);
}

/** Bindings the spread derivatives, a, b, dy, then the gradients by a and by b, each if wanted. */
export function ssimGradientKernel({ weights, threads }: FilterPass, wanted: { a: boolean; b: boolean }): Kernel {
  return elementKernel('ssim gradient', ssimGradientShader(weights, wanted), threads);
}

/** The operation, with as many outputs an invocation as `choose` says; tests replace the default by one. */
export function ssimOp(choose: RunChoice = chooseRun): Op<SsimAttrs> {
  return {
    inputs: ['a', 'b'],
    shape: ssimShape,
    forward([a, b], attrs) {
      const { each, columns, rows, momentsShape, positionsShape } = planSsim(a.shape, attrs, choose);
      return scope(a.gpu, () => {
        const moments = dispatch(ssimColumnMomentsKernel(columns), [a, b], momentsShape, columns.scalars);
        const shapes = [positionsShape, [rows.threads]];
        const [derivatives, partials] = dispatchMany(ssimKernel(rows), [moments], shapes, rows.scalars);
        return { output: lossSum(partials, each), saved: [derivatives] };
      });
    },
    backward({ inputs: [a, b], saved: [derivatives], attrs, dy, needs: [needsA, needsB] }) {
      const { rowsBack, columnsBack, momentsShape } = planSsim(a.shape, attrs, choose);
      return scope(a.gpu, () => {
        const spread = dispatch(ssimSpreadKernel(rowsBack), [derivatives], momentsShape, rowsBack.scalars);
        const kernel = ssimGradientKernel(columnsBack, { a: needsA, b: needsB });
        const shapes = [needsA, needsB].filter(Boolean).map(() => a.shape);
        const results = dispatchMany(kernel, [spread, a, b, dy], shapes, columnsBack.scalars);
        return [needsA ? results[0] : null, needsB ? results[results.length - 1] : null];
      });
    },
  };
}

export const ssimOps = { ssim: /* @__PURE__ */ ssimOp() };

/** Options of `ssim`. */
export interface SsimOptions {
  /** Pixels along a side of the window, odd; default 11. */
  window?: number;
  /** Standard deviation of the Gaussian window, in pixels; default 1.5. */
  sigma?: number;
  /** Largest difference that two values may have; default 1. */
  dataRange?: number;
}

/**
 * Mean structural similarity of two batches of pictures: 1 where they are equal. Gaussian window, 'valid' borders,
 * K1 = 0.01, K2 = 0.03, each channel by itself. Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from
 * error visibility to structural similarity", eq. 13.
 *
 * @param a [N,H,W,C]
 * @param b of a's shape
 * @param options.window rows and columns of the window: odd, at most H and W (default 11)
 * @param options.sigma standard deviation of the window in pixels (default 1.5)
 * @param options.dataRange difference between the largest and the smallest possible value of a pixel (default 1)
 * @returns a scalar
 * @throws ShapeError, ArgumentError
 */
export function ssim(a: Tensor, b: Tensor, options?: SsimOptions): Tensor {
  const attrs = withDefaults('ssim', options, { window: 11, sigma: 1.5, dataRange: 1 });
  return apply('ssim', ssimOps.ssim, [a, b], attrs);
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

export const ssimReference: ReferenceRule<SsimAttrs> = {
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

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const ssimReferences = { ssim: ssimReference };
