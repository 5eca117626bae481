import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal as f32 } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** Elements in one load. */
export type LoadWidth = 1 | 4;

/** The learning rate; of averages, the share of the new value. */
export const ratePlan = /* @__PURE__ */ uniform({ rate: 'f32' });

export interface SgdShaderOptions {
  momentum: number;
  weightDecay: number;
  nesterov: boolean;
  /** Binds `scales`, one number that multiplies the gradient. */
  scaled: boolean;
}

/**
 * One step of SGD in place, as PyTorch defines it: g += weightDecay·p; v = momentum·v + g; p −= rate·v, or
 * p −= rate·(g + momentum·v) for Nesterov's form. Without momentum there is no v.
 */
export function sgdShader(width: LoadWidth, { momentum, weightDecay, nesterov, scaled }: SgdShaderOptions): Shader {
  const V = vectorType(width);
  return shader(
    {
      params: write(V),
      grads: read(V),
      velocities: momentum !== 0 && write(V),
      scales: scaled && read('f32'),
      plan: ratePlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&params)) { return; }
  for (var at = i; at < arrayLength(&params); at += nwg.x * nwg.y * 64u) {
    let p = params[at];
    var g = grads[at];
#if ${scaled}
    g *= scales[0];
#endif
#if ${weightDecay}
    g += ${f32(weightDecay)} * p;
#endif
#if ${momentum}
    let velocity = ${f32(momentum)} * velocities[at] + g;
    velocities[at] = velocity;
#if ${nesterov}
    g += ${f32(momentum)} * velocity;
#else
    g = velocity;
#endif
#endif
    params[at] = p - plan.rate * g;
  }
}`,
  );
}

export interface AdamShaderOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** Weight decay that is added to the gradient (0 where it is decoupled). */
  weightDecay: number;
  /** Binds `scales`, one number that multiplies the gradient. */
  scaled: boolean;
}

/**
 * What depends on the step: rate/(1 − beta1^t), 1/√(1 − beta2^t), and 1 − rate·weightDecay for AdamW's decoupled decay
 * (Loshchilov and Hutter 2019, arXiv 1711.05101), else 1.
 */
export const adamPlan = /* @__PURE__ */ uniform({ rate: 'f32', correction: 'f32', shrink: 'f32' });

/** One step of Adam in place (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). */
export function adamShader(width: LoadWidth, { beta1, beta2, eps, weightDecay, scaled }: AdamShaderOptions): Shader {
  const V = vectorType(width);
  return shader(
    {
      params: write(V),
      grads: read(V),
      firsts: write(V),
      seconds: write(V),
      scales: scaled && read('f32'),
      plan: adamPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&params)) { return; }
  for (var at = i; at < arrayLength(&params); at += nwg.x * nwg.y * 64u) {
    let p = params[at];
    var g = grads[at];
#if ${scaled}
    g *= scales[0];
#endif
#if ${weightDecay}
    g += ${f32(weightDecay)} * p;
#endif
    let first = firsts[at] + ${f32(1 - beta1)} * (g - firsts[at]);
    let second = ${f32(beta2)} * seconds[at] + ${f32(1 - beta2)} * g * g;
    firsts[at] = first;
    seconds[at] = second;
    params[at] = plan.shrink * p - plan.rate * first / (sqrt(second) * plan.correction + ${f32(eps)});
  }
}`,
  );
}

/** A running average in place: average = rate·value + (1 − rate)·average. */
export function averageShader(width: LoadWidth): Shader {
  const V = vectorType(width);
  return shader(
    { averages: write(V), values: read(V), plan: ratePlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&averages)) { return; }
  for (var at = i; at < arrayLength(&averages); at += nwg.x * nwg.y * 64u) {
    averages[at] = plan.rate * values[at] + (1.0 - plan.rate) * averages[at];
  }
}`,
  );
}

/** Where the sums of a tensor begin. */
export const squaresPlan = /* @__PURE__ */ uniform({ offset: 'u32' });

/** Each invocation's sum of squares, stored from `offset` on: [… | invocations | …]. */
export function squaresShader(width: LoadWidth): Shader {
  const V = vectorType(width);
  return shader(
    { grads: read(V), partials: write('f32'), plan: squaresPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= nwg.x * nwg.y * 64u) { return; }
  let step = nwg.x * nwg.y * 64u;
  let end = arrayLength(&grads);
  var sum = V();
  for (var begin = i; begin < end; begin += ${SUM_BLOCK}u * step) {
    var block = V();
    for (var at = begin; at < min(begin + ${SUM_BLOCK}u * step, end); at += step) { block += grads[at] * grads[at]; }
    sum += block;
  }
#if ${width === 1}
  partials[plan.offset + i] = sum;
#else
  partials[plan.offset + i] = dot(sum, V(1.0));
#endif
}`,
  );
}

/** The largest norm allowed. */
export const clipPlan = /* @__PURE__ */ uniform({ maxNorm: 'f32' });

/** From the sum of all squares the norm, and the factor that brings it down to `maxNorm`: NaN where the norm is. */
export function clipShader(): Shader {
  return shader(
    {
      squares: read('f32'),
      norms: write('f32'),
      scales: write('f32'),
      plan: clipPlan,
    },
    (declarations) => wgsl`
${declarations}
${nonFiniteFunctions()}

${linearHead} {
  let i = ${linearIndex};
  if (i >= 1u) { return; }
  let norm = sqrt(squares[0]);
  norms[0] = norm;
  scales[0] = keepNan(min(1.0, plan.maxNorm / max(norm, 1e-12)), norm);
}`,
  );
}
