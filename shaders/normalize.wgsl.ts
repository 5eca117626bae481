import { BLOCK } from './common/block-sums.js';
import type { ColumnWidth } from './common/columns.js';
import { linearMain } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { type TypedBinding, typedBindings } from './common/typed-bindings.js';
import { wgsl } from './common/wgsl.js';

/**
 * Head of a kernel that adds up each row of [rows, groups] of V, and then visits the row again. With one lane an
 * invocation does it in a plain loop; with more (a power of two) a workgroup, whose lanes take every lanes-th group.
 * Declares `begin`, the index of the row's first group, `lane`, and `total(sum)` over the lanes. Close the body with `}`.
 */
function rowMain(lanes: number): string {
  return wgsl`
#if ${lanes === 1}
fn total(sum: vec2f, lane: u32) -> vec2f { return sum; }
${linearMain('plan.rows')}
  let lane = 0u;
  let begin = i * plan.groups;
#else
var<workgroup> sums: array<vec2f, ${lanes}>;
fn total(sum: vec2f, lane: u32) -> vec2f {
  sums[lane] = sum;
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  return sums[0];
}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * nwg.x;
  if (row >= plan.rows) { return; }
  let begin = row * plan.groups;
#endif`;
}

function head(width: ColumnWidth, ...bindings: TypedBinding[]): string {
  return `
alias V = ${width === 1 ? 'f32' : `vec${width}f`};
struct Plan { rows: u32, groups: u32, eps: f32 } // groups = size of a row / width
${typedBindings(...bindings)}
@group(0) @binding(${bindings.length}) var<uniform> plan: Plan;
${nonFiniteFunctions()}
fn divisorOf(norm: f32) -> f32 { return keepNan(max(norm, plan.eps), norm); }
fn product(a: V, b: V) -> f32 { return ${width === 1 ? 'a * b' : 'dot(a, b)'}; }`;
}

/** The same for the sum of a row, in blocks: `block` is added to `sum`. Close both loops with `addBlock`. */
const eachOfBlocks = (lanes: number) => `for (var first = lane; first < plan.groups; first += ${BLOCK * lanes}u) {
    var block = vec2f();
    for (var k = first; k < min(first + ${BLOCK * lanes}u, plan.groups); k += ${lanes}u) {`;
const addBlock = `}
    sum += block;
  }`;

const eachGroup = (lanes: number) => `for (var k = lane; k < plan.groups; k += ${lanes}u) {`;

/** y = x / max(‖x‖₂, eps) for each row. Bindings: x, y, plan. */
export function l2NormalizeShader(width: ColumnWidth, lanes: number): string {
  return `
${head(width, ['xs', 'r', 'V'], ['ys', 'w', 'V'])}
${rowMain(lanes)}
  var sum = vec2f();
  ${eachOfBlocks(lanes)} block.x += product(xs[begin + k], xs[begin + k]); ${addBlock}
  let inverse = 1.0 / divisorOf(sqrt(total(sum, lane).x));
  ${eachGroup(lanes)} ys[begin + k] = xs[begin + k] * inverse; }
}`;
}

/**
 * dx = (dy − y·(y·dy)) / max(‖x‖₂, eps): what is along y changes no length. Where eps is the divisor it is a constant, and
 * the second term is absent. Bindings: x, dy, dx, plan.
 */
export function l2NormalizeGradientShader(width: ColumnWidth, lanes: number): string {
  return `
${head(width, ['xs', 'r', 'V'], ['dys', 'r', 'V'], ['dxs', 'w', 'V'])}
${rowMain(lanes)}
  var sum = vec2f();
  ${eachOfBlocks(lanes)}
      let x = xs[begin + k];
      block += vec2f(product(x, x), product(x, dys[begin + k]));
    ${addBlock}
  let sums = total(sum, lane);
  let norm = sqrt(sums.x);
  let inverse = 1.0 / divisorOf(norm);
  let along = select(0.0, sums.y * inverse, norm > plan.eps);
  ${eachGroup(lanes)} dxs[begin + k] = (dys[begin + k] - xs[begin + k] * inverse * along) * inverse; }
}`;
}
