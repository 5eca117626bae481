import type { Conv2dAttrs, Pair } from './op-attrs.js';

/**
 * One convolution, seen once: `big` [N,H,W,Cin] is what a conv reads (and a transposed conv writes),
 * `small` [N,Ho,Wo,Cout] is what a conv writes (and a transposed conv reads). Weights are [kh,kw,Cin/groups,Cout].
 */
export interface ConvShape {
  batch: number;
  /** [H, W] and [Ho, Wo]. */
  big: Pair;
  small: Pair;
  cin: number;
  cout: number;
  kernel: Pair;
  stride: Pair;
  /** Rows above and columns to the left; what is below and to the right follows from the sizes. */
  padding: Pair;
  dilation: Pair;
  groups: number;
}

export function convShape(
  big: readonly number[],
  small: readonly number[],
  weights: readonly number[],
  attrs: Conv2dAttrs,
): ConvShape {
  return {
    batch: big[0],
    big: [big[1], big[2]],
    small: [small[1], small[2]],
    cin: big[3],
    cout: small[3],
    kernel: [weights[0], weights[1]],
    stride: attrs.stride,
    padding: [attrs.padding[0], attrs.padding[2]],
    dilation: attrs.dilation,
    groups: attrs.groups,
  };
}

/** Attributes of a conv of this shape, with all four paddings. */
export function convAttrs(shape: ConvShape): Conv2dAttrs {
  const { big, small, kernel, stride, padding, dilation, groups } = shape;
  const after = (axis: 0 | 1): number =>
    Math.max(0, (small[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 - padding[axis] - big[axis]);
  return { stride, padding: [padding[0], after(0), padding[1], after(1)], dilation, groups };
}

/** Multiply-adds of one pass (forward, or either gradient). */
export function convMultiplyAdds(shape: ConvShape): number {
  const { batch, small, kernel, cin, cout, groups } = shape;
  return (batch * small[0] * small[1] * kernel[0] * kernel[1] * cin * cout) / groups;
}

/**
 * The destination positions destination = destStep·q + start (q < count) of one axis, which all use the same taps:
 * tap k = firstTap + i·tapStep (i < taps) reads source position sourceStep·q + firstOffset + i·offsetStep.
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
  tapStep: number;
  offsetStep: number;
  sourceStep: number;
  destStep: number;
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
        count: shape.small[axis],
        firstTap: 0,
        taps: shape.kernel[axis],
        firstOffset: -shape.padding[axis],
      },
    ],
    tapStep: 1,
    offsetStep: shape.dilation[axis],
    sourceStep: shape.stride[axis],
    destStep: 1,
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
    shape.big[axis],
  ];
  const common = gcd(stride, dilation);
  const tapStep = stride / common;
  const phases: AxisPhase[] = [];
  for (let start = 0; start < Math.min(stride, size); start++) {
    let firstTap = 0;
    while (firstTap < tapStep && (start + pad - firstTap * dilation) % stride !== 0) firstTap++;
    const taps = firstTap < tapStep ? Math.max(0, Math.ceil((shape.kernel[axis] - firstTap) / tapStep)) : 0;
    phases.push({
      start,
      count: Math.ceil((size - start) / stride),
      firstTap: taps > 0 ? firstTap : 0,
      taps,
      firstOffset: taps > 0 ? (start + pad - firstTap * dilation) / stride : 0,
    });
  }
  return { phases, tapStep, offsetStep: -dilation / common, sourceStep: 1, destStep: stride };
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
        dest: plan.destStep * q + start,
        tap: firstTap + i * plan.tapStep,
        source: plan.sourceStep * q + firstOffset + i * plan.offsetStep,
      })),
    ),
  ).flat();
}

/** The destinations of those steps, with the ones that no tap reaches. */
export function axisDests(plan: AxisPlan, count: number): number[] {
  return Array.from({ length: count }, (_, q) => plan.phases.map(({ start }) => plan.destStep * q + start)).flat();
}

/** Steps along an axis: each makes one destination of every phase. */
export function axisSteps(plan: AxisPlan): number {
  return Math.max(...plan.phases.map((phase) => phase.count));
}

/**
 * The products on one axis for a march along it that reads each source once: step t reads the `sourceStep` sources from
 * sourceStep·t + first on, of which source `row` is part of the destinations of step t − lag.
 */
export interface AxisMarch {
  first: number;
  lags: number;
  terms: { dest: number; tap: number; row: number; lag: number }[];
}

export function axisMarch(plan: AxisPlan): AxisMarch {
  const terms = axisTerms(plan, 1);
  const first = terms.length > 0 ? Math.min(...terms.map(({ source }) => source)) : 0;
  const marching = terms.map(({ dest, tap, source }) => ({
    dest,
    tap,
    row: (source - first) % plan.sourceStep,
    lag: Math.floor((source - first) / plan.sourceStep),
  }));
  return { first, lags: Math.max(0, ...marching.map(({ lag }) => lag)), terms: marching };
}

/** Zeros that the source needs before and after, so that no read of a plan (counts rounded up to `tile`) leaves it. */
export function axisPadding(plan: AxisPlan, sourceSize: number, tile: number): { before: number; after: number } {
  let low = 0;
  let high = sourceSize - 1;
  const count = Math.ceil(axisSteps(plan) / tile) * tile;
  for (const { taps, firstOffset } of plan.phases) {
    if (taps === 0) continue;
    const last = firstOffset + (taps - 1) * plan.offsetStep;
    low = Math.min(low, firstOffset, last);
    high = Math.max(high, plan.sourceStep * (count - 1) + Math.max(firstOffset, last));
  }
  return { before: -low, after: high - (sourceSize - 1) };
}
