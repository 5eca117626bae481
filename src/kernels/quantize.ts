import { quantizeGradientShader, quantizePlan, quantizeShader } from '../../shaders/quantize.wgsl.js';
import type { OpAttrs } from '../common/op-attrs.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

type QuantizeAttrs = OpAttrs['quantize'];

/** Bindings x, y, then the scalars of `quantizeScalars`; `width` elements an invocation, a divisor of `size`. */
export function quantizeKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return {
    label: `quantize (${mode})`,
    ...quantizeShader(width, mode === 'noise'),
    workgroups: elementGrid(size / width),
  };
}

/** Bindings x, dy, dx, then the scalars. */
export function quantizeGradientKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return {
    label: `quantize (${mode}) gradient`,
    ...quantizeGradientShader(width, mode === 'noise'),
    workgroups: elementGrid(size / width),
  };
}

/** The uniform of both kernels. */
export function quantizeScalars({ seed, stream, scale, min, max }: QuantizeAttrs): ArrayBuffer {
  return quantizePlan.pack({ key: [seed, stream], scale, low: min, high: max });
}
