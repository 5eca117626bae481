import type { ChannelWidth } from '../../../shaders/common/channel-walk.js';
import {
  axisDests,
  axisSteps,
  axisTerms,
  type ConvShape,
  forwardAxis,
  slidingWindow,
} from '../../../shaders/common/conv-geometry.js';
import type { Pair } from '../../common/shapes.js';
import { hasNarrowRegisters, type KernelLimits } from '../../gpu/kernel.js';
import { chooseChannels } from '../../kernels/channel-walk.js';
import type { Gather } from './gather-plan.js';

/** A window that slides down strips `pixels` wide and `steps` long, or a loop over the taps; `width` adjacent channels each. */
export type DepthwiseConfig =
  | { kind: 'sliding'; width: ChannelWidth; steps: number; pixels: number }
  | { kind: 'loop'; width: ChannelWidth; pictures: number };

export interface DepthwiseWeightGradientConfig {
  width: ChannelWidth;
  /** Taps an invocation keeps the sums of. */
  block: Pair;
  /** Rows and columns of output in a strip. */
  steps: number;
  pixels: number;
  /** Partial sums are made in firstSplitK · splitK places; the first pass adds firstSplitK of them, the second splitK. */
  firstSplitK: number;
  splitK: number;
}

/** Maximum number of taps whose weights or sums are in registers. */
const MAX_TAPS = 16;
/** Maximum number of steps over which a sum is accumulated; each has its own registers. */
const MAX_AGE = 7;
/** Maximum number of rows of splitK that one invocation adds up alone. */
const MAX_PARTS_ADDED = 32;

const PIXELS = [1, 2, 3, 4, 6, 8];
const STEPS = [2, 4, 8, 16, 32];

/**
 * Channels of an invocation whose window slides. On CPU adapters two load and store faster than one at a time; four are no
 * faster, and take twice as long to compile.
 */
function slidingWidth(channels: number, limits: KernelLimits): ChannelWidth {
  if (!limits.software) return chooseChannels(channels);
  return channels % 2 === 0 ? 2 : 1;
}

/**
 * Whether a sliding window with `kept` weights and sums fits into an invocation's registers, which reads `columns` columns. On
 * CPU adapters these numbers, and where they are read from, count as well: wider strips spill, and take long to compile.
 */
function windowFits(width: ChannelWidth, kept: number, columns: number, limits: KernelLimits): boolean {
  return limits.software ? width * (kept + columns) + columns <= 60 : width * kept <= 96;
}

const distinct = (values: number[]): number => new Set(values).size;

/** The candidate of the least cost, the first on a tie. */
function cheapest<T>(candidates: T[], cost: (candidate: T) => number): T | undefined {
  return candidates.reduce<T | undefined>(
    (best, next) => (best === undefined || cost(next) < cost(best) ? next : best),
    undefined,
  );
}

/** Strips to try on pictures of the given steps. */
function strips(rows: number, columns: number): { steps: number; pixels: number }[] {
  const lengths = [...STEPS.filter((steps) => steps < rows), rows];
  const widths = PIXELS.filter((pixels) => pixels < 2 * columns);
  return lengths.flatMap((steps) => widths.map((pixels) => ({ steps, pixels })));
}

/** Chooses for a forward conv or an input gradient. Pure: the same numbers give the same choice. */
export function chooseDepthwise(gather: Gather, limits: KernelLimits): DepthwiseConfig {
  const { dest, vertical, horizontal } = gather;
  const [batch, , , channels] = dest;
  const width = slidingWidth(channels, limits);
  const [down, across] = [axisSteps(vertical), axisSteps(horizontal)];
  const { oldest, terms: rowTerms } = slidingWindow(vertical);
  const taps = distinct(rowTerms.map(({ tap }) => tap)) * distinct(axisTerms(horizontal, 1).map(({ tap }) => tap));
  const sums = (pixels: number): number => axisDests(vertical, 1).length * axisDests(horizontal, pixels).length;
  const columns = (pixels: number): number => distinct(axisTerms(horizontal, pixels).map(({ source }) => source));
  const candidates = strips(down, across).filter(({ pixels }) => {
    const kept = (oldest + 1) * sums(pixels) + taps;
    return taps <= MAX_TAPS && oldest <= MAX_AGE && windowFits(width, kept, columns(pixels), limits);
  });
  // Invocations that keep a device busy; fewer take as long.
  const wanted = Math.min(batch * down * across * (channels / width), limits.software ? 256 : 2 ** 15);
  /** Cost of loads and stores, and the small cost of the products, over all invocations. */
  const cost = ({ steps, pixels }: { steps: number; pixels: number }): number => {
    const invocations = batch * Math.ceil(down / steps) * Math.ceil(across / pixels) * (channels / width);
    const terms = axisTerms(horizontal, pixels);
    const loads = distinct(rowTerms.map(({ row }) => row)) * columns(pixels);
    const products = (rowTerms.length * terms.length) / 16;
    return Math.max(invocations, wanted) * (taps + (steps + oldest) * (loads + products + 1) + steps * sums(pixels));
  };
  const sliding = cheapest(candidates, cost);
  // A window over one step reads no less than the loop.
  if (sliding && down > 1) return { kind: 'sliding', width, ...sliding };
  return { kind: 'loop', width: chooseChannels(channels), pictures: limits.software ? Math.min(batch, 4) : 1 };
}

/** Chooses for the weight gradient. Pure. */
export function chooseDepthwiseWeightGradient(shape: ConvShape, limits: KernelLimits): DepthwiseWeightGradientConfig {
  const [kh, kw] = shape.kernel;
  const whole = kh * kw <= MAX_TAPS && slidingWindow(forwardAxis(shape, 0)).oldest <= MAX_AGE;
  // SwiftShader is no faster with two channels, and wants wide strips of few taps.
  const narrow = hasNarrowRegisters(limits);
  const narrowWidth = whole ? 1 : chooseChannels(shape.cin);
  const width = narrow ? narrowWidth : slidingWidth(shape.cin, limits);
  const [height, across] = shape.output;
  const block: Pair = whole ? [kh, kw] : [1, Math.min(kw, MAX_TAPS / 2)];
  const taps = block[0] * block[1];
  const ofBlock = { ...shape, kernel: block };
  const { oldest, terms: rowTerms } = slidingWindow(forwardAxis(ofBlock, 0));
  const horizontal = forwardAxis(ofBlock, 1);
  const threads = (Math.ceil(kh / block[0]) * Math.ceil(kw / block[1]) * shape.cin) / width;
  const columns = (pixels: number): number => distinct(axisTerms(horizontal, pixels).map(({ source }) => source));
  const fitting = strips(height, across).filter(({ pixels }) => {
    const kept = (oldest + 1) * pixels + taps;
    if (pixels === 1) return true;
    return narrow ? width * kept <= 160 : windowFits(width, kept, pixels + columns(pixels), limits);
  });
  // Enough invocations to fill the device, but no more splitK than that: each is a whole array of weights.
  const most = Math.ceil((limits.software ? 512 : 2 ** 16) / threads);
  const { steps, pixels } = cheapest(fitting, ({ steps, pixels }) => {
    const count = shape.batch * Math.ceil(height / steps) * Math.ceil(across / pixels);
    const terms = axisTerms(horizontal, pixels);
    const loads = pixels + distinct(rowTerms.map(({ row }) => row)) * columns(pixels);
    const products = (rowTerms.length * terms.length) / 16;
    return Math.max(count, most) * (4 + (steps + oldest) * (loads + products + 1));
  }) as { steps: number; pixels: number };
  const count = shape.batch * Math.ceil(height / steps) * Math.ceil(across / pixels);
  const wanted = Math.min(count, most);
  const firstSplitK = Math.ceil(wanted / MAX_PARTS_ADDED);
  return { width, block, steps, pixels, firstSplitK, splitK: Math.ceil(wanted / firstSplitK) };
}
