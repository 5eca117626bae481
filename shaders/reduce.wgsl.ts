import type { Shader } from '../src/common/shader.js';
import { type Binding, type Bindings, read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** Columns in one load. */
export type SumWidth = 1 | 2 | 4;

/** All sizes of a pass, so that one pipeline a width serves every shape; groups = columns / width. */
export const sumPlan = /* @__PURE__ */ uniform({
  rows: 'u32',
  groups: 'u32',
  parts: 'u32',
  threads: 'u32',
  scale: 'f32',
});

/**
 * Adds rows: x [batches, rows, columns] becomes y [batches, parts, columns], where part s holds
 * scale·(row s + row s + parts + row s + 2·parts + …), added in this order, in blocks and in blocks of blocks. An invocation
 * owns `width` adjacent columns of one part. It does the same for each of `count` arrays x0, x1, …, because a short sum takes
 * no longer than its dispatch; `count` is 3 at most, for each array takes two of the eight bindings that every device has. Bindings: x0, x1, …, y0, y1, …, plan.
 */
export function sumRowsShader(width: SumWidth, count: number): Shader {
  const V = vectorType(width);
  const arrays = (name: string, binding: Binding): Bindings =>
    Object.fromEntries(Array.from({ length: count }, (_, k) => [`${name}${k}`, binding]));
  return shader(
    { ...arrays('x', read(V)), ...arrays('y', write(V)), plan: sumPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${unroll(
  count,
  (k) => `
fn sum${k}(part: u32, column: u32) -> V {
  let step = ${SUM_BLOCK}u * plan.parts;
  let stride = plan.parts * plan.groups;
  var total = V();
  for (var first = part; first < plan.rows; first += ${SUM_BLOCK}u * step) {
    var blocks = V();
    for (var begin = first; begin < min(first + ${SUM_BLOCK}u * step, plan.rows); begin += step) {
      let end = column + min(begin + step, plan.rows) * plan.groups;
      var block = V();
      for (var at = column + begin * plan.groups; at < end; at += stride) { block += x${k}[at]; }
      blocks += block;
    }
    total += blocks;
  }
  return plan.scale * total;
}`,
)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let stride = plan.parts * plan.groups;
  let lane = i % stride;
  let part = lane / plan.groups;
  let column = i / stride * plan.rows * plan.groups + lane % plan.groups;
  ${unroll(count, (k) => `y${k}[i] = sum${k}(part, column);`)}
}`,
  );
}
