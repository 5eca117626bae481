import type { Pair } from '../../src/common/shapes.js';

/**
 * One convolution, seen once: `input` [N,H,W,Cin] is what a conv reads (and a transposed conv writes),
 * `output` [N,Ho,Wo,Cout] is what a conv writes (and a transposed conv reads). Weights are [kh,kw,Cin/groups,Cout].
 */
export interface ConvShape {
  batch: number;
  /** [H, W] and [Ho, Wo]. */
  input: Pair;
  output: Pair;
  cin: number;
  cout: number;
  kernel: Pair;
  stride: Pair;
  /** Rows above and columns to the left; what is below and to the right follows from the sizes. */
  padding: Pair;
  dilation: Pair;
  groups: number;
}

/** Multiply-adds of one pass (forward, or either gradient). */
export function convMultiplyAdds(shape: ConvShape): number {
  const { batch, output, kernel, cin, cout, groups } = shape;
  return (batch * output[0] * output[1] * kernel[0] * kernel[1] * cin * cout) / groups;
}

/**
 * The destination positions destination = destStride·q + start (q < count) of one axis, which all use the same taps:
 * tap k = firstTap + i·tapStride (i < taps) reads source position sourceStride·q + firstOffset + i·offsetStride.
 */
export interface AxisPhase {
  start: number;
  count: number;
  firstTap: number;
  taps: number;
  firstOffset: number;
}

/** One axis of a gather convolution; every phase is a dense convolution of its own. */
export interface AxisPlan {
  phases: AxisPhase[];
  tapStride: number;
  offsetStride: number;
  sourceStride: number;
  destStride: number;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Forward conv along one axis: a single phase that uses every tap. */
export function forwardAxis(shape: ConvShape, axis: 0 | 1): AxisPlan {
  return {
    phases: [
      {
        start: 0,
        count: shape.output[axis],
        firstTap: 0,
        taps: shape.kernel[axis],
        firstOffset: -shape.padding[axis],
      },
    ],
    tapStride: 1,
    offsetStride: shape.dilation[axis],
    sourceStride: shape.stride[axis],
    destStride: 1,
  };
}

/**
 * Input gradient (= transposed conv) along one axis, as a gather: destination h receives tap k from source
 * (h + pad − k·dilation)/stride where that is whole. The taps that divide are the same for all h of one residue
 * modulo the stride, so there are `stride` phases, each a dense stride-1 convolution with about k/stride taps:
 * nothing is multiplied by zero, and no tap is tested for divisibility.
 */
export function inputGradientAxis(shape: ConvShape, axis: 0 | 1): AxisPlan {
  const [stride, dilation, pad, size] = [
    shape.stride[axis],
    shape.dilation[axis],
    shape.padding[axis],
    shape.input[axis],
  ];
  const common = gcd(stride, dilation);
  const tapStride = stride / common;
  const phases: AxisPhase[] = [];
  for (let start = 0; start < Math.min(stride, size); start++) {
    let firstTap = 0;
    while (firstTap < tapStride && (start + pad - firstTap * dilation) % stride !== 0) firstTap++;
    const taps = firstTap < tapStride ? Math.max(0, Math.ceil((shape.kernel[axis] - firstTap) / tapStride)) : 0;
    phases.push({
      start,
      count: Math.ceil((size - start) / stride),
      firstTap: taps > 0 ? firstTap : 0,
      taps,
      firstOffset: taps > 0 ? (start + pad - firstTap * dilation) / stride : 0,
    });
  }
  return { phases, tapStride, offsetStride: -dilation / common, sourceStride: 1, destStride: stride };
}

/**
 * How the dest of a gather lies in a picture: each of its pixels is a block of `stride` pixels of the picture, row by row, in its
 * channels. The first block begins `before` rows and columns outside.
 */
export interface Blocks {
  stride: Pair;
  before: Pair;
  /** [H, W, C]. */
  picture: readonly number[];
}

/** One product on one axis: destination and source count from where the step or tile at hand starts. */
export interface AxisTerm {
  dest: number;
  tap: number;
  source: number;
}

/** The products of `count` steps of every phase: every tile of that many steps has the same. */
export function axisTerms(plan: AxisPlan, count: number): AxisTerm[] {
  return Array.from({ length: count }, (_, q) =>
    plan.phases.flatMap(({ start, taps, firstTap, firstOffset }) =>
      Array.from({ length: taps }, (_, i) => ({
        dest: plan.destStride * q + start,
        tap: firstTap + i * plan.tapStride,
        source: plan.sourceStride * q + firstOffset + i * plan.offsetStride,
      })),
    ),
  ).flat();
}

/** The destinations of those steps, with the ones that no tap reaches. */
export function axisDests(plan: AxisPlan, count: number): number[] {
  return Array.from({ length: count }, (_, q) => plan.phases.map(({ start }) => plan.destStride * q + start)).flat();
}

/** The most taps that a phase has. */
export function axisTaps(plan: AxisPlan): number {
  return Math.max(...plan.phases.map((phase) => phase.taps));
}

/** Steps along an axis: each makes one destination of every phase. */
export function axisSteps(plan: AxisPlan): number {
  return Math.max(...plan.phases.map((phase) => phase.count));
}

/** Whether base + offset is outside an axis for some base from 0 to `last`. Where it never is, a kernel saves the test. */
export function leavesAxis(offset: number, last: number, size: number): boolean {
  return offset < 0 || last + offset >= size;
}

/**
 * The products on one axis as a window slides along it and each source is read once: step t reads the `sourceStride`
 * sources from sourceStride·t + first on, of which source `row` is part of the destinations of step t − age.
 */
export interface SlidingWindow {
  first: number;
  /** The largest age: steps until the window has passed a source. */
  oldest: number;
  terms: { dest: number; tap: number; row: number; age: number }[];
}

export function slidingWindow(plan: AxisPlan): SlidingWindow {
  const terms = axisTerms(plan, 1);
  const first = terms.length > 0 ? Math.min(...terms.map(({ source }) => source)) : 0;
  const sliding = terms.map(({ dest, tap, source }) => ({
    dest,
    tap,
    row: (source - first) % plan.sourceStride,
    age: Math.floor((source - first) / plan.sourceStride),
  }));
  return { first, oldest: Math.max(0, ...sliding.map(({ age }) => age)), terms: sliding };
}

/** Zeros that the source needs before and after, so that no read of a plan (counts rounded up to `tile`) leaves it. */
export function axisPadding(plan: AxisPlan, sourceSize: number, tile: number): { before: number; after: number } {
  let low = 0;
  let high = sourceSize - 1;
  const count = Math.ceil(axisSteps(plan) / tile) * tile;
  for (const { taps, firstOffset } of plan.phases) {
    if (taps === 0) continue;
    const last = firstOffset + (taps - 1) * plan.offsetStride;
    low = Math.min(low, firstOffset, last);
    high = Math.max(high, plan.sourceStride * (count - 1) + Math.max(firstOffset, last));
  }
  return { before: -low, after: high - (sourceSize - 1) };
}
