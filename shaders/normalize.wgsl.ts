import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { rowHead } from './common/rows.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels that add up each row of [rows, groups] of V, in blocks, and then visit the row again. With one lane an invocation
 * does it in a plain loop; with more (a power of two) a workgroup, whose lanes take every lanes-th group.
 */

/** groups = size of a row / width. */
export const rowPlan = /* @__PURE__ */ uniform({ rows: 'u32', groups: 'u32', eps: 'f32' });

/** WGSL that both kernels share: `product` of two vectors, `total` over the lanes, and `divisorOf` a norm. */
function rowFunctions(width: ChannelWidth, lanes: number): string {
  return wgsl`
${nonFiniteFunctions()}
fn divisorOf(norm: f32) -> f32 { return keepNan(max(norm, plan.eps), norm); }
#if ${width === 1}
fn product(a: V, b: V) -> f32 { return a * b; }
#else
fn product(a: V, b: V) -> f32 { return dot(a, b); }
#endif
#if ${lanes === 1}
fn total(sum: vec2f, lane: u32) -> vec2f { return sum; }
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
#endif`;
}

/** y = x / max(‖x‖₂, eps) for each row. Bindings: x, y, plan. */
export function l2NormalizeShader(width: ChannelWidth, lanes: number): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: write(V), plan: rowPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${rowFunctions(width, lanes)}

${rowHead(lanes, 'plan.groups')}
  var sum = vec2f();
  for (var first = lane; first < plan.groups; first += ${SUM_BLOCK * lanes}u) {
    let end = min(first + ${SUM_BLOCK * lanes}u, plan.groups);
    var block = 0.0;
    for (var k = first; k < end; k += ${lanes}u) {
      let x = xs[begin + k];
      block += product(x, x);
    }
    sum.x += block;
  }
  let inverse = 1.0 / divisorOf(sqrt(total(sum, lane).x));
  for (var k = lane; k < plan.groups; k += ${lanes}u) { ys[begin + k] = xs[begin + k] * inverse; }
}`,
  );
}

/**
 * dx = (dy − y·(y·dy)) / max(‖x‖₂, eps): the component along y does not change the length. Where eps is the divisor it is a constant, and
 * the second term is absent. Bindings: x, dy, dx, plan.
 */
export function l2NormalizeGradientShader(width: ChannelWidth, lanes: number): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), dys: read(V), dxs: write(V), plan: rowPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${rowFunctions(width, lanes)}

${rowHead(lanes, 'plan.groups')}
  var sum = vec2f();
  for (var first = lane; first < plan.groups; first += ${SUM_BLOCK * lanes}u) {
    var block = vec2f();
    for (var k = first; k < min(first + ${SUM_BLOCK * lanes}u, plan.groups); k += ${lanes}u) {
      let x = xs[begin + k];
      block += vec2f(product(x, x), product(x, dys[begin + k]));
    }
    sum += block;
  }
  let sums = total(sum, lane);
  let norm = sqrt(sums.x);
  let inverse = 1.0 / divisorOf(norm);
  let along = select(0.0, sums.y * inverse, norm > plan.eps);
  for (var k = lane; k < plan.groups; k += ${lanes}u) { dxs[begin + k] = (dys[begin + k] - xs[begin + k] * inverse * along) * inverse; }
}`,
  );
}
