import { preluGradientShader, preluShader, type SlopeKind } from '../../shaders/prelu.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid } from './columns.js';

/** Bindings x, slope, y. */
export function preluKernel(config: ColumnConfig, kind: SlopeKind): Kernel {
  return { label: 'prelu', ...preluShader(config.width, kind), workgroups: columnGrid(config), pointwise: true };
}

/** Bindings x, slope, dy, then dx and the partial sums [1, slots, channels] of the slope's gradient, each if wanted. */
export function preluGradientKernel(
  config: ColumnConfig,
  kind: SlopeKind,
  wanted: { input: boolean; slope: boolean },
): Kernel {
  return {
    label: 'prelu gradient',
    ...preluGradientShader(config.width, kind, wanted),
    workgroups: columnGrid(config),
  };
}
