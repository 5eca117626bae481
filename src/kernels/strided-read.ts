import type { MovedType } from '../../shaders/layout.wgsl.js';
import { transposeShader } from '../../shaders/transpose.wgsl.js';
import { sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from './elementwise.js';

/** Axes of an output, each with its size and its stride in the input. */
export interface StridedAxes {
  sizes: number[];
  strides: number[];
}

/** The fewest axes that read the same: axes of one element go, and neighbours that lie behind each other are one. */
export function mergeStrides(sizes: readonly number[], strides: readonly number[]): StridedAxes {
  const result: StridedAxes = { sizes: [], strides: [] };
  sizes.forEach((size, axis) => {
    const stride = strides[axis];
    if (size === 1) return;
    const last = result.sizes.length - 1;
    if (last >= 0 && result.strides[last] === size * stride) {
      result.sizes[last] *= size;
      result.strides[last] = stride;
    } else {
      result.sizes.push(size);
      result.strides.push(stride);
    }
  });
  return result.sizes.length > 0 ? result : { sizes: [1], strides: [1] };
}

/** y[i0, i1, …] = x[base + i0·strides[0] + i1·strides[1] + …], where a stride may be 0 or negative. Bindings x, y. */
export function stridedReadKernel(
  label: string,
  shape: readonly number[],
  given: readonly number[],
  type: MovedType,
  base = 0,
): Kernel {
  const { sizes, strides } = mergeStrides(shape, given);
  return elementKernel(label, transposeShader(sizes, strides, type, base), sizeOf(shape));
}
