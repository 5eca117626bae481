import type { ColumnWidth } from '../../shaders/common/columns.js';
import {
  upsampleBilinearGradientShader,
  upsampleBilinearShader,
  upsampleNearestGradientShader,
  upsampleNearestShader,
  upsamplePlan,
} from '../../shaders/upsample.wgsl.js';
import { sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

export type UpsampleMode = 'nearest' | 'bilinear';

const SHADERS = {
  nearest: { forward: upsampleNearestShader, gradient: upsampleNearestGradientShader },
  bilinear: { forward: upsampleBilinearShader, gradient: upsampleBilinearGradientShader },
};

/**
 * The uniform of a kernel with one invocation a pixel and channel group of the `outputs`.
 * @param x [N,H,W,C]
 * @param y [N,Ho,Wo,C]
 */
export function upsampleScalars(
  x: readonly number[],
  y: readonly number[],
  width: ColumnWidth,
  outputs: readonly number[],
): ArrayBuffer {
  return upsamplePlan.pack({
    small: [x[1], x[2]],
    big: [y[1], y[2]],
    groups: x[3] / width,
    threads: sizeOf(outputs) / width,
  });
}

/** Bindings x, y; `y` is the shape of y. */
export function upsampleKernel(mode: UpsampleMode, y: readonly number[], width: ColumnWidth): Kernel {
  return {
    label: `upsample ${mode}`,
    ...SHADERS[mode].forward(width),
    workgroups: elementGrid(sizeOf(y) / width),
  };
}

/** Bindings dy, dx; `x` is the shape of x. */
export function upsampleGradientKernel(mode: UpsampleMode, x: readonly number[], width: ColumnWidth): Kernel {
  return {
    label: `upsample ${mode} gradient`,
    ...SHADERS[mode].gradient(width),
    workgroups: elementGrid(sizeOf(x) / width),
  };
}
