import { axisSteps, type ConvShape, convMultiplyAdds } from '../../../shaders/common/conv-geometry.js';
import { type WinogradOutputs, winogradPoints } from '../../../shaders/common/winograd.js';
import type { WinogradWidth } from '../../../shaders/conv-winograd.wgsl.js';
import { type Pair, up4 } from '../../common/shapes.js';
import type { KernelLimits } from '../../gpu/kernel.js';
import { type BatchedConfig, chooseBatched } from '../matmul/batched.js';
import type { Gather } from './gather-plan.js';

/** How a convolution runs in Winograd's form. */
export interface WinogradConfig {
  outputs: WinogradOutputs;
  /** Adjacent channels that an invocation of the transforms takes, where whole vectors of 4 lie in memory; else 1. */
  width: WinogradWidth;
  product: BatchedConfig;
}

/** How the gradient by the weights runs in that form. `splitK`: parts of its sum over the tiles. */
export interface WinogradGradientConfig extends WinogradConfig {
  splitK: number;
}

/** The largest binding that every WebGPU device accepts (128 MiB), in numbers. */
const MAX_NUMBERS = 2 ** 27 / 4;

/** The cost of a pass's transforms on CPU adapters, in multiply-adds of the register kernels. */
interface Costs {
  /** For each number of a transformed picture, written and read. */
  picture: number;
  /** For each transformed weight. */
  weights: number;
}

/*
 * Estimates, fitted to lavapipe: many channels and tiles gain, few do not. Tuning measures. The weight gradient transforms no
 * picture back, and each of its products has a sum to begin and to store for every weight.
 */
const GATHER_COSTS: Costs = { picture: 24, weights: 14 };
const GRADIENT_COSTS: Costs = { picture: 16, weights: 23 };
/** For the three additional dispatches. */
const DISPATCHES_COST = 1e6;

const fits = ({ kernel, stride, dilation, groups }: ConvShape): boolean =>
  groups === 1 && [...kernel].every((size) => size === 3) && [...stride, ...dilation].every((step) => step === 1);

/** Tiles that cover pictures of h × w. */
const tileCount = (batch: number, [h, w]: Pair, outputs: WinogradOutputs): number =>
  batch * Math.ceil(h / outputs) * Math.ceil(w / outputs);

const destSize = ({ vertical, horizontal }: Gather): Pair => [axisSteps(vertical), axisSteps(horizontal)];

/** The convolution with tiles of `outputs`², or null if it is not 3 × 3 with stride 1, or its arrays would not fit. */
function configFor(gather: Gather, outputs: WinogradOutputs, limits: KernelLimits): WinogradConfig | null {
  const { shape } = gather;
  // The transforms add up operands: rounded to halves before or after them, results would differ from other kernels'.
  if (!fits(shape) || limits.precision === 'f16') return null;
  const [cin, cout] = [up4(shape.cin), up4(shape.cout)];
  const tiles = tileCount(shape.batch, destSize(gather), outputs);
  if (winogradPoints(outputs) ** 2 * Math.max(tiles * cin, tiles * cout, cin * cout) > MAX_NUMBERS) return null;
  const product = chooseBatched({ m: tiles, n: up4(gather.dest[3]), k: Math.max(cin, cout) }, limits);
  // CPU adapters load vectors number by number; wide ones save them nothing, and take many times as long to compile.
  return product && { outputs, width: limits.software ? 1 : 4, product };
}

/** The configs that fit, for tiles of 2 × 2 and of 4 × 4 outputs. Pure. */
export function winogradCandidates(gather: Gather, limits: KernelLimits): WinogradConfig[] {
  return ([2, 4] as const).map((outputs) => configFor(gather, outputs, limits)).filter((config) => config !== null);
}

/** The weight gradient with tiles of `outputs`², or null, as `configFor`. */
function gradientConfigFor(
  shape: ConvShape,
  outputs: WinogradOutputs,
  limits: KernelLimits,
): WinogradGradientConfig | null {
  if (!fits(shape) || limits.precision === 'f16') return null;
  const [cin, cout] = [up4(shape.cin), up4(shape.cout)];
  const points = winogradPoints(outputs) ** 2;
  const tiles = tileCount(shape.batch, shape.output, outputs);
  // A GPU gets parts of 256 tiles or more where the products alone would not fill it.
  const groups = points * Math.ceil(cin / 64) * Math.ceil(cout / 64);
  const splitK = limits.software ? 1 : Math.max(1, Math.min(Math.ceil(512 / groups), Math.floor(tiles / 256)));
  const most = Math.max((tiles + 4 * splitK) * Math.max(cin, cout), splitK * cin * cout);
  const product = chooseBatched({ m: cin, n: cout, k: tiles }, limits);
  return product && points * most <= MAX_NUMBERS ? { outputs, width: limits.software ? 1 : 4, product, splitK } : null;
}

/** The configs of the weight gradient that fit, as above. Pure. */
export function winogradGradientCandidates(shape: ConvShape, limits: KernelLimits): WinogradGradientConfig[] {
  return ([2, 4] as const)
    .map((outputs) => gradientConfigFor(shape, outputs, limits))
    .filter((config) => config !== null);
}

/** Minimum share of multiply-adds that it must save, because its arrays take memory and estimates are inexact. */
const MIN_GAIN = 0.2;

/** The config of least estimated cost; null if there is none, or if it gains little and is not required. */
function cheapest<Config extends WinogradConfig>(
  configs: readonly Config[],
  shape: ConvShape,
  covered: Pair,
  costs: Costs,
  must: boolean,
): Config | null {
  const [cin, cout] = [up4(shape.cin), up4(shape.cout)];
  let least = must ? Infinity : (1 - MIN_GAIN) * convMultiplyAdds({ ...shape, cin, cout });
  let best: Config | null = null;
  for (const config of configs) {
    const tiles = tileCount(shape.batch, covered, config.outputs);
    const picture = costs.picture * tiles * (cin + cout);
    const points = winogradPoints(config.outputs) ** 2;
    const estimate = points * ((tiles + costs.weights) * cin * cout + picture) + DISPATCHES_COST;
    if (estimate < least) [best, least] = [config, estimate];
  }
  return best;
}

/** Chooses for the forward pass or the gradient by the input. Pure. */
export function chooseWinograd(gather: Gather, limits: KernelLimits, must: boolean): WinogradConfig | null {
  return cheapest(winogradCandidates(gather, limits), gather.shape, destSize(gather), GATHER_COSTS, must);
}

/** Chooses for the gradient by the weights. Pure. */
export function chooseWinogradGradient(
  shape: ConvShape,
  limits: KernelLimits,
  must: boolean,
): WinogradGradientConfig | null {
  return cheapest(winogradGradientCandidates(shape, limits), shape, shape.output, GRADIENT_COSTS, must);
}
