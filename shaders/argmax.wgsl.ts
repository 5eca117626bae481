import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** The index of the largest number of each row, the first of equals; the first NaN wins. Bindings: x, y. */
export function argmaxShader(size: number): Shader {
  return shader(
    { xs: read('f32'), ys: write('f32') },
    (declarations) => wgsl`
${declarations}
${nonFiniteFunctions()}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let begin = i * ${size}u;
  var best = xs[begin];
  var winner = 0u;
  for (var k = 1u; k < ${size}u; k++) {
    let x = xs[begin + k];
    if (((x > best) | isNan(x)) & !isNan(best)) {
      best = x;
      winner = k;
    }
  }
  ys[i] = f32(winner);
}`,
  );
}
