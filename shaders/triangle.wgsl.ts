import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/**
 * x where column − row is at least k (`upper`) or at most k, else 0, in each matrix [rows, columns]. Elements are moved as bits, of
 * any type. Bindings: x, y.
 */
export function triangleShader(rows: number, columns: number, upper: boolean, k: number): Shader {
  return shader(
    { xs: read('u32'), ys: write('u32') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let diagonal = i32(i % ${columns}u) - i32(i / ${columns}u % ${rows}u);
  ys[i] = select(0u, xs[i], diagonal ${upper ? '>=' : '<='} ${k});
}`,
  );
}
