import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** Lines of `size` elements along the middle axis of [outer, size, inner], of which k are taken; threads = outer · size · inner. */
export const topKPlan = /* @__PURE__ */ uniform({ size: 'u32', inner: 'u32', k: 'u32', threads: 'u32' });

/** WGSL that begins with one invocation an element: `index` is its place in its line, and `first` the line's first element. */
const elementHead = (): string => `${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let index = i / plan.inner % plan.size;
  let first = i - index * plan.inner;
  // The result of rank r lies r · inner behind this.
  let chosen = i / plan.inner / plan.size * plan.k * plan.inner + i % plan.inner;`;

/**
 * The k largest elements of each line, or the smallest, in order, and their places. An invocation counts the elements that come
 * before its own: that is its rank. Elements move as bits, and are compared as unsigned keys in the same order, in which NaN is
 * the largest and −0 equals 0. Bindings: x, values, indices, plan.
 */
export function topKShader(largest: boolean, type: 'f32' | 'i32' | 'u32'): Shader {
  return shader(
    { xs: read('u32'), values: write('u32'), indices: write('i32'), plan: topKPlan },
    (declarations) => wgsl`
${declarations}

fn keyAt(at: u32) -> u32 {
  let bits = xs[at];
#if ${type === 'f32'}
  // The larger the size of a negative number, the smaller it is.
  let ordered = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
  let key = select(ordered, 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
#else
  let key = bits ^ 0x80000000u;
#endif
  return ${largest ? 'key' : '~key'};
}

${elementHead()}
  let key = keyAt(i);
  var rank = 0u;
  for (var j = 0u; j < plan.size && rank < plan.k; j++) {
    let other = keyAt(first + j * plan.inner);
    rank += u32(other > key || (other == key && j < index));
  }
  if (rank < plan.k) {
    values[chosen + rank * plan.inner] = xs[i];
    indices[chosen + rank * plan.inner] = i32(index);
  }
}`,
  );
}

/** dx is dy where an element was chosen, else 0. Bindings: indices, dy, dx, plan. */
export function topKGradientShader(): Shader {
  return shader(
    { indices: read('i32'), dys: read('f32'), dxs: write('f32'), plan: topKPlan },
    (declarations) => wgsl`
${declarations}

${elementHead()}
  var dx = 0.0;
  for (var rank = 0u; rank < plan.k; rank++) {
    let at = chosen + rank * plan.inner;
    if (u32(indices[at]) == index) { dx = dys[at]; }
  }
  dxs[i] = dx;
}`,
  );
}
