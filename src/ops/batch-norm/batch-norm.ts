import { withDefaults } from '../../common/arguments.js';
import { ArgumentError, ShapeError } from '../../common/errors.js';
import type { Shape, ShapeRule } from '../../common/shapes.js';
import {
  type ChannelWalk,
  chooseWalk,
  partialsShape,
  type WalkPurpose,
  walkScalars,
} from '../../kernels/channel-walk.js';
import { dispatch, dispatchInPlace, dispatchMany } from '../../tensor/dispatch.js';
import { apply, applyAll, type Op } from '../../tensor/tape.js';
import { scope, type Tensor } from '../../tensor/tensor.js';
import { checkFloat32 } from '../float32-constants.js';
import { sumRowsApart } from '../reduce.js';
import { checkInputs, checkMinRank, checkPerChannel, checkPositive } from '../shape-checks.js';
import {
  inferenceInputGradientKernel,
  momentsKernel,
  normalizeKernel,
  partialGradientsKernel,
  partialMomentsKernel,
  runningStatisticsKernel,
  runningStatisticsScalars,
  trainingInputGradientKernel,
} from './kernels.js';

/** Statistics over all axes but the last, biased variance; `eps` is added to the variance. */
export interface BatchNormAttrs {
  eps: number;
}

/** The inputs of batch normalisation: by the statistics of the batch, and by given ones. */
export const TRAINING_INPUTS = ['input', 'gamma', 'beta'];
export const INFERENCE_INPUTS = ['input', 'gamma', 'beta', 'running mean', 'running variance'];

export const batchNormTrainingShape: ShapeRule<BatchNormAttrs> = (inputs, attrs) =>
  batchNormShape('batchNormTraining', TRAINING_INPUTS, inputs, attrs);
export const batchNormInferenceShape: ShapeRule<BatchNormAttrs> = (inputs, attrs) =>
  batchNormShape('batchNormInference', INFERENCE_INPUTS, inputs, attrs);

export function batchNormShape(
  op: string,
  names: string[],
  inputs: readonly Shape[],
  attrs: { eps: number },
): number[] {
  checkInputs(op, inputs, names);
  const [x, ...perChannel] = inputs;
  checkMinRank(op, 'input', x, 2, '[...,C]');
  perChannel.forEach((shape, i) => {
    checkPerChannel(op, names[i + 1], shape, x[x.length - 1], 'the input');
  });
  checkPositive(op, 'eps', attrs.eps);
  return [...x];
}

/** How [rows, channels] is walked; tests replace the default by the naive plan. */
export type WalkChoice = typeof chooseWalk;

/** How to walk x, whose last axis is that of the channels. */
export function planFor(x: Tensor, choose: WalkChoice, purpose: WalkPurpose): ChannelWalk {
  const channels = x.shape[x.shape.length - 1];
  return choose(x.size / channels, channels, x.gpu.limits, purpose);
}

/** Mean and biased variance of each channel, each [C]. */
export function statistics(x: Tensor, choose: WalkChoice): Tensor[] {
  const config = planFor(x, choose, 'sum');
  const plan = walkScalars(config);
  const channels = x.shape.slice(-1);
  return scope(x.gpu, () => {
    const partials = dispatch(partialMomentsKernel(config), [x], [2, ...partialsShape(config)], plan);
    return dispatchMany(momentsKernel(config), [x, partials], [channels, channels], plan);
  });
}

/** [dBeta, dGamma]. */
function channelGradients(x: Tensor, dy: Tensor, mean: Tensor, variance: Tensor, choose: WalkChoice, eps: number) {
  const config = planFor(x, choose, 'sum');
  const [parts, channels] = partialsShape(config);
  const kernel = partialGradientsKernel(config, eps);
  return scope(x.gpu, () => {
    const partials = dispatch(kernel, [x, dy, mean, variance], [parts, 2, channels], walkScalars(config));
    return sumRowsApart(partials, parts, 2, channels);
  });
}

/** The training form, walking tensors as `choose` says. */
export function batchNormTrainingOp(choose: WalkChoice = chooseWalk): Op<BatchNormAttrs> {
  return {
    inputs: ['x', 'gamma', 'beta'],
    shape: batchNormTrainingShape,
    forward([x, gamma, beta], { eps }, shape) {
      const saved = statistics(x, choose);
      const config = planFor(x, choose, 'map');
      const inputs = [x, gamma, beta, ...saved];
      return { output: dispatch(normalizeKernel(config, eps), inputs, shape, walkScalars(config)), saved };
    },
    backward({ inputs: [x, gamma], saved: [mean, variance], attrs: { eps }, dy, needs }) {
      const [dBeta, dGamma] = channelGradients(x, dy, mean, variance, choose, eps);
      if (!needs[0]) return [null, dGamma, dBeta];
      const config = planFor(x, choose, 'map');
      const inputs = [x, dy, gamma, mean, variance, dBeta, dGamma];
      const dx = dispatch(trainingInputGradientKernel(config, eps), inputs, x.shape, walkScalars(config));
      return [dx, dGamma, dBeta];
    },
  };
}

/** The inference form, walking tensors as `choose` says. */
export function batchNormInferenceOp(choose: WalkChoice = chooseWalk): Op<BatchNormAttrs> {
  return {
    inputs: ['x', 'gamma', 'beta', 'mean', 'variance'],
    shape: batchNormInferenceShape,
    forward(inputs, { eps }, shape) {
      const config = planFor(inputs[0], choose, 'map');
      return { output: dispatch(normalizeKernel(config, eps), inputs, shape, walkScalars(config)) };
    },
    backward({ inputs: [x, gamma, , mean, variance], attrs: { eps }, dy, needs }) {
      const config = planFor(x, choose, 'map');
      const kernel = inferenceInputGradientKernel(config, eps);
      const dx = needs[0] ? dispatch(kernel, [dy, gamma, variance], x.shape, walkScalars(config)) : null;
      const [dBeta, dGamma] =
        needs[1] || needs[2] ? channelGradients(x, dy, mean, variance, choose, eps) : [null, null];
      return [dx, dGamma, dBeta, null, null];
    },
  };
}

const batchNormTrainingDefault = /* @__PURE__ */ batchNormTrainingOp();
const batchNormInferenceDefault = /* @__PURE__ */ batchNormInferenceOp();

export const batchNormOps = {
  batchNormTraining: batchNormTrainingDefault,
  batchNormInference: batchNormInferenceDefault,
};

/** Options of every form of batch normalisation. */
export interface EpsOption {
  /** Added to the variance; default 1e-5. */
  eps?: number;
}

/** @throws ArgumentError for an unknown option */
export const epsAttr = (name: string, options?: EpsOption): { eps: number } =>
  withDefaults(name, options, { eps: 1e-5 });

/** The results of a training form that a layer needs: the output, and the mean and biased variance of the batch, each [C]. */
export interface WithStatistics {
  output: Tensor;
  mean: Tensor;
  variance: Tensor;
}

/** Applies an operation that saves a mean and a variance, and returns these too. */
export function applyWithStatistics(
  name: string,
  op: Op<BatchNormAttrs>,
  inputs: readonly Tensor[],
  attrs: BatchNormAttrs,
): WithStatistics {
  const {
    output,
    saved: [mean, variance],
  } = applyAll(name, op, inputs, attrs);
  return { output, mean, variance };
}

/**
 * Batch normalisation by the statistics of the batch: (x − mean)/√(variance + eps)·gamma + beta for each channel, mean
 * and biased variance over all axes but the last. Ioffe and Szegedy 2015, arXiv 1502.03167.
 *
 * @param x [..., C]
 * @param gamma [C]
 * @param beta [C]
 * @throws ShapeError, ArgumentError
 */
export function batchNormTraining(x: Tensor, gamma: Tensor, beta: Tensor, options?: EpsOption): Tensor {
  return apply('batchNormTraining', batchNormTrainingDefault, [x, gamma, beta], epsAttr('batchNormTraining', options));
}

/**
 * The same, with the statistics it used: mean and biased variance, each [C]. They belong to the enclosing scope, have no
 * gradient of their own, and must live until the backward pass.
 */
export function batchNormWithStatistics(x: Tensor, gamma: Tensor, beta: Tensor, options?: EpsOption): WithStatistics {
  return applyWithStatistics(
    'batchNormTraining',
    batchNormTrainingDefault,
    [x, gamma, beta],
    epsAttr('batchNormTraining', options),
  );
}

/**
 * Batch normalisation by given statistics: (x − mean)/√(variance + eps)·gamma + beta for each channel.
 *
 * @param x [..., C]
 * @param mean [C]; neither it nor `variance` gets a gradient
 * @throws ShapeError, ArgumentError
 */
export function batchNormInference(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  mean: Tensor,
  variance: Tensor,
  options?: EpsOption,
): Tensor {
  return apply(
    'batchNormInference',
    batchNormInferenceDefault,
    [x, gamma, beta, mean, variance],
    epsAttr('batchNormInference', options),
  );
}

/**
 * Moves running statistics towards those of a batch, in place and on the GPU: running += momentum·(batch − running),
 * with the batch's variance made unbiased by rows/(rows − 1), as PyTorch does.
 *
 * @param batch the statistics of batchNormWithStatistics, each [C]
 * @param running both [C]; they change
 * @param rows number of values of each channel in the batch
 * @throws ShapeError for statistics of different shapes; ArgumentError for fewer than 2 rows or a momentum outside [0, 1]
 */
export function updateRunningStatistics(
  batch: { mean: Tensor; variance: Tensor },
  running: { mean: Tensor; variance: Tensor },
  rows: number,
  momentum = 0.1,
): void {
  const tensors = [batch.mean, batch.variance, running.mean, running.variance];
  const [channels] = batch.mean.shape;
  for (const { shape } of tensors) {
    if (shape.length !== 1 || shape[0] !== channels) {
      throw new ShapeError(`updateRunningStatistics: shapes ${tensors.map((t) => `[${t.shape}]`)}; expected one [C]`);
    }
  }
  if (!Number.isSafeInteger(rows) || rows < 2) {
    throw new ArgumentError(`updateRunningStatistics: rows is ${rows}; a variance needs an integer of at least 2`);
  }
  if (!(momentum >= 0 && momentum <= 1)) {
    throw new ArgumentError(`updateRunningStatistics: momentum is ${momentum}; expected 0 to 1`);
  }
  checkFloat32('updateRunningStatistics', 'momentum', momentum, 0);
  dispatchInPlace(runningStatisticsKernel(channels), tensors, runningStatisticsScalars(momentum, rows));
}
