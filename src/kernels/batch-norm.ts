import {
  inferenceInputGradientShader,
  momentsShader,
  normalizeShader,
  partialGradientsShader,
  partialMomentsShader,
  runningStatisticsShader,
  trainingInputGradientShader,
} from '../../shaders/batch-norm.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid, foldGrid } from './columns.js';
import { elementGrid } from './elementwise.js';

// x, y and their gradients are [rows, channels]; everything else is [channels]. The uniform binding takes planScalars.

/** Bindings x, partials [2, slots, channels]. */
export function partialMomentsKernel(config: ColumnConfig): Kernel {
  return {
    label: 'batch norm partial moments',
    wgsl: partialMomentsShader(config.width),
    bindings: 'rwu',
    workgroups: columnGrid(config),
  };
}

/** Bindings x, partials, mean, variance (biased). */
export function momentsKernel(config: ColumnConfig): Kernel {
  return {
    label: 'batch norm moments',
    wgsl: momentsShader(config.width, config.lanes),
    bindings: 'rrwwu',
    workgroups: foldGrid(config),
  };
}

/** Bindings x, gamma, beta, mean, variance, y. */
export function normalizeKernel(config: ColumnConfig, eps: number): Kernel {
  return {
    label: 'batch norm normalize',
    wgsl: normalizeShader(config.width, eps),
    bindings: 'rrrrrwu',
    workgroups: columnGrid(config),
    pointwise: true,
  };
}

/** Bindings x, dy, mean, variance, partial sums of dBeta and of dGamma, each [slots, channels]. */
export function partialGradientsKernel(config: ColumnConfig, eps: number): Kernel {
  return {
    label: 'batch norm partial gradients',
    wgsl: partialGradientsShader(config.width, eps),
    bindings: 'rrrrwwu',
    workgroups: columnGrid(config),
  };
}

/** Bindings x, dy, gamma, mean, variance, dBeta, dGamma, dx. */
export function trainingInputGradientKernel(config: ColumnConfig, eps: number): Kernel {
  return {
    label: 'batch norm input gradient',
    wgsl: trainingInputGradientShader(config.width, eps),
    bindings: 'rrrrrrrwu',
    workgroups: columnGrid(config),
  };
}

/** Bindings dy, gamma, variance, dx. */
export function inferenceInputGradientKernel(config: ColumnConfig, eps: number): Kernel {
  return {
    label: 'batch norm inference input gradient',
    wgsl: inferenceInputGradientShader(config.width, eps),
    bindings: 'rrrwu',
    workgroups: columnGrid(config),
  };
}

/** Bindings mean, variance, running mean, running variance, of which the last two change in place. */
export function runningStatisticsKernel(channels: number): Kernel {
  return {
    label: 'batch norm running statistics',
    wgsl: runningStatisticsShader(),
    bindings: 'rrwwu',
    workgroups: elementGrid(channels),
  };
}

/** The uniform of runningStatisticsKernel, which makes the variance of a batch of `rows` unbiased. */
export function runningStatisticsScalars(momentum: number, rows: number): ArrayBuffer {
  return Float32Array.of(momentum, rows / (rows - 1)).buffer;
}
