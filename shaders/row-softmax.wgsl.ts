import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { maskFunctions, nonFiniteFunctions } from './common/non-finite.js';
import { rowHead } from './common/rows.js';
import { wgsl } from './common/wgsl.js';

/*
 * Softmax of each row of [rows, size], and its logarithm. With one lane an invocation visits a row; with more (a power of two)
 * a workgroup does, whose lanes take every lanes-th number.
 */

export const rowSoftmaxPlan = /* @__PURE__ */ uniform({ rows: 'u32', size: 'u32' });

/** WGSL that all kernels here share: the sum and the largest of what the lanes have. */
function laneFunctions(lanes: number): string {
  return wgsl`
${nonFiniteFunctions()}
#if ${lanes === 1}
fn total(x: f32, lane: u32) -> f32 { return x; }
fn greatest(x: f32, lane: u32) -> f32 { return x; }
#else
var<workgroup> shares: array<f32, ${lanes}>;
fn total(x: f32, lane: u32) -> f32 {
  workgroupBarrier();
  shares[lane] = x;
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { shares[lane] += shares[lane + half]; }
  }
  workgroupBarrier();
  return shares[0];
}
fn greatest(x: f32, lane: u32) -> f32 {
  workgroupBarrier();
  shares[lane] = x;
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { shares[lane] = max(shares[lane], shares[lane + half]); }
  }
  workgroupBarrier();
  return shares[0];
}
#endif`;
}

/**
 * y = e^(x − largest) / Σ e^(x − largest), or its logarithm. A number −∞ has the probability 0; NaN, +∞, or nothing but −∞, makes the row
 * NaN. Bindings: x, y, plan.
 */
export function rowSoftmaxShader(logarithm: boolean, lanes: number): Shader {
  return shader(
    { xs: read('f32'), ys: write('f32'), plan: rowSoftmaxPlan },
    (declarations) => wgsl`
${declarations}
${laneFunctions(lanes)}
${maskFunctions}
${rowHead(lanes, 'plan.size')}
  var largest = LOWEST;
  var wrong = 0.0;
  for (var k = lane; k < plan.size; k += ${lanes}u) {
    let x = xs[begin + k];
    if (isFinite(x)) { largest = max(largest, x); } else if (!isMasked(x)) { wrong = 1.0; }
  }
  largest = greatest(largest, lane);
  wrong = greatest(wrong, lane);
  var own = 0.0;
  for (var first = lane; first < plan.size; first += ${SUM_BLOCK * lanes}u) {
    var block = 0.0;
    for (var k = first; k < min(first + ${SUM_BLOCK * lanes}u, plan.size); k += ${lanes}u) {
      let x = xs[begin + k];
      if (isFinite(x)) { block += exp(x - largest); }
    }
    own += block;
  }
  let sum = total(own, lane);
  let failed = wrong > 0.0 || sum == 0.0;
#if ${logarithm}
  let logSum = log(sum);
#else
  let inverse = 1.0 / sum;
#endif
  for (var k = lane; k < plan.size; k += ${lanes}u) {
    let x = xs[begin + k];
#if ${logarithm}
    var y = x; // −∞ stays
    if (isFinite(x)) { y = (x - largest) - logSum; }
#else
    var y = 0.0;
    if (isFinite(x)) { y = exp(x - largest) * inverse; }
#endif
    if (failed) { y = nanOf(x); }
    ys[begin + k] = y;
  }
}`,
  );
}

/**
 * dx = y·(dy − Σ y·dy), and for the logarithm dx = dy − e^y·Σ dy. Bindings: y, dy, dx, plan.
 */
export function rowSoftmaxGradientShader(logarithm: boolean, lanes: number): Shader {
  return shader(
    { ys: read('f32'), dys: read('f32'), dxs: write('f32'), plan: rowSoftmaxPlan },
    (declarations) => wgsl`
${declarations}
${laneFunctions(lanes)}
${rowHead(lanes, 'plan.size')}
  var own = 0.0;
  for (var first = lane; first < plan.size; first += ${SUM_BLOCK * lanes}u) {
    var block = 0.0;
    for (var k = first; k < min(first + ${SUM_BLOCK * lanes}u, plan.size); k += ${lanes}u) {
#if ${logarithm}
      block += dys[begin + k];
#else
      block += ys[begin + k] * dys[begin + k];
#endif
    }
    own += block;
  }
  let sum = total(own, lane);
  for (var k = lane; k < plan.size; k += ${lanes}u) {
    let y = ys[begin + k];
#if ${logarithm}
    var probability = 0.0; // of −∞
    if (isFinite(y)) { probability = exp(y); }
    dxs[begin + k] = keepNan(dys[begin + k] - probability * sum, y);
#else
    dxs[begin + k] = y * (dys[begin + k] - sum);
#endif
  }
}`,
  );
}
