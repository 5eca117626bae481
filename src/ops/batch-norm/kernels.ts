import {
  inferenceInputGradientShader,
  momentsShader,
  normalizeShader,
  partialGradientsShader,
  partialMomentsShader,
  runningStatisticsPlan,
  runningStatisticsShader,
  trainingInputGradientShader,
} from '../../../shaders/batch-norm.wgsl.js';
import type { Kernel } from '../../gpu/kernel.js';
import { type ChannelWalk, foldGrid, walkGrid, walkKernel } from '../../kernels/channel-walk.js';
import { elementKernel } from '../../kernels/elementwise.js';

// x, y and their gradients are [rows, channels]; everything else is [channels]. The uniform binding takes walkScalars.

/** Bindings x, partials [2, parts, channels]. */
export function partialMomentsKernel(config: ChannelWalk): Kernel {
  return walkKernel('batch norm partial moments', partialMomentsShader(config.width), config);
}

/** Bindings x, partials, mean, variance (biased). */
export function momentsKernel(config: ChannelWalk): Kernel {
  return {
    label: 'batch norm moments',
    ...momentsShader(config.width, config.lanes),
    workgroups: foldGrid(config),
  };
}

/** Bindings x, gamma, beta, mean, variance, y. */
export function normalizeKernel(config: ChannelWalk, eps: number): Kernel {
  return {
    label: 'batch norm normalize',
    ...normalizeShader(config.width, eps),
    workgroups: walkGrid(config),
    pointwise: true,
  };
}

/** Bindings x, dy, mean, variance, partial sums of dBeta and of dGamma as [parts, 2, channels]. */
export function partialGradientsKernel(config: ChannelWalk, eps: number): Kernel {
  return walkKernel('batch norm partial gradients', partialGradientsShader(config.width, eps), config);
}

/** Bindings x, dy, gamma, mean, variance, dBeta, dGamma, dx. */
export function trainingInputGradientKernel(config: ChannelWalk, eps: number): Kernel {
  return walkKernel('batch norm input gradient', trainingInputGradientShader(config.width, eps), config);
}

/** Bindings dy, gamma, variance, dx. */
export function inferenceInputGradientKernel(config: ChannelWalk, eps: number): Kernel {
  return walkKernel('batch norm inference input gradient', inferenceInputGradientShader(config.width, eps), config);
}

/** Bindings mean, variance, running mean, running variance, of which the last two change in place. */
export function runningStatisticsKernel(channels: number): Kernel {
  return elementKernel('batch norm running statistics', runningStatisticsShader(), channels);
}

/** The uniform of runningStatisticsKernel, which makes the variance of a batch of `rows` unbiased. */
export function runningStatisticsScalars(momentum: number, rows: number): ArrayBuffer {
  return runningStatisticsPlan.pack({ momentum, unbias: rows / (rows - 1) });
}
