import {
  batchNormPreluInputGradientShader,
  batchNormPreluPartialGradientsShader,
  batchNormPreluShader,
  coefficientsShader,
} from '../../shaders/batch-norm-prelu.wgsl.js';
import type { SlopeKind } from '../../shaders/prelu.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid } from './columns.js';
import { elementGrid } from './elementwise.js';

// x, y and their gradients are [rows, channels]; everything else is [channels], but the slope [1] or [channels] and the
// coefficients [5, channels]. The uniform binding takes planScalars.

/** Bindings x, gamma, beta, mean, variance, slope, y. */
export function batchNormPreluKernel(config: ColumnConfig, kind: SlopeKind, eps: number): Kernel {
  return {
    label: 'batch norm prelu',
    ...batchNormPreluShader(config.width, kind, eps),
    workgroups: columnGrid(config),
    pointwise: true,
  };
}

/** Bindings gamma, beta, mean, variance, slope, coefficients. */
export function coefficientsKernel(channels: number, eps: number): Kernel {
  return {
    label: 'batch norm prelu coefficients',
    ...coefficientsShader(eps),
    workgroups: elementGrid(channels),
  };
}

/** Bindings x, dy, coefficients, partial sums of dBeta, of dGamma and of the slope's gradient, each [slots, channels]. */
export function batchNormPreluPartialGradientsKernel(config: ColumnConfig): Kernel {
  return {
    label: 'batch norm prelu partial gradients',
    ...batchNormPreluPartialGradientsShader(config.width),
    workgroups: columnGrid(config),
  };
}

/** Bindings x, dy, coefficients, in the training form dBeta and dGamma, dx. */
export function batchNormPreluInputGradientKernel(config: ColumnConfig, training: boolean): Kernel {
  return {
    label: `batch norm prelu ${training ? '' : 'inference '}input gradient`,
    ...batchNormPreluInputGradientShader(config.width, training),
    workgroups: columnGrid(config),
  };
}
