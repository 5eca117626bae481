import { preluGradientShader, preluShader, type SlopeKind } from '../../shaders/prelu.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ColumnConfig, columnGrid } from './columns.js';

/** Bindings x, slope, y. */
export function preluKernel(config: ColumnConfig, kind: SlopeKind): Kernel {
  const wgsl = preluShader(config.width, kind);
  return { label: 'prelu', wgsl, bindings: 'rrwu', workgroups: columnGrid(config), pointwise: true };
}

/** Bindings x, slope, dy, then dx and the partial sums [1, slots, channels] of the slope's gradient, each if wanted. */
export function preluGradientKernel(
  config: ColumnConfig,
  kind: SlopeKind,
  wanted: { input: boolean; slope: boolean },
): Kernel {
  return {
    label: 'prelu gradient',
    wgsl: preluGradientShader(config.width, kind, wanted),
    bindings: `rrr${wanted.input ? 'w' : ''}${wanted.slope ? 'w' : ''}u`,
    workgroups: columnGrid(config),
  };
}
