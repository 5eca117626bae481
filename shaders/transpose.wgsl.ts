import type { Shader } from '../src/common/shader.js';
import { sizeOf } from '../src/common/shapes.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { wgsl } from './common/wgsl.js';

/**
 * y[i0, i1, …] = x[i0 * strides[0] + i1 * strides[1] + …]. Bindings: x, y.
 * @param sizes of y
 * @param strides in x of each axis of y
 */
export function transposeShader(sizes: readonly number[], strides: readonly number[]): Shader {
  return shader(
    { x: read('f32'), y: write('f32') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= ${sizeOf(sizes)}u) { return; }
  ${unravel('i', sizes)}
  y[i] = x[${ravel('i', strides)}];
}`,
  );
}
