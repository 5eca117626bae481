import { sizeOf } from '../src/common/shapes.js';
import { linearMain } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { wgsl } from './common/wgsl.js';

/**
 * y[i₀, i₁, …] = x at the same indices times `strides`. Bindings: x, y.
 * @param sizes of y
 * @param strides in x of each axis of y
 */
export function transposeShader(sizes: readonly number[], strides: readonly number[]): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
${linearMain(`${sizeOf(sizes)}u`)}
${unravel('i', sizes)}
  y[i] = x[${ravel('i', strides)}];
}`;
}
