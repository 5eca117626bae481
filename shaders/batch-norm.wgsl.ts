import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { type ChannelWidth, walkPlan } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { wgsl } from './common/wgsl.js';

/**
 * Number, mean and sum of squared deviations of some values; `merge` joins those of two parts.
 * Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
 */
const momentsFunctions = `
struct Moments { count: f32, mean: V, squares: V }
fn merge(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let delta = b.mean - a.mean;
  let share = b.count / count;
  return Moments(count, a.mean + delta * share, a.squares + b.squares + delta * delta * (a.count * share));
}`;

/**
 * First half of the batch statistics: each invocation's mean and sum of squared deviations of x − origin, where the origin is the
 * first row. So a mean that is large relative to the deviation does not enter the sums. A block's sums are those of x − x₀ and of its
 * square, x₀ being the block's first number: as x₀ is one of the n, Σd² is at most n times Σd² − (Σd)²/n, so that the difference
 * loses few digits. Partials: [means | squares] of [parts, groups].
 */
export function partialMomentsShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), partials: write(V), plan: walkPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${momentsFunctions}

fn blockFrom(begin: u32, origin: V) -> Moments {
  let end = min(begin + ${SUM_BLOCK}u * plan.threads, plan.rows * plan.groups);
  let first = xs[begin];
  var count = 1.0;
  var sum = V();
  var squares = V();
  for (var at = begin + plan.threads; at < end; at += plan.threads) {
    let d = xs[at] - first;
    count += 1.0;
    sum += d;
    squares = fma(d, d, squares);
  }
  let mean = sum * (1.0 / count);
  return Moments(count, first - origin + mean, squares - sum * mean);
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let origin = xs[i % plan.groups];
  var total = Moments(0.0, V(), V());
  for (var begin = i; begin < plan.rows * plan.groups; begin += ${SUM_BLOCK}u * plan.threads) {
    total = merge(total, blockFrom(begin, origin));
  }
  partials[i] = total.mean;
  partials[plan.threads + i] = total.squares;
}`,
  );
}

/**
 * Second half: merges the partial moments of each group's parts into the mean and the biased variance of each channel.
 * With one lane an invocation does it in blocks; with more (a power of two, ≤ parts) a workgroup does it in a tree.
 */
export function momentsShader(width: ChannelWidth, lanes: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      partials: read(V),
      means: write(V),
      variances: write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${momentsFunctions}
/* The first parts have a row more than the others. A division of integers is slow, so this is done once. */
struct Rows { each: u32, longer: u32 }
fn rowsOfParts() -> Rows { return Rows(plan.rows / plan.parts, plan.rows % plan.parts); }
fn load(part: u32, group: u32, rows: Rows) -> Moments {
  let at = part * plan.groups + group;
  return Moments(f32(rows.each + u32(part < rows.longer)), partials[at], partials[plan.threads + at]);
}
fn store(group: u32, total: Moments) {
  means[group] = xs[group] + total.mean;
  variances[group] = total.squares * (1.0 / f32(plan.rows));
}

#if ${lanes === 1}
${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.groups) { return; }
  let rows = rowsOfParts();
  var total = Moments(0.0, V(), V());
  for (var begin = 0u; begin < plan.parts; begin += ${SUM_BLOCK}u) {
    var block = load(begin, i, rows);
    let end = min(begin + ${SUM_BLOCK}u, plan.parts);
    for (var part = begin + 1u; part < end; part++) { block = merge(block, load(part, i, rows)); }
    total = merge(total, block);
  }
  store(i, total);
}
#else
var<workgroup> lanes: array<Moments, ${lanes}>;
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * nwg.x;
  if (group >= plan.groups) { return; }
  let rows = rowsOfParts();
  var total = load(lid, group, rows);
  for (var part = lid + ${lanes}u; part < plan.parts; part += ${lanes}u) { total = merge(total, load(part, group, rows)); }
  lanes[lid] = total;
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { lanes[lid] = merge(lanes[lid], lanes[lid + half]); }
  }
  if (lid == 0u) { store(group, lanes[0]); }
}
#endif`,
  );
}

/** y = (x − mean)·gamma/√(variance + eps) + beta. */
export function normalizeShader(width: ChannelWidth, eps: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      gammas: read(V),
      betas: read(V),
      means: read(V),
      variances: read(V),
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
  let scale = gammas[group] / sqrt(variances[group] + ${f32Literal(eps)});
  let beta = betas[group];
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    ys[at] = (xs[at] - mean) * scale + beta;
  }
}`,
  );
}

/** Partial sums [parts, 2, groups] of the gradients of beta and gamma: of dy, and of dy·(x − mean)/√(variance + eps). */
export function partialGradientsShader(width: ChannelWidth, eps: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      dys: read(V),
      means: read(V),
      variances: read(V),
      partials: write(V),
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
  var sums = V();
  var products = V();
  for (var begin = i; begin < plan.rows * plan.groups; begin += ${SUM_BLOCK}u * plan.threads) {
    let end = min(begin + ${SUM_BLOCK}u * plan.threads, plan.rows * plan.groups);
    var sum = V();
    var product = V();
    for (var at = begin; at < end; at += plan.threads) {
      let dy = dys[at];
      sum += dy;
      product += dy * (xs[at] - mean);
    }
    sums += sum;
    products += product;
  }
  let first = 2u * i - group; // i is part · groups + group
  partials[first] = sums;
  partials[first + plan.groups] = products / sqrt(variances[group] + ${f32Literal(eps)});
}`,
  );
}

/**
 * dx of the training form: the mean and the variance depend on x too, so the projections of dy on a constant and on
 * x̂ are subtracted: dx = gamma/√(variance + eps)·(dy − dBeta/rows − x̂·dGamma/rows).
 */
export function trainingInputGradientShader(width: ChannelWidth, eps: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      dys: read(V),
      gammas: read(V),
      means: read(V),
      variances: read(V),
      dBetas: read(V),
      dGammas: read(V),
      dxs: write(V),
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
  let perRow = 1.0 / f32(plan.rows);
  let constant = dBetas[group] * perRow;
  let slope = dGammas[group] * inverse * perRow;
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    dxs[at] = scale * (dys[at] - constant - (xs[at] - mean) * slope);
  }
}`,
  );
}

/** dx of the inference form, where the statistics are constants: dx = dy·gamma/√(variance + eps). */
export function inferenceInputGradientShader(width: ChannelWidth, eps: number): Shader {
  const V = vectorType(width);
  return shader(
    {
      dys: read(V),
      gammas: read(V),
      variances: read(V),
      dxs: write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let scale = gammas[group] / sqrt(variances[group] + ${f32Literal(eps)});
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    dxs[at] = scale * dys[at];
  }
}`,
  );
}

/** `unbias` is rows/(rows − 1), which makes the variance of a batch of `rows` unbiased. */
export const runningStatisticsPlan = /* @__PURE__ */ uniform({ momentum: 'f32', unbias: 'f32' });

/** Moves the running statistics towards those of a batch, in place. */
export function runningStatisticsShader(): Shader {
  return shader(
    {
      means: read('f32'),
      variances: read('f32'),
      runningMeans: write('f32'),
      runningVariances: write('f32'),
      plan: runningStatisticsPlan,
    },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&runningMeans)) { return; }
  runningMeans[i] += plan.momentum * (means[i] - runningMeans[i]);
  runningVariances[i] += plan.momentum * (variances[i] * plan.unbias - runningVariances[i]);
}`,
  );
}
