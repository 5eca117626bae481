import { LINEAR_WORKGROUP } from '../../shaders/common/linear-index.js';
import {
  type AdamShaderOptions,
  adamShader,
  averageShader,
  clipShader,
  type SgdShaderOptions,
  sgdShader,
  squaresShader,
} from '../../shaders/optimizer.wgsl.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { chooseVectors } from '../kernels/elementwise.js';

/** Workgroups that loop over `size` elements: enough to fill the device, and on a CPU few, so that the loops are long. */
function loopWorkgroups(size: number, limits: KernelLimits): number {
  const max = limits.software ? 32 : 4096;
  return Math.min(Math.ceil(size / chooseVectors(size) / LINEAR_WORKGROUP), max);
}

/** Bindings parameter, gradient, velocity (with momentum), gradient scale (if scaled); uniform: rate. */
export function sgdKernel(size: number, options: SgdShaderOptions, limits: KernelLimits): Kernel {
  return {
    label: 'sgd',
    ...sgdShader(chooseVectors(size), options),
    workgroups: [loopWorkgroups(size, limits), 1, 1],
  };
}

/** Bindings parameter, gradient, first and second moment, gradient scale (if scaled); uniform: see adamShader. */
export function adamKernel(size: number, options: AdamShaderOptions, limits: KernelLimits): Kernel {
  return {
    label: 'adam',
    ...adamShader(chooseVectors(size), options),
    workgroups: [loopWorkgroups(size, limits), 1, 1],
  };
}

/** Bindings running average, value; uniform: rate. */
export function averageKernel(size: number, limits: KernelLimits): Kernel {
  return {
    label: 'running average',
    ...averageShader(chooseVectors(size)),
    workgroups: [loopWorkgroups(size, limits), 1, 1],
  };
}

/** Number of partial sums that squaresKernel stores for a tensor of `size` elements. */
export function squaresCount(size: number, limits: KernelLimits): number {
  return Math.min(loopWorkgroups(size, limits), 64) * LINEAR_WORKGROUP;
}

/** Bindings gradient, partial sums (of all tensors); uniform: where this tensor's begin. */
export function squaresKernel(size: number, limits: KernelLimits): Kernel {
  return {
    label: 'sum of squares',
    ...squaresShader(chooseVectors(size)),
    workgroups: [squaresCount(size, limits) / LINEAR_WORKGROUP, 1, 1],
  };
}

/** Bindings sum of squares, norm, scale; uniform: the largest norm allowed. */
export function clipKernel(): Kernel {
  return { label: 'clip', ...clipShader(), workgroups: [1, 1, 1] };
}
