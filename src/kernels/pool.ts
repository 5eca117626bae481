import type { ColumnWidth } from '../../shaders/common/columns.js';
import {
  avgPoolGradientShader,
  avgPoolShader,
  maxPoolGradientShader,
  maxPoolShader,
  poolPlan,
} from '../../shaders/pool.wgsl.js';
import type { Pool2dAttrs } from '../common/op-attrs.js';
import type { Shader } from '../common/shader.js';
import { sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** Channels of an invocation, a divisor of their number. */
export type ChannelChoice = (channels: number) => ColumnWidth;

export const chooseChannels: ChannelChoice = (channels) => (channels % 4 === 0 ? 4 : channels % 2 === 0 ? 2 : 1);
/** One channel an invocation. */
export const naiveChannels: ChannelChoice = () => 1;

/**
 * The uniform of a kernel with one invocation a pixel and channel group of the `outputs`.
 * @param x [N,H,W,C], what the windows are taken from
 * @param y [N,Ho,Wo,C]
 */
export function poolScalars(
  x: readonly number[],
  y: readonly number[],
  { kernel, stride, padding }: Pool2dAttrs,
  width: ColumnWidth,
  outputs: readonly number[],
): ArrayBuffer {
  return poolPlan.pack({
    big: [x[1], x[2]],
    small: [y[1], y[2]],
    kernel,
    stride,
    padding: [padding[0], padding[2]],
    groups: x[3] / width,
    threads: sizeOf(outputs) / width,
  });
}

function poolKernel(label: string, shader: Shader, outputs: readonly number[], width: ColumnWidth): Kernel {
  return { label, ...shader, workgroups: elementGrid(sizeOf(outputs) / width) };
}

/** Bindings x, y, winners (of y's shape); `y` is the shape of y. */
export function maxPoolKernel(y: readonly number[], width: ColumnWidth): Kernel {
  return poolKernel('max pool', maxPoolShader(width), y, width);
}

/** Bindings winners, dy, dx; `x` is the shape of x. */
export function maxPoolGradientKernel(x: readonly number[], width: ColumnWidth): Kernel {
  return poolKernel('max pool gradient', maxPoolGradientShader(width), x, width);
}

/** Bindings x, y. */
export function avgPoolKernel(y: readonly number[], width: ColumnWidth): Kernel {
  return poolKernel('average pool', avgPoolShader(width), y, width);
}

/** Bindings dy, dx. */
export function avgPoolGradientKernel(x: readonly number[], width: ColumnWidth): Kernel {
  return poolKernel('average pool gradient', avgPoolGradientShader(width), x, width);
}
