import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { type ChannelWidth, walkPlan } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';
import type { SlopeKind } from './prelu.wgsl.js';

/** The input of the PReLU. Forward and backward passes share the text, so that they agree on its sign. */
const preActivation = '(x - mean) * scale + beta';

/** y = prelu(z), z = (x − mean)·gamma/√(variance + eps) + beta. */
export function batchNormPreluShader(width: ChannelWidth, kind: SlopeKind, eps: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      gammas: read(V),
      betas: read(V),
      means: read(V),
      variances: read(V),
      slopes: read(kind === 'shared' ? 'f32' : V),
      ys: write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let mean = means[group];
  let inverse = 1.0 / sqrt(variances[group] + ${f32Literal(eps)});
  let scale = gammas[group] * inverse;
  let beta = betas[group];
#if ${kind === 'shared'}
  let slope = V(slopes[0]);
#else
  let slope = slopes[i % plan.groups];
#endif
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    let x = xs[at];
    let z = ${preActivation};
    ys[at] = select(slope * z, z, z > V());
  }
}`,
  );
}

/**
 * Packs what the backward passes need for each channel into one tensor [5, channels], because as separate bindings they
 * would exceed the eight that every device has: mean, 1/√(variance + eps), gamma times that, beta, slope.
 */
export function coefficientsShader(eps: number): Shader {
  return shader(
    {
      gammas: read('f32'),
      betas: read('f32'),
      means: read('f32'),
      variances: read('f32'),
      slopes: read('f32'),
      coefficients: write('f32'),
    },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&gammas)) { return; }
  let channels = arrayLength(&gammas);
  let inverse = 1.0 / sqrt(variances[i] + ${f32Literal(eps)});
  coefficients[i] = means[i];
  coefficients[channels + i] = inverse;
  coefficients[2u * channels + i] = gammas[i] * inverse;
  coefficients[3u * channels + i] = betas[i];
  coefficients[4u * channels + i] = slopes[i % arrayLength(&slopes)];
}`,
  );
}

/** The gradient before the PReLU; it becomes NaN where z is NaN, because z is then on neither side of 0. */
const preluGradient = 'select(slope * dy, dy, z > V())';

/** The coefficients of an invocation's channels. */
const loadCoefficients = `
  let group = i % plan.groups;
  let mean = coefficients[group];
  let inverse = coefficients[plan.groups + group];
  let scale = coefficients[2u * plan.groups + group];
  let beta = coefficients[3u * plan.groups + group];
  let slope = coefficients[4u * plan.groups + group];`;

/**
 * Partial sums [parts, 3, groups] of the gradients of beta, gamma and the slope, in one walk: of dz, of
 * dz·(x − mean)/√(variance + eps), and of dy·z where z ≤ 0, with z computed again from x.
 */
export function batchNormPreluPartialGradientsShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      dys: read(V),
      coefficients: read(V),
      partials: write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${loadCoefficients}
  var sums = V();
  var products = V();
  var belows = V();
  var largest = magnitude(V()); // of all z: a NaN among them makes the sums NaN
  for (var begin = i; begin < plan.rows * plan.groups; begin += ${SUM_BLOCK}u * plan.threads) {
    let end = min(begin + ${SUM_BLOCK}u * plan.threads, plan.rows * plan.groups);
    var sum = V();
    var product = V();
    var below = V();
    for (var at = begin; at < end; at += plan.threads) {
      let x = xs[at];
      let dy = dys[at];
      let z = ${preActivation};
      let dz = ${preluGradient};
      sum += dz;
      product += dz * (x - mean);
      below += select(dy * z, V(), z > V());
      largest = max(largest, magnitude(z));
    }
    sums += sum;
    products += product;
    belows += below;
  }
  let first = 3u * i - 2u * group; // i is part · groups + group
  partials[first] = keepNanOf(sums, largest);
  partials[first + plan.groups] = keepNanOf(products * inverse, largest);
  partials[first + 2u * plan.groups] = keepNanOf(belows, largest);
}`,
  );
}

/**
 * dx = gamma/√(variance + eps)·dz; in the training form, where the statistics depend on x, without the projections of
 * dz on a constant and on x̂: gamma/√(variance + eps)·(dz − dBeta/rows − x̂·dGamma/rows).
 */
export function batchNormPreluInputGradientShader(width: ChannelWidth, training: boolean): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      dys: read(V),
      coefficients: read(V),
      dBetas: training && read(V),
      dGammas: training && read(V),
      dxs: write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  ${loadCoefficients}
#if ${training}
  let perRow = 1.0 / f32(plan.rows);
  let constant = dBetas[group] * perRow;
  let along = dGammas[group] * inverse * perRow;
#endif
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    let x = xs[at];
    let dy = dys[at];
    let z = ${preActivation};
    let dz = ${preluGradient};
#if ${training}
    // A NaN comes through without help: where z is NaN, the sums behind constant and along are.
    dxs[at] = scale * (dz - constant - (x - mean) * along);
#else
    dxs[at] = keepNan(scale * dz, z);
#endif
  }
}`,
  );
}
