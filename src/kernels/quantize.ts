import { quantizeGradientShader, quantizeShader } from '../../shaders/quantize.wgsl.js';
import type { OpAttrs } from '../common/op-attrs.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

type QuantizeAttrs = OpAttrs['quantize'];

/** Bindings x, y, then the scalars of `quantizeScalars`; `width` elements an invocation, a divisor of `size`. */
export function quantizeKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return {
    label: `quantize (${mode})`,
    wgsl: quantizeShader(width, mode === 'noise'),
    bindings: 'rwu',
    workgroups: elementGrid(size / width),
  };
}

/** Bindings x, dy, dx, then the scalars. */
export function quantizeGradientKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return {
    label: `quantize (${mode}) gradient`,
    wgsl: quantizeGradientShader(width, mode === 'noise'),
    bindings: 'rrwu',
    workgroups: elementGrid(size / width),
  };
}

/** The uniform of both kernels. */
export function quantizeScalars({ seed, stream, scale, min, max }: QuantizeAttrs): ArrayBuffer {
  const scalars = new ArrayBuffer(32);
  new Uint32Array(scalars).set([seed, stream]);
  new Float32Array(scalars, 8).set([scale, min, max]);
  return scalars;
}
