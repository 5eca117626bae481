import { BLOCK } from './block-sums.js';
import { linearMain } from './linear-index.js';

/** Channels in one load. */
export type ColumnWidth = 1 | 2 | 4;

/**
 * Head of a kernel that walks an array [rows, channels] and needs something for each channel. An invocation owns a group
 * of `width` adjacent channels, loads what belongs to them once, and visits every `slots`-th row: its loop is long, its
 * sums stay in registers, and neighbouring invocations read neighbouring memory.
 *
 * Declares `V`, the type of a group of channels, the storage bindings (`V` unless another element type is given) and,
 * bound last, the uniform `plan`, so that one pipeline serves every shape.
 */
export function columnBindings(
  width: ColumnWidth,
  ...names: [name: string, access: 'r' | 'w', type?: string][]
): string {
  const storage = names.map(
    ([name, access, type = 'V'], k) =>
      `@group(0) @binding(${k}) var<storage, ${access === 'r' ? 'read' : 'read_write'}> ${name}: array<${type}>;`,
  );
  return `
alias V = ${width === 1 ? 'f32' : `vec${width}f`};
struct Plan { rows: u32, groups: u32, slots: u32, threads: u32 } // groups = channels / width, threads = slots * groups
${storage.join('\n')}
@group(0) @binding(${names.length}) var<uniform> plan: Plan;`;
}

/** Entry point: `i` is the invocation's index, `i % plan.groups` its group, `i / plan.groups` its slot. Close it with `}`. */
export const columnMain = /* @__PURE__ */ linearMain('plan.threads');

/** Head of the loop over the blocks of an invocation's rows, for sums. Close it with `}`. */
export const forEachBlock = /* @__PURE__ */ (() =>
  `for (var begin = i; begin < plan.rows * plan.groups; begin += ${BLOCK}u * plan.threads) {
    let end = min(begin + ${BLOCK}u * plan.threads, plan.rows * plan.groups);`)();

/** Head of the loop over the rows of a block; `at` as in `forEachRow`. Close it with `}`. */
export const forEachRowOfBlock = 'for (var at = begin; at < end; at += plan.threads) {';

/** Head of the loop over an invocation's rows; `at` is the index in an array [rows, groups] of V. Close it with `}`. */
export const forEachRow = 'for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {';
