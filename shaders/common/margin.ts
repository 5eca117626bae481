import { SUM_BLOCK } from './block-sums.js';
import { unroll } from './unroll.js';
import { wgsl } from './wgsl.js';

/**
 * What a margin loss makes of the score of the label's class. `additive`: score − a. `angular`, on a cosine: cos(θ + m)
 * with a = cos m, b = sin m, and past θ + m = π cos θ − m·sin m, which goes on falling where cos m + m·sin m ≥ 1.
 * `multiplicative`, on the inner product of an embedding with a unit vector: ‖x‖·ψ(θ) with ψ(θ) = (−1)^k·cos(mθ) − 2k on
 * [kπ/m, (k+1)π/m], softened to (b·cos θ + ψ)/(1 + b), where m is written into the text.
 */
export type MarginForm = { form: 'additive' } | { form: 'angular' } | { form: 'multiplicative'; m: 1 | 2 | 3 | 4 };

/** T_m(x) = cos(mθ) and m·U_{m−1}(x) = d T_m / dx, for x = cos θ. */
const CHEBYSHEV = {
  1: ['x', '1.0'],
  2: ['2.0 * x * x - 1.0', '4.0 * x'],
  3: ['(4.0 * x * x - 3.0) * x', '12.0 * x * x - 3.0'],
  4: ['8.0 * (x * x - 1.0) * x * x + 1.0', '(32.0 * x * x - 16.0) * x'],
} as const;

/** Least sine in the derivative of cos(θ + m), which grows without bound as the angle vanishes. */
export const MIN_SINE = 1e-3;

/**
 * WGSL of `target(row, score) -> vec3f`: the label's logit before the scale s, its derivative by the score, and, for
 * `multiplicative`, its derivative by ‖x‖ at that score; needs `nonFiniteFunctions()`, `plan.a`, `plan.b`, `plan.am` (a·m for `angular`) and, for
 * `multiplicative`, the array `features` [rows, plan.size].
 */
export function targetFunction(margin: MarginForm): string {
  const m = margin.form === 'multiplicative' ? margin.m : 1;
  const [value, derivative] = CHEBYSHEV[m];
  /** The cosine of the j-th angle at which ψ goes over to its next piece. */
  const edge = (j: number) => Math.fround(Math.cos((j * Math.PI) / m));
  return wgsl`
#if ${margin.form === 'additive'}
fn target_logit(row: u32, score: f32) -> vec3f { return vec3f(score - plan.a, 1.0, 0.0); }
#elif ${margin.form === 'angular'}
fn target_logit(row: u32, score: f32) -> vec3f {
  let x = keepNan(clamp(score, -1.0, 1.0), score);
  if (x <= -plan.a) { return vec3f(x - plan.am, 1.0, 0.0); }
  let sine = sqrt((1.0 - x) * (1.0 + x));
  return vec3f(x * plan.a - sine * plan.b, plan.a + x * plan.b / max(sine, ${MIN_SINE}), 0.0);
}
#else
fn normOf(row: u32) -> f32 {
  var sum = 0.0;
  for (var first = 0u; first < plan.size; first += ${SUM_BLOCK}u) {
    var block = 0.0;
    for (var d = first; d < min(first + ${SUM_BLOCK}u, plan.size); d++) {
      let v = features[row * plan.size + d];
      block = fma(v, v, block);
    }
    sum += block;
  }
  return keepNan(max(sqrt(sum), 1e-12), sum);
}
fn target_logit(row: u32, score: f32) -> vec3f {
  let norm = normOf(row);
  let cosine = score / norm;
  let x = keepNan(clamp(cosine, -1.0, 1.0), cosine);
  var k = 0.0; // pieces of ψ before this one
  ${unroll(m - 1, (j) => `k += select(0.0, 1.0, x < f32(${edge(j + 1)}));`)}
  let turn = 1.0 - 2.0 * (k - 2.0 * floor(0.5 * k)); // (−1)^k
  let value = (plan.b * x + turn * (${value}) - 2.0 * k) / (1.0 + plan.b);
  let derivative = (plan.b + turn * (${derivative})) / (1.0 + plan.b);
  return vec3f(norm * value, derivative, value - x * derivative);
}
#endif`;
}
