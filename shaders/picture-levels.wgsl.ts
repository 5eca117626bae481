import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** Samples that an invocation takes. */
export const LEVELS_GROUP = 16;

/** What is added to each sample. */
export const levelsPlan = /* @__PURE__ */ uniform({ offset: 'f32' });

/**
 * Samples to levels of 8 bits, round(255·(x + offset)) within 0 … 255, four in a word, the first in its lowest bits; and behind all
 * words one more for each group of samples: 0, or 1 more than the place in the group of a sample that is not finite.
 * Bindings: samples, words, the plan.
 */
export function pictureLevelsShader(): Shader {
  return shader(
    { xs: read('vec4f'), ys: write('u32'), plan: levelsPlan },
    (declarations) => wgsl`
${declarations}
${nonFiniteFunctions(4)}

${linearHead} {
  let group = ${linearIndex};
  let words = arrayLength(&xs);
  if (group >= words / 4) { return; }
  var bad = 0u;
  ${unroll(
    4,
    (k) => wgsl`
  let x${k} = xs[4 * group + ${k}];
  let level${k} = vec4u(clamp(x${k} + plan.offset, vec4f(), vec4f(1)) * 255 + 0.5);
  ys[4 * group + ${k}] = dot(level${k}, vec4u(1, 0x100, 0x10000, 0x1000000));
  let places${k} = select(vec4u(${4 * k + 1}, ${4 * k + 2}, ${4 * k + 3}, ${4 * k + 4}), vec4u(), isFinite(x${k}));
  bad = max(bad, max(max(places${k}.x, places${k}.y), max(places${k}.z, places${k}.w)));`,
  )}
  ys[words + group] = bad;
}`,
  );
}
