import { logisticBitsGradientShader, logisticBitsShader } from '../../shaders/bits.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid } from './columns.js';

// y and the bits are [rows, channels], logScale is [channels]. The uniform binding takes planScalars.

/** Bindings y, logScale, bits. */
export function logisticBitsKernel(config: ColumnConfig): Kernel {
  return {
    label: 'logistic bits',
    wgsl: logisticBitsShader(config.width),
    bindings: 'rrwu',
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
    wgsl: logisticBitsGradientShader(config.width, wanted),
    bindings: `rrr${wanted.input ? 'w' : ''}${wanted.logScale ? 'w' : ''}u`,
    workgroups: columnGrid(config),
  };
}
