import type { Shader } from '../src/common/shader.js';
import { sizeOf } from '../src/common/shapes.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { wgsl } from './common/wgsl.js';
import type { MovedType } from './layout.wgsl.js';

/**
 * y[i0, i1, …] = x[base + i0 * strides[0] + i1 * strides[1] + …]. Bindings: x, y.
 * @param sizes of y
 * @param strides in x of each axis of y, which may be 0 or negative
 */
export function transposeShader(
  sizes: readonly number[],
  strides: readonly number[],
  type: MovedType = 'f32',
  base = 0,
): Shader {
  return shader(
    { x: read(type), y: write(type) },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= ${sizeOf(sizes)}u) { return; }
  ${unravel('i', sizes)}
  y[i] = x[${ravel(
    'i',
    strides.map((stride) => stride >>> 0), // products and sums wrap, so a negative stride goes back
    base,
  )}];
}`,
  );
}
