import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { BackwardContext, BroughtGradients } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { memoize } from '../memoize.js';
import { sumRows } from '../reduce.js';
import { chooseWeightGradient, type WeightGradientConfig, weightGradientCandidates } from './choose.js';
import type { ConvOptions, ConvRunner } from './conv.js';
import { type Conv2dAttrs, type ConvTranspose2dAttrs, convShape } from './shape.js';
import { planWeightGradient } from './weight-gradient.js';

/*
 * The gradients of convolutions. `conv.ts` does not import them: a tape brings them, and programs without a tape leave their kernels
 * out. This file does not import `conv.ts` either, but gets a `ConvRunner`: so a tape brings no kernels of the forward pass.
 */

const chosenWeightGradient = /* @__PURE__ */ memoize(chooseWeightGradient);
const weightGradientPlan = /* @__PURE__ */ memoize(planWeightGradient);

function weightGradientConfig(
  { limitsOf, tuned }: ConvRunner,
  shape: ConvShape,
  tensor: Tensor,
  options: ConvOptions,
): WeightGradientConfig {
  const given = options.configs?.weightGradient;
  if (given) return given;
  const limits = limitsOf(tensor, options);
  return (
    tuned('weightGradient', shape, tensor, options, () => weightGradientCandidates(shape, limits)) ??
    chosenWeightGradient(shape, limits, options.variant)
  );
}

/** Gradient by the weights; `paddedInput` is a copy that `runGather` made of the same `input`, if there is one. */
function weightGradient(
  runner: ConvRunner,
  shape: ConvShape,
  input: Tensor,
  output: Tensor,
  paddedInput: Tensor | null,
  options: ConvOptions,
): Tensor {
  const config = weightGradientConfig(runner, shape, input, options);
  const { precision } = runner.limitsOf(input, options);
  const forward = runner.gatherConfig(shape, 'forward', input, options);
  const { steps, padded } = weightGradientPlan(shape, config, forward, precision);
  // A choice measured since the forward pass may want other padding than that pass made.
  const shared = padded !== null && `${paddedInput?.shape}` === `${steps[padded].shape}`;
  return runner.runPlan({ steps, padded: shared ? padded : null }, { source: input, output }, paddedInput).output;
}

function biasGradient(dy: Tensor): Tensor {
  const channels = dy.shape[3];
  return sumRows(dy, dy.size / channels, channels);
}

export const convGradients: BroughtGradients = {
  conv2d(
    { inputs: [x, w, bias], output, saved, attrs, dy, needs }: BackwardContext<Conv2dAttrs>,
    options: ConvOptions,
    runner: ConvRunner,
  ): (Tensor | null)[] {
    const shape = convShape(x.shape, output.shape, w.shape, attrs);
    let dx: Tensor | null = null;
    if (needs[0]) {
      const result = runner.runGather(shape, 'inputGradient', dy, w, null, options);
      result.padded?.dispose();
      dx = result.output;
    }
    const dw = needs[1] ? weightGradient(runner, shape, x, dy, saved[0] ?? null, options) : null;
    return [dx, dw, bias && needs[2] ? biasGradient(dy) : null];
  },

  /** A transposed conv is the input gradient of the conv with the same weights; so its gradients are that conv's. */
  convTranspose2d(
    { inputs: [x, w, bias], output, attrs, dy, needs }: BackwardContext<ConvTranspose2dAttrs>,
    options: ConvOptions,
    runner: ConvRunner,
  ): (Tensor | null)[] {
    const shape = convShape(output.shape, x.shape, w.shape, attrs);
    let dx: Tensor | null = null;
    let padded: Tensor | null = null;
    if (needs[0]) {
      const result = runner.runGather(shape, 'forward', dy, w, null, options);
      dx = result.output;
      padded = result.padded;
    }
    const dw = needs[1] ? weightGradient(runner, shape, dy, x, padded, options) : null;
    padded?.dispose();
    return [dx, dw, bias && needs[2] ? biasGradient(dy) : null];
  },
};
