import { logisticBitsGradientShader, logisticBitsShader } from '../../shaders/bits.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid } from './columns.js';

// y and the bits are [rows, channels], logScale is [channels]. The uniform binding takes planScalars.

/** Bindings y, logScale, bits. */
export function logisticBitsKernel(config: ColumnConfig): Kernel {
  return {
    label: 'logistic bits',
    ...logisticBitsShader(config.width),
    workgroups: columnGrid(config),
  };
}

/** Bindings y, logScale, dBits, then dy and the partial sums [slots, channels] of logScale's gradient, each if wanted. */
export function logisticBitsGradientKernel(
  config: ColumnConfig,
  wanted: { input: boolean; logScale: boolean },
): Kernel {
  return {
    label: 'logistic bits gradient',
    ...logisticBitsGradientShader(config.width, wanted),
    workgroups: columnGrid(config),
  };
}
