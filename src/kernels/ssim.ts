import {
  ssimColumnMomentsShader,
  ssimGradientShader,
  ssimPlan,
  ssimShader,
  ssimSpreadShader,
  type Weights,
} from '../../shaders/ssim.wgsl.js';
import type { OpAttrs } from '../common/op-attrs.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

type SsimAttrs = OpAttrs['ssim'];

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
  readonly weights: Weights;
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
  return {
    label: 'ssim column moments',
    ...ssimColumnMomentsShader(weights),
    workgroups: elementGrid(threads),
  };
}

/** Bindings moments, derivatives, one partial sum of SSIM a thread. */
export function ssimKernel({ weights, threads }: FilterPass): Kernel {
  return { label: 'ssim', ...ssimShader(weights), workgroups: elementGrid(threads) };
}

/** Bindings derivatives, their spread along the rows. */
export function ssimSpreadKernel({ weights, threads }: FilterPass): Kernel {
  return { label: 'ssim spread', ...ssimSpreadShader(weights), workgroups: elementGrid(threads) };
}

/** Bindings the spread derivatives, a, b, dy, then the gradients by a and by b, each if wanted. */
export function ssimGradientKernel({ weights, threads }: FilterPass, wanted: { a: boolean; b: boolean }): Kernel {
  return {
    label: 'ssim gradient',
    ...ssimGradientShader(weights, wanted),
    workgroups: elementGrid(threads),
  };
}
