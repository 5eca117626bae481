import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** x is [outer, input, groups], y [outer, output, groups], in vectors of `width`. */
export const resamplePlan = /* @__PURE__ */ uniform({
  input: 'u32',
  output: 'u32',
  groups: 'u32',
  threads: 'u32',
  fill: 'f32',
});

/**
 * Each element of y is the weighted sum of elements of x along the middle axis, or `fill` where it has none. Output o has the entries
 * from places[o] to places[o + 1] of the weights, and of the indices, which lie behind these output + 1 numbers.
 * Bindings: x, places, weights, y, plan.
 */
export function resampleShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), places: read('u32'), weights: read('f32'), ys: write(V), plan: resamplePlan },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let row = i / plan.groups;
  let o = row % plan.output;
  let first = row / plan.output * plan.input;
  let begin = places[o];
  let end = places[o + 1u];
  var sum = ${V}(select(0.0, plan.fill, begin == end));
  for (var at = begin; at < end; at += ${SUM_BLOCK}u) {
    var block = ${V}();
    for (var k = at; k < min(at + ${SUM_BLOCK}u, end); k++) {
      block += weights[k] * xs[(first + places[plan.output + 1u + k]) * plan.groups + i % plan.groups];
    }
    sum += block;
  }
  ys[i] = sum;
}`,
  );
}
