import { type LossWidth, mseGradientShader, msePartialsShader } from '../../shaders/mse.wgsl.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** How two arrays of one size are compared: elements in a load, and the number of partial sums. */
export interface MseConfig {
  readonly width: LossWidth;
  readonly partials: number;
}

/** Vectors where the size allows; enough invocations to fill the device, with several loads each but no long sums. */
export function chooseMse(size: number, limits: KernelLimits): MseConfig {
  const width = size % 4 === 0 ? 4 : 1;
  const loads = size / width;
  const wanted = limits.software ? 2048 : 2 ** 16;
  return { width, partials: Math.max(Math.ceil(loads / 64), Math.min(wanted, Math.ceil(loads / 8))) };
}

/** The plainest way: one invocation that visits all elements in order. */
export const naiveMse = (): MseConfig => ({ width: 1, partials: 1 });

/** Bindings a, b, partials. */
export function msePartialsKernel({ width, partials }: MseConfig): Kernel {
  return { label: 'mse', ...msePartialsShader(width), workgroups: elementGrid(partials) };
}

/** Bindings a, b, dy, then the gradients by a and by b, each if wanted. */
export function mseGradientKernel(size: number, { width }: MseConfig, wanted: { a: boolean; b: boolean }): Kernel {
  return {
    label: 'mse gradient',
    ...mseGradientShader(width, wanted),
    workgroups: elementGrid(size / width),
  };
}
