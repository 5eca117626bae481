import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** The weights of a symmetric filter along one axis. */
export type FilterWeights = ArrayLike<number>;

/*
 * Filters along the middle axis of [outer, length, inner] arrays, of which an invocation computes a run of adjacent outputs.
 */

/**
 * All sizes, so that one pipeline a window serves every shape: outputs of a run, and runs along the axis; `each` is
 * 1 / number of SSIM positions, `c1` and `c2` are the stabilisers.
 */
export const ssimPlan = /* @__PURE__ */ uniform({
  inner: 'u32',
  run: 'u32',
  runs: 'u32',
  sourceLength: 'u32',
  outputLength: 'u32',
  threads: 'u32',
  each: 'f32',
  c1: 'f32',
  c2: 'f32',
});

/** WGSL of the run of invocation i: its outputs from `first` on, and where its line begins in the source and the output. */
const runOf = `
  let lane = i % plan.inner;
  let first = (i / plan.inner) % plan.runs * plan.run;
  let outer = i / (plan.inner * plan.runs);
  let source = outer * plan.sourceLength * plan.inner + lane;
  let output = outer * plan.outputLength * plan.inner + lane;
  let outputs = min(plan.run, plan.outputLength - first);`;

/**
 * A filter in transposed form: each value, loaded once, goes into the partial sums of all outputs that it reaches, and
 * the oldest of these comes out as `sum`. So a run of n outputs costs n + window − 1 loads.
 *
 * @param value WGSL statements that set `value` from the step's index j
 * @param store WGSL statements that use `sum` as the output at index `at` of the output array
 */
function filterRun(weights: FilterWeights, value: string, store: string): string {
  const reach = weights.length - 1;
  const term = (k: number) => `${k < reach ? `partial${k} + ` : ''}${f32Literal(weights[k])} * value`;
  return wgsl`
  ${unroll(reach, (k) => `var partial${k} = vec4f();`)}
  for (var j = 0u; j < outputs + ${reach}u; j++) {
    ${value}
    let sum = ${term(0)};
    ${unroll(reach, (k) => `partial${k} = ${term(k + 1)};`)}
    if (j >= ${reach}u) {
      let at = output + (first + j - ${reach}u) * plan.inner;
      ${store}
    }
  }`;
}

/**
 * Moments are vec4s: mean of a, mean of b, variance of a + variance of b, covariance. To blend those under a window they
 * are first taken relative to a pivot, a mean nearby: so the squares of means, which would hide small variances in
 * float32, do not occur. A single pair of pixels has the moments (a, b, 0, 0).
 */
const momentFunctions = /* @__PURE__ */ (() => `
${nonFiniteFunctions(2)}
// A mean that is not finite is none to start from: positions beyond its window do not see it.
fn pivotOf(means: vec2f) -> vec2f { return select(vec2f(), means, isFinite(means)); }
fn relative(x: vec4f, pivot: vec2f) -> vec4f {
  let d = x.xy - pivot;
  return vec4f(d, x.z + dot(d, d), x.w + d.x * d.y);
}
fn blended(sum: vec4f, pivot: vec2f) -> vec4f {
  return vec4f(sum.xy + pivot, sum.z - dot(sum.xy, sum.xy), sum.w - sum.x * sum.y);
}`)();

/** First pass, along the columns: moments under a window of one column. Bindings: a, b, moments, plan. */
export function ssimColumnMomentsShader(weights: FilterWeights): Shader {
  return shader(
    {
      xs: read('f32'),
      ys: read('f32'),
      moments: write('vec4f'),
      plan: ssimPlan,
    },
    (declarations) => wgsl`
${declarations}
${momentFunctions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${runOf}
  let start = source + first * plan.inner;
  let pivot = pivotOf(vec2f(xs[start], ys[start]));
${filterRun(
  weights,
  `let here = start + j * plan.inner;
    let value = relative(vec4f(xs[here], ys[here], 0.0, 0.0), pivot);`,
  'moments[at] = blended(sum, pivot);',
)}
}`,
  );
}

/**
 * Second pass, along the rows: moments under the whole window, and from them SSIM = l·c with l of the means and c of the
 * (co)variances. Writes the sum of an invocation's SSIMs, and at each position the derivatives of the mean SSIM by
 * E[a], E[b], E[a²] (the same as by E[b²]) and E[ab]. Bindings: moments, derivatives, partials, plan.
 */
export function ssimShader(weights: FilterWeights): Shader {
  return shader(
    {
      moments: read('vec4f'),
      derivatives: write('vec4f'),
      partials: write('f32'),
      plan: ssimPlan,
    },
    (declarations) => wgsl`
${declarations}
${momentFunctions}
struct Position { ssim: f32, derivatives: vec4f }
fn position(m: vec4f) -> Position {
  let l1 = 2.0 * m.x * m.y + plan.c1;
  let c1 = 2.0 * m.w + plan.c2;
  let l2 = 1.0 / (dot(m.xy, m.xy) + plan.c1);
  let c2 = 1.0 / (m.z + plan.c2);
  let both = l2 * c2;
  let ssim = l1 * c1 * both;
  let crossed = 2.0 * (c1 - l1) * both;
  let own = 2.0 * ssim * (c2 - l2);
  return Position(ssim, plan.each * vec4f(crossed * m.yx + own * m.xy, -ssim * c2, 2.0 * l1 * both));
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${runOf}
  let start = source + first * plan.inner;
  let pivot = pivotOf(moments[start].xy);
  var total = 0.0;
${filterRun(
  weights,
  'let value = relative(moments[start + j * plan.inner], pivot);',
  `let p = position(blended(sum, pivot));
      derivatives[at] = p.derivatives;
      total += p.ssim;`,
)}
  partials[i] = total;
}`,
  );
}

/** What the transposed filter sums up: zero outside the source. The index wraps around to a large one before the start. */
function spreadValue(weights: FilterWeights): string {
  return `let index = first + j - ${weights.length - 1}u;
    let value = select(
      vec4f(), sources[source + min(index, plan.sourceLength - 1u) * plan.inner], index < plan.sourceLength);`;
}

/**
 * First pass of the gradient, along the rows: the transposed filter, whose taps give back to where the filter's taps
 * read. Bindings: derivatives, their spread, plan.
 */
export function ssimSpreadShader(weights: FilterWeights): Shader {
  return shader(
    { sources: read('vec4f'), spread: write('vec4f'), plan: ssimPlan },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${runOf}
${filterRun(weights, spreadValue(weights), 'spread[at] = sum;')}
}`,
  );
}

/**
 * Second pass of the gradient, along the columns, and the chain rule to the pixels: E[a²] changes by 2a, E[ab] by b.
 * Bindings: the spread derivatives, a, b, dy (a scalar), the gradients by a and by b, each if wanted, plan.
 */
export function ssimGradientShader(weights: FilterWeights, wanted: { a: boolean; b: boolean }): Shader {
  const store = wgsl`let x = xs[at];
      let y = ys[at];
#if ${wanted.a}
      dxs[at] = scale * (sum.x + 2.0 * x * sum.z + y * sum.w);
#endif
#if ${wanted.b}
      dys[at] = scale * (sum.y + 2.0 * y * sum.z + x * sum.w);
#endif`;
  return shader(
    {
      sources: read('vec4f'),
      xs: read('f32'),
      ys: read('f32'),
      dy: read('f32'),
      dxs: wanted.a && write('f32'),
      dys: wanted.b && write('f32'),
      plan: ssimPlan,
    },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${runOf}
  let scale = dy[0];
${filterRun(weights, spreadValue(weights), store)}
}`,
  );
}
