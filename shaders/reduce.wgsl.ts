import { BLOCK } from './common/block-sums.js';
import { linearMain } from './common/linear-index.js';

/** Columns in one load. */
export type SumWidth = 1 | 2 | 4;

/**
 * Adds rows: x [batches, rows, columns] becomes y [batches, slots, columns], where slot s holds
 * scale·(row s + row s + slots + row s + 2·slots + …), added in this order and in blocks. An invocation owns `width` adjacent columns
 * of one slot. Bindings: x, y, the plan; the plan is a uniform, so one pipeline a width serves every shape.
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
  var total = ${type}();
  for (var begin = lane / plan.groups; begin < plan.rows; begin += step) {
    var block = ${type}();
    for (var row = begin; row < min(begin + step, plan.rows); row += plan.slots) { block += x[column + row * plan.groups]; }
    total += block;
  }
  y[i] = plan.scale * total;
}`;
}
