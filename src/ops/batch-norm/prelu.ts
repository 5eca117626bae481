import {
  batchNormPreluInputGradientShader,
  batchNormPreluPartialGradientsShader,
  batchNormPreluShader,
  coefficientsShader,
} from '../../../shaders/batch-norm-prelu.wgsl.js';
import type { SlopeKind } from '../../../shaders/prelu.wgsl.js';
import type { Shape, ShapeRule } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import {
  type ChannelWalk,
  chooseWalk,
  partialsShape,
  walkGrid,
  walkKernel,
  walkScalars,
} from '../../kernels/channel-walk.js';
import { elementKernel } from '../../kernels/elementwise.js';
import { dispatch } from '../../tensor/dispatch.js';
import { apply, type Op } from '../../tensor/tape.js';
import { scope, type Tensor } from '../../tensor/tensor.js';
import { checkSlope } from '../prelu.js';
import { sumRows, sumRowsApart } from '../reduce.js';
import { checkInputs } from '../shape-checks.js';
import {
  applyWithStatistics,
  type BatchNormAttrs,
  batchNormShape,
  type EpsOption,
  epsAttr,
  INFERENCE_INPUTS,
  planFor,
  statistics,
  TRAINING_INPUTS,
  type WalkChoice,
  type WithStatistics,
} from './batch-norm.js';

export const batchNormPreluTrainingShape: ShapeRule<BatchNormAttrs> = (inputs, attrs) =>
  batchNormPreluShape('batchNormPreluTraining', TRAINING_INPUTS, inputs, attrs);
export const batchNormPreluInferenceShape: ShapeRule<BatchNormAttrs> = (inputs, attrs) =>
  batchNormPreluShape('batchNormPreluInference', INFERENCE_INPUTS, inputs, attrs);

/** The slope comes last, after what the batch normalisation takes. */
export function batchNormPreluShape(
  op: string,
  names: string[],
  inputs: readonly Shape[],
  attrs: { eps: number },
): number[] {
  checkInputs(op, inputs, [...names, 'slope']);
  const shape = batchNormShape(op, names, inputs.slice(0, -1), attrs);
  checkSlope(op, inputs[names.length], shape[shape.length - 1]);
  return shape;
}

// x, y and their gradients are [rows, channels]; everything else is [channels], but the slope [1] or [channels] and the
// coefficients [5, channels]. The uniform binding takes walkScalars.

/** Bindings x, gamma, beta, mean, variance, slope, y. */
export function batchNormPreluKernel(config: ChannelWalk, kind: SlopeKind, eps: number): Kernel {
  return {
    label: 'batch norm prelu',
    ...batchNormPreluShader(config.width, kind, eps),
    workgroups: walkGrid(config),
    pointwise: true,
  };
}

/** Bindings gamma, beta, mean, variance, slope, coefficients. */
export function coefficientsKernel(channels: number, eps: number): Kernel {
  return elementKernel('batch norm prelu coefficients', coefficientsShader(eps), channels);
}

/** Bindings x, dy, coefficients, partial sums of dBeta, of dGamma and of the slope's gradient as [parts, 3, channels]. */
export function batchNormPreluPartialGradientsKernel(config: ChannelWalk): Kernel {
  return walkKernel('batch norm prelu partial gradients', batchNormPreluPartialGradientsShader(config.width), config);
}

/** Bindings x, dy, coefficients, in the training form dBeta and dGamma, dx. */
export function batchNormPreluInputGradientKernel(config: ChannelWalk, training: boolean): Kernel {
  return walkKernel(
    `batch norm prelu ${training ? '' : 'inference '}input gradient`,
    batchNormPreluInputGradientShader(config.width, training),
    config,
  );
}

/** y in one pass. Inputs x, gamma, beta, mean, variance, slope. */
function normalizeAndActivate(inputs: readonly Tensor[], choose: WalkChoice, eps: number): Tensor {
  const [x, , , , , slope] = inputs;
  const config = planFor(x, choose, 'map');
  const kernel = batchNormPreluKernel(config, slope.size > 1 ? 'perChannel' : 'shared', eps);
  return dispatch(kernel, inputs, x.shape, walkScalars(config));
}

/** What the backward passes load for each channel, [5, C]. Inputs gamma, beta, mean, variance, slope. */
function coefficientsOf(inputs: readonly Tensor[], eps: number): Tensor {
  const channels = inputs[0].size;
  return dispatch(coefficientsKernel(channels, eps), inputs, [5, channels]);
}

/** [dBeta, dGamma, dSlope], the last of `slopes` values. */
function parameterGradients(x: Tensor, dy: Tensor, coefficients: Tensor, slopes: number, choose: WalkChoice) {
  const config = planFor(x, choose, 'sum');
  const [parts, channels] = partialsShape(config);
  const kernel = batchNormPreluPartialGradientsKernel(config);
  const partials = dispatch(kernel, [x, dy, coefficients], [parts, 3, channels], walkScalars(config));
  const [dBeta, dGamma, dSlopes] = sumRowsApart(partials, parts, 3, channels);
  return [dBeta, dGamma, slopes === channels ? dSlopes : sumRows(dSlopes, channels, 1)];
}

/** dx. Inputs x, dy, coefficients, and in the training form dBeta and dGamma. */
function inputGradient(inputs: readonly Tensor[], training: boolean, choose: WalkChoice): Tensor {
  const config = planFor(inputs[0], choose, 'map');
  const kernel = batchNormPreluInputGradientKernel(config, training);
  return dispatch(kernel, inputs, inputs[0].shape, walkScalars(config));
}

/** The training form, walking tensors as `choose` says. It keeps the input and the statistics, and no activation. */
export function batchNormPreluTrainingOp(choose: WalkChoice = chooseWalk): Op<BatchNormAttrs> {
  return {
    inputs: ['x', 'gamma', 'beta', 'slope'],
    shape: batchNormPreluTrainingShape,
    forward([x, gamma, beta, slope], { eps }) {
      const saved = statistics(x, choose);
      return { output: normalizeAndActivate([x, gamma, beta, ...saved, slope], choose, eps), saved };
    },
    backward({ inputs: [x, gamma, beta, slope], saved, attrs: { eps }, dy, needs }) {
      return scope(x.gpu, () => {
        const coefficients = coefficientsOf([gamma, beta, ...saved, slope], eps);
        const [dBeta, dGamma, dSlope] = parameterGradients(x, dy, coefficients, slope.size, choose);
        const dx = needs[0] ? inputGradient([x, dy, coefficients, dBeta, dGamma], true, choose) : null;
        return [dx, dGamma, dBeta, dSlope];
      });
    },
  };
}

/** The inference form, walking tensors as `choose` says. */
export function batchNormPreluInferenceOp(choose: WalkChoice = chooseWalk): Op<BatchNormAttrs> {
  return {
    inputs: ['x', 'gamma', 'beta', 'mean', 'variance', 'slope'],
    shape: batchNormPreluInferenceShape,
    forward: (inputs, { eps }) => ({ output: normalizeAndActivate(inputs, choose, eps) }),
    backward({ inputs: [x, ...perChannel], attrs: { eps }, dy, needs }) {
      const slope = perChannel[4];
      return scope(x.gpu, () => {
        const coefficients = coefficientsOf(perChannel, eps);
        const dx = needs[0] ? inputGradient([x, dy, coefficients], false, choose) : null;
        const [dBeta, dGamma, dSlope] =
          needs[1] || needs[2] || needs[5]
            ? parameterGradients(x, dy, coefficients, slope.size, choose)
            : [null, null, null];
        return [dx, dGamma, dBeta, null, null, dSlope];
      });
    },
  };
}

const batchNormPreluTrainingDefault = /* @__PURE__ */ batchNormPreluTrainingOp();
const batchNormPreluInferenceDefault = /* @__PURE__ */ batchNormPreluInferenceOp();

export const batchNormPreluOps = {
  batchNormPreluTraining: batchNormPreluTrainingDefault,
  batchNormPreluInference: batchNormPreluInferenceDefault,
};

/**
 * `prelu(batchNormTraining(x, gamma, beta), slope)` without the tensor between the two: one pass fewer forward, one fewer
 * backward, and one activation fewer to keep.
 *
 * @param x [..., C]
 * @param gamma [C]
 * @param beta [C]
 * @param slope [1] or [C]
 * @throws ShapeError, ArgumentError
 */
export function batchNormPreluTraining(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  slope: Tensor,
  options?: EpsOption,
): Tensor {
  return apply(
    'batchNormPreluTraining',
    batchNormPreluTrainingDefault,
    [x, gamma, beta, slope],
    epsAttr('batchNormPreluTraining', options),
  );
}

/**
 * The same, with the statistics it used: mean and biased variance, each [C]. They belong to the enclosing scope, have no
 * gradient of their own, and must live until the backward pass.
 */
export function batchNormPreluWithStatistics(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  slope: Tensor,
  options?: EpsOption,
): WithStatistics {
  const op = batchNormPreluTrainingDefault;
  return applyWithStatistics(
    'batchNormPreluTraining',
    op,
    [x, gamma, beta, slope],
    epsAttr('batchNormPreluTraining', options),
  );
}

/**
 * `prelu(batchNormInference(x, gamma, beta, mean, variance), slope)` in one pass.
 *
 * @param x [..., C]
 * @param mean [C]; neither it nor `variance` gets a gradient
 * @param slope [1] or [C]
 * @throws ShapeError, ArgumentError
 */
export function batchNormPreluInference(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  mean: Tensor,
  variance: Tensor,
  slope: Tensor,
  options?: EpsOption,
): Tensor {
  const inputs = [x, gamma, beta, mean, variance, slope];
  return apply(
    'batchNormPreluInference',
    batchNormPreluInferenceDefault,
    inputs,
    epsAttr('batchNormPreluInference', options),
  );
}
