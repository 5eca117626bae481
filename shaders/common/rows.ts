import { linearHead, linearIndex } from './linear-index.js';
import { wgsl } from './wgsl.js';

/**
 * Head of a kernel that visits each row of [plan.rows, size]. With one lane an invocation does it; with more (a power of two) a
 * workgroup, whose lanes take every lanes-th element. Declares `lane`, and `begin`, the index of the row's first element. Close the body with `}`.
 * @param size WGSL of a row's size, such as `plan.size`
 */
export function rowHead(lanes: number, size: string): string {
  return wgsl`
#if ${lanes === 1}
${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rows) { return; }
  let lane = 0u;
  let begin = i * ${size};
#else
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * nwg.x;
  if (row >= plan.rows) { return; }
  let begin = row * ${size};
#endif`;
}
