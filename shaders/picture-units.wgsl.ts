import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/**
 * Levels of 8 bits, four in a word, the first in its lowest bits, to samples. They come from a table of all 256, since a quotient
 * in WGSL may differ between devices in its last bits. Bindings: words, table, samples.
 */
export function pictureUnitsShader(): Shader {
  return shader(
    { words: read('u32'), table: read('f32'), ys: write('vec4f') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&words)) { return; }
  let levels = (vec4u(words[i]) >> vec4u(0, 8, 16, 24)) & vec4u(255);
  ys[i] = vec4f(table[levels.x], table[levels.y], table[levels.z], table[levels.w]);
}`,
  );
}
