import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** threads = outer · inner */
export const argPlan = /* @__PURE__ */ uniform({ size: 'u32', inner: 'u32', threads: 'u32' });

/**
 * Where the largest number of each line is along the middle axis of [outer, size, inner], or the smallest: the first of equals, or
 * the last. NaN wins. Bindings: x, y, plan.
 */
export function argmaxShader(largest: boolean, last: boolean, type: 'f32' | 'i32' | 'u32'): Shader {
  const isBetter = `x ${largest ? '>' : '<'}${last ? '=' : ''} best`;
  const wins = last ? `isNan(x) | ((${isBetter}) & !isNan(best))` : `((${isBetter}) | isNan(x)) & !isNan(best)`;
  return shader(
    { xs: read(type), ys: write('i32'), plan: argPlan },
    (declarations) => wgsl`
${declarations}
#if ${type === 'f32'}
${nonFiniteFunctions()}
#else
fn isNan(x: ${type}) -> bool { return false; }
#endif

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let begin = i / plan.inner * plan.size * plan.inner + i % plan.inner;
  var best = xs[begin];
  var winner = 0u;
  for (var k = 1u; k < plan.size; k++) {
    let x = xs[begin + k * plan.inner];
    if (${wins}) {
      best = x;
      winner = k;
    }
  }
  ys[i] = i32(winner);
}`,
  );
}
