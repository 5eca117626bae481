import { transposeShader } from '../../shaders/transpose.wgsl.js';
import { sizeOf, stridesOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** Axes of an output, each with its size and its stride in the input. */
interface Axes {
  sizes: number[];
  strides: number[];
}

/** The fewest axes that give the same order: axes of one element go, and neighbours that stay neighbours are one. */
export function transposeAxes(shape: readonly number[], axes: readonly number[]): Axes {
  const all = stridesOf(shape);
  const result: Axes = { sizes: [], strides: [] };
  for (const axis of axes) {
    const [size, stride] = [shape[axis], all[axis]];
    if (size === 1) continue;
    const last = result.sizes.length - 1;
    if (last >= 0 && result.strides[last] === size * stride) {
      result.sizes[last] *= size;
      result.strides[last] = stride;
    } else {
      result.sizes.push(size);
      result.strides.push(stride);
    }
  }
  return result.sizes.length > 0 ? result : { sizes: [1], strides: [1] };
}

/** Axis k of y is axis axes[k] of x. Bindings x, y. */
export function transposeKernel(shape: readonly number[], axes: readonly number[]): Kernel {
  const { sizes, strides } = transposeAxes(shape, axes);
  return { label: 'transpose', ...transposeShader(sizes, strides), workgroups: elementGrid(sizeOf(shape)) };
}
