import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { Epilogue } from '../../../shaders/common/epilogue.js';
import { withDefaults } from '../../common/arguments.js';
import type { Precision } from '../../common/precision.js';
import type { Padding2d, Pair } from '../../common/shapes.js';
import type { KernelLimits } from '../../gpu/kernel.js';
import type { TuningRequest } from '../../gpu/tuning.js';
import { dispatch } from '../../tensor/dispatch.js';
import { apply, type Op } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { memoize } from '../memoize.js';
import { toPadding, toPair } from '../shape-checks.js';
import {
  type ConvVariant,
  chooseGather,
  type GatherConfig,
  gatherCandidates,
  type WeightGradientConfig,
} from './choose.js';
import { type ConvInput, type ConvPlan, type GatherDirection, gatherOf } from './gather-plan.js';
import { planGather } from './plan.js';
import { type Conv2dAttrs, type ConvTranspose2dAttrs, conv2dShape, convShape, convTranspose2dShape } from './shape.js';

/** Overrides for tests and tuning; by default `choose.ts` decides for the device at hand. */
export interface ConvOptions {
  variant?: ConvVariant;
  /** Limits to choose by, instead of the device's own. */
  limits?: Partial<KernelLimits>;
  /** The exact configs of the three passes; each must fit the shape. */
  configs?: Partial<ConvConfigs>;
}

export interface ConvConfigs {
  forward: GatherConfig;
  inputGradient: GatherConfig;
  weightGradient: WeightGradientConfig;
}

// Choosing and writing kernels takes longer than many of them run.
const chosenGather = /* @__PURE__ */ memoize(
  (shape: ConvShape, direction: GatherDirection, limits: KernelLimits, variant?: ConvVariant): GatherConfig =>
    chooseGather(gatherOf(shape, direction), limits, variant),
);
const gatherPlan = /* @__PURE__ */ memoize(
  (shape: ConvShape, direction: GatherDirection, epilogue: Epilogue, config: GatherConfig, precision?: Precision) =>
    planGather(gatherOf(shape, direction), epilogue, config, precision),
);

const limitsOf = (tensor: Tensor, options: ConvOptions): KernelLimits => ({ ...tensor.gpu.limits, ...options.limits });

function gatherConfig(
  shape: ConvShape,
  direction: GatherDirection,
  tensor: Tensor,
  options: ConvOptions,
): GatherConfig {
  const given = options.configs?.[direction];
  if (given) return given;
  const limits = limitsOf(tensor, options);
  return (
    tuned(direction, shape, tensor, options, () => gatherCandidates(gatherOf(shape, direction), limits)) ??
    chosenGather(shape, direction, limits, options.variant)
  );
}

/** The measured choice among the candidates for a pass; undefined if there is none, or if something is overridden. */
function tuned<Config>(
  pass: keyof ConvConfigs,
  shape: ConvShape,
  { gpu }: Tensor,
  options: ConvOptions,
  candidates: () => readonly Config[],
): Config | undefined {
  if (options.variant || options.limits) return undefined;
  return gpu.tuning.choice(convRequest(pass, shape, gpu.limits.precision), candidates);
}

/** The key of a convolution's pass among a device's measured choices. */
export const convRequest = (
  pass: keyof ConvConfigs,
  shape: ConvShape,
  precision: Precision = 'f32',
): TuningRequest => ({
  family: `conv ${pass}${precision === 'f32' ? '' : ` ${precision}`}`,
  problem: shape,
});

/** What a convolution does with its sums, with the numbers for it: see `Epilogue`. */
interface EpilogueNumbers {
  kind: Exclude<Epilogue, 'none'>;
  numbers: Tensor;
}

const biasEpilogue = (bias: Tensor | undefined): EpilogueNumbers | null =>
  bias ? { kind: 'bias', numbers: bias } : null;

type Operands = Partial<Record<Exclude<ConvInput, number>, Tensor>>;

/** Runs a plan. Also returns the padded source if the plan has one; this is `given` if it was passed. */
function runPlan({ steps, padded }: ConvPlan, operands: Operands, given?: Tensor | null) {
  const results: Tensor[] = [];
  const tensorOf = (input: ConvInput): Tensor => (typeof input === 'number' ? results[input] : operands[input]!);
  for (const [k, step] of steps.entries()) {
    const ready = k === padded && given;
    results.push(ready || dispatch(step.kernel, step.inputs.map(tensorOf), step.shape, step.scalars));
    // Results that no later step reads are freed.
    for (const input of new Set(step.inputs)) {
      const readLater = steps.slice(k + 1).some(({ inputs }) => inputs.includes(input));
      if (typeof input === 'number' && input !== padded && !readLater) results[input].dispose();
    }
  }
  return { output: results[steps.length - 1], padded: padded === null ? null : results[padded] };
}

/** Runs a gather convolution. Also returns the padded source if one was made, for the weight gradient to share. */
export function runGather(
  shape: ConvShape,
  direction: GatherDirection,
  source: Tensor,
  weights: Tensor,
  epilogue: EpilogueNumbers | null,
  options: ConvOptions = {},
): { output: Tensor; padded: Tensor | null } {
  const config = gatherConfig(shape, direction, source, options);
  const { precision } = limitsOf(source, options);
  const plan = gatherPlan(shape, direction, epilogue?.kind ?? 'none', config, precision);
  return runPlan(plan, { source, weights, epilogue: epilogue?.numbers });
}

/** How passes of a convolution run: what its gradients share with the forward pass. */
const runner = { limitsOf, tuned, gatherConfig, runGather, runPlan };
export type ConvRunner = typeof runner;

/** The operation, with overrides. */
export function conv2dOp(options: ConvOptions = {}): Op<Conv2dAttrs> {
  return {
    inputs: ['x', 'w', 'bias'],
    shape: conv2dShape,
    forward: ([x, w, bias], attrs, outShape) => {
      const shape = convShape(x.shape, outShape, w.shape, attrs);
      const { output, padded } = runGather(shape, 'forward', x, w, biasEpilogue(bias), options);
      return { output, saved: padded ? [padded] : [] };
    },
    backward: (context) => context.gradients.conv2d(context, options, runner),
  };
}

/** A transposed conv: the input gradient of the conv with the same weights, with overrides. */
export function convTranspose2dOp(options: ConvOptions = {}): Op<ConvTranspose2dAttrs> {
  return {
    inputs: ['x', 'w', 'bias'],
    shape: convTranspose2dShape,
    forward: ([x, w, bias], attrs, outShape) => {
      const shape = convShape(outShape, x.shape, w.shape, attrs);
      const { output, padded } = runGather(shape, 'inputGradient', x, w, biasEpilogue(bias), options);
      padded?.dispose();
      return { output };
    },
    backward: (context) => context.gradients.convTranspose2d(context, options, runner),
  };
}

// Apart from the table, which would bring both into every program that has one of them.
const conv2dDefault = /* @__PURE__ */ conv2dOp();
const convTranspose2dDefault = /* @__PURE__ */ convTranspose2dOp();

export const convOps = { conv2d: conv2dDefault, convTranspose2d: convTranspose2dDefault };

/** Options of a convolution. */
export interface Conv2dOptions {
  /** One number for both axes, or [rows, columns]; default 1. */
  stride?: number | Pair;
  /** In pixels: one number for all sides, [rows, columns], or [top, bottom, left, right]; default 0. */
  padding?: number | Pair | Padding2d;
  /** One number for both axes, or [rows, columns]; default 1. */
  dilation?: number | Pair;
  /** Default 1; the number of channels for a depthwise conv. */
  groups?: number;
}

/** Options of a transposed convolution. */
export interface ConvTranspose2dOptions extends Conv2dOptions {
  /** Rows and columns to add at the bottom and right of the output, below the stride; default 0. */
  outputPadding?: number | Pair;
}

const CONV_DEFAULTS = { stride: 1, padding: 0, dilation: 1, groups: 1 };

/** @throws ArgumentError for an unknown option, or one that is neither a number nor a list */
export function convAttrs(op: string, options?: Conv2dOptions): Conv2dAttrs {
  const { stride, padding, dilation, groups } = withDefaults<Required<Conv2dOptions>>(op, options, CONV_DEFAULTS);
  return {
    stride: toPair(op, 'stride', stride),
    padding: toPadding(op, padding),
    dilation: toPair(op, 'dilation', dilation),
    groups,
  };
}

/** @throws ArgumentError, as `convAttrs` */
export function convTransposeAttrs(op: string, options?: ConvTranspose2dOptions): ConvTranspose2dAttrs {
  const defaults = { ...CONV_DEFAULTS, outputPadding: 0 };
  const { outputPadding, ...rest } = withDefaults<Required<ConvTranspose2dOptions>>(op, options, defaults);
  return { ...convAttrs(op, rest), outputPadding: toPair(op, 'outputPadding', outputPadding) };
}

/**
 * 2-D convolution (cross-correlation, as in every framework).
 * @param x [N,H,W,Cin]
 * @param w [kh,kw,Cin/groups,Cout]
 * @param bias [Cout] or null
 * @returns [N,Ho,Wo,Cout] with Ho = ⌊(H + top + bottom − dilation·(kh − 1) − 1)/stride⌋ + 1
 * @throws ShapeError if the shapes or attributes do not fit
 */
export function conv2d(x: Tensor, w: Tensor, bias: Tensor | null = null, options?: Conv2dOptions): Tensor {
  return apply('conv2d', conv2dDefault, withBias(x, w, bias), convAttrs('conv2d', options));
}

/** The bias may be null; any other value is checked. */
function withBias(x: Tensor, w: Tensor, bias: Tensor | null): Tensor[] {
  return bias === null ? [x, w] : [x, w, bias];
}

/**
 * 2-D transposed convolution ("deconvolution"): the input gradient of the conv with these weights.
 * @param x [N,H,W,Cin]
 * @param w [kh,kw,Cout/groups,Cin]
 * @param bias [Cout] or null
 * @returns [N,Ho,Wo,Cout] with Ho = (H − 1)·stride − (top + bottom) + dilation·(kh − 1) + 1 + outputPadding
 * @throws ShapeError if the shapes or attributes do not fit
 */
export function convTranspose2d(
  x: Tensor,
  w: Tensor,
  bias: Tensor | null = null,
  options?: ConvTranspose2dOptions,
): Tensor {
  const attrs = convTransposeAttrs('convTranspose2d', options);
  return apply('convTranspose2d', convTranspose2dDefault, withBias(x, w, bias), attrs);
}
