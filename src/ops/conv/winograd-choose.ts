import { axisSteps, type ConvShape, convMultiplyAdds } from '../../../shaders/common/conv-geometry.js';
import { type WinogradOutputs, winogradPoints } from '../../../shaders/common/winograd.js';
import type { WinogradWidth } from '../../../shaders/conv-winograd.wgsl.js';
import { up4 } from '../../common/shapes.js';
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

/** The largest binding that every WebGPU device accepts (128 MiB), in numbers. */
const MOST_NUMBERS = 2 ** 27 / 4;

/**
 * What the transforms cost CPU adapters, in multiply-adds of the register kernels: a number of a transformed picture, made
 * and read; one of the transformed weights; and the three more dispatches. Estimates,
 * fitted to lavapipe: many channels and tiles gain, few do not. Tuning measures.
 */
const PICTURE_COST = 24;
const WEIGHTS_COST = 14;
const DISPATCHES_COST = 1e6;

const fits = ({ kernel, stride, dilation, groups }: ConvShape): boolean =>
  groups === 1 && [...kernel].every((size) => size === 3) && [...stride, ...dilation].every((step) => step === 1);

/** Tiles that cover the result. */
const tileCount = ({ shape, rows, columns }: Gather, outputs: WinogradOutputs): number =>
  shape.batch * Math.ceil(axisSteps(rows) / outputs) * Math.ceil(axisSteps(columns) / outputs);

/** Estimated multiply-adds of a convolution of `cin` and `cout` channels, with what stands for the transforms. */
function cost(tiles: number, cin: number, cout: number, outputs: WinogradOutputs): number {
  const points = winogradPoints(outputs) ** 2;
  const picture = PICTURE_COST * tiles * (cin + cout);
  return points * ((tiles + WEIGHTS_COST) * cin * cout + picture) + DISPATCHES_COST;
}

/** The convolution with tiles of `outputs`², or null where it is not one of 3 × 3 steps of 1, or its arrays would not fit. */
function configFor(gather: Gather, outputs: WinogradOutputs, limits: KernelLimits): WinogradConfig | null {
  const { shape } = gather;
  // The transforms add up operands: rounded to halves before or after them, results would differ from other kernels'.
  if (!fits(shape) || limits.precision === 'f16') return null;
  const [cin, cout] = [up4(shape.cin), up4(shape.cout)];
  const tiles = tileCount(gather, outputs);
  if (winogradPoints(outputs) ** 2 * Math.max(tiles * cin, tiles * cout, cin * cout) > MOST_NUMBERS) return null;
  const product = chooseBatched({ m: tiles, n: up4(gather.dest[3]), k: Math.max(cin, cout) }, limits);
  // CPU adapters load vectors number by number; wide ones save them nothing, and take many times as long to compile.
  return product && { outputs, width: limits.software ? 1 : 4, product };
}

/** The configs that fit, for tiles of 2 × 2 and of 4 × 4 outputs. Pure. */
export function winogradCandidates(gather: Gather, limits: KernelLimits): WinogradConfig[] {
  return ([2, 4] as const).map((outputs) => configFor(gather, outputs, limits)).filter((config) => config !== null);
}

/** It must save this share of the multiply-adds: its arrays take memory, and estimates err. */
const LEAST_GAIN = 0.2;

/** The config of least estimated cost, or null where there is none or (unless it must) it gains little. Pure. */
export function chooseWinograd(gather: Gather, limits: KernelLimits, must: boolean): WinogradConfig | null {
  const { shape } = gather;
  const [cin, cout] = [up4(shape.cin), up4(shape.cout)];
  let least = must ? Infinity : (1 - LEAST_GAIN) * convMultiplyAdds({ ...shape, cin, cout });
  let best: WinogradConfig | null = null;
  for (const config of winogradCandidates(gather, limits)) {
    const estimate = cost(tileCount(gather, config.outputs), cin, cout, config.outputs);
    if (estimate < least) [best, least] = [config, estimate];
  }
  return best;
}
