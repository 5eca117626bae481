import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { type ChannelWidth, walkPlan } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

const MAX_BITS = '40.0';
const PER_LN2 = /* @__PURE__ */ (() => f32Literal(1 / Math.LN2))();

/**
 * The mass of a logistic distribution on [y − ½, y + ½] is σ(u)·σ(−l)·(1 − e^−(u−l)), u and l = (±½ − |y|)/scale: a
 * product, so that nothing cancels in the tails. Its logarithm is a sum of softplus terms.
 */
const functions = /* @__PURE__ */ (() => `
// 1 / scale. Beyond e^±40 every result has long reached its limit, and float32 would overflow.
fn inverseScale(logScale: V) -> V { return keepNan(exp(-clamp(logScale, V(-40.0), V(40.0))), logScale); }
// 1 − e^−t for t ≥ 0: below 1/4 the subtraction would cancel, and a short series is exact.
fn oneMinusExp(t: V) -> V {
  let x = min(t, V(0.25));
  let series = x * (1.0 - x * (0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x * (1.0 / 120.0 - x * (1.0 / 720.0))))));
  return keepNan(select(1.0 - exp(-t), series, t < V(0.25)), t);
}
// log(1 + eˣ) without overflow.
fn softplus(x: V) -> V { return keepNan(max(x, V()) + log(1.0 + exp(-abs(x))), x); }
fn sigmoid(x: V) -> V {
  let e = exp(-abs(x));
  return keepNan(select(e, V(1.0), x >= V()) / (1.0 + e), x);
}
// width = log(1 − e^(−1/scale)), the same for a whole channel.
fn bitsOf(magnitude: V, inverse: V, width: V) -> V {
  return (softplus((magnitude - 0.5) * inverse) + softplus((-0.5 - magnitude) * inverse) - width) * ${PER_LN2};
}`)();

/** Bits of each element. Bindings: y, logScale, bits, plan. */
export function logisticBitsShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { ys: read(V), logScales: read(V), bits: write(V), plan: walkPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}
${functions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let inverse = inverseScale(logScales[i % plan.groups]);
  let width = logOf(oneMinusExp(inverse));
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    let all = bitsOf(abs(ys[at]), inverse, width);
    bits[at] = keepNan(min(all, V(${MAX_BITS})), all);
  }
}`,
  );
}

/**
 * Both gradients in one walk, each only if wanted: dy, and the partial sums [parts, groups] of that of logScale.
 * Neither passes where the bits are at their ceiling. Bindings: y, logScale, the gradient of the bits, results, plan.
 */
export function logisticBitsGradientShader(width: ChannelWidth, wanted: { input: boolean; logScale: boolean }): Shader {
  const V = vectorType(width);
  return shader(
    {
      ys: read(V),
      logScales: read(V),
      dBits: read(V),
      dys: wanted.input && write(V),
      partials: wanted.logScale && write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}
${functions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let inverse = inverseScale(logScales[i % plan.groups]);
  let mass = oneMinusExp(inverse);
  let width = logOf(mass);
#if ${wanted.logScale}
  let ofWidth = inverse * exp(-inverse) / mass;
  var total = V();
#endif
  for (var begin = i; begin < plan.rows * plan.groups; begin += ${SUM_BLOCK}u * plan.threads) {
    let end = min(begin + ${SUM_BLOCK}u * plan.threads, plan.rows * plan.groups);
    var sum = V();
    for (var at = begin; at < end; at += plan.threads) {
      let y = ys[at];
      let magnitude = abs(y);
      let below = (magnitude - 0.5) * inverse; // −u
      let above = (magnitude + 0.5) * inverse; // −l
      let dBit = dBits[at];
      let all = bitsOf(magnitude, inverse, width);
      let each = keepNan(keepNan(select(V(), dBit * ${PER_LN2}, all <= V(${MAX_BITS})), all), dBit);
#if ${wanted.input}
      // σ(−u) − σ(l), again as a product.
      dys[at] = each * keepNan(sign(y), y) * (sigmoid(below) * sigmoid(above) * oneMinusExp(2.0 * magnitude * inverse)) * inverse;
#endif
#if ${wanted.logScale}
      // At the ceiling the bracket may be 0·∞.
      sum += select(each * (sigmoid(-above) * above - sigmoid(below) * below + ofWidth), V(), each == V());
#endif
    }
#if ${wanted.logScale}
    total += sum;
#endif
  }
#if ${wanted.logScale}
  partials[i] = total;
#endif
}`,
  );
}
