import { BLOCK } from './common/block-sums.js';
import { linearMain } from './common/linear-index.js';

/** Columns in one load. */
export type SumWidth = 1 | 2 | 4;

/**
 * Adds rows: x [batches, rows, columns] becomes y [batches, slots, columns], where slot s holds
 * scale·(row s + row s + slots + row s + 2·slots + …), added in this order, in blocks and in blocks of blocks. An invocation
 * owns `width` adjacent columns of one slot. Bindings: x, y, the plan, a uniform, so that one pipeline a width serves every
 * shape.
 */
export function sumRowsShader(width: SumWidth): string {
  const type = width === 1 ? 'f32' : `vec${width}f`;
  return `
struct Plan { rows: u32, groups: u32, slots: u32, threads: u32, scale: f32 } // groups = columns / width
@group(0) @binding(0) var<storage, read> x: array<${type}>;
@group(0) @binding(1) var<storage, read_write> y: array<${type}>;
@group(0) @binding(2) var<uniform> plan: Plan;
${linearMain('plan.threads')}
  let lane = i % (plan.slots * plan.groups);
  let first = i / (plan.slots * plan.groups) * plan.rows * plan.groups;
  let column = first + lane % plan.groups;
  let step = ${BLOCK}u * plan.slots;
  let stride = plan.slots * plan.groups;
  var total = ${type}();
  for (var first = lane / plan.groups; first < plan.rows; first += ${BLOCK}u * step) {
    var blocks = ${type}();
    for (var begin = first; begin < min(first + ${BLOCK}u * step, plan.rows); begin += step) {
      let end = column + min(begin + step, plan.rows) * plan.groups;
      var block = ${type}();
      for (var at = column + begin * plan.groups; at < end; at += stride) { block += x[at]; }
      blocks += block;
    }
    total += blocks;
  }
  y[i] = plan.scale * total;
}`;
}
