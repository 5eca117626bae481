import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { type ChannelWidth, walkPlan } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** One slope for all channels, or one a channel. */
export type SlopeKind = 'shared' | 'perChannel';

/** y = x where x > 0, else slope·x. */
export function preluShader(width: ChannelWidth, kind: SlopeKind): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
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
#if ${kind === 'shared'}
  let slope = V(slopes[0]);
#else
  let slope = slopes[i % plan.groups];
#endif
  for (var at = i; at < plan.rows * plan.groups; at += plan.threads) {
    let x = xs[at];
    ys[at] = select(slope * x, x, x > V());
  }
}`,
  );
}

/**
 * Both gradients in one walk, each only if wanted: dx, and the partial sums [parts, groups] of dy·x where x ≤ 0. Where x is
 * NaN it is on neither side, and both are NaN.
 */
export function preluGradientShader(
  width: ChannelWidth,
  kind: SlopeKind,
  wanted: { input: boolean; slope: boolean },
): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      slopes: read(kind === 'shared' ? 'f32' : V),
      dys: read(V),
      dxs: wanted.input && write(V),
      partials: wanted.slope && write(V),
      plan: walkPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
#if ${kind === 'shared'}
  let slope = V(slopes[0]);
#else
  let slope = slopes[i % plan.groups];
#endif
  var total = V();
  for (var begin = i; begin < plan.rows * plan.groups; begin += ${SUM_BLOCK}u * plan.threads) {
    let end = min(begin + ${SUM_BLOCK}u * plan.threads, plan.rows * plan.groups);
    var sum = V();
    for (var at = begin; at < end; at += plan.threads) {
      let x = xs[at];
      let dy = dys[at];
#if ${wanted.input}
      dxs[at] = keepNan(select(slope * dy, dy, x > V()), x);
#endif
#if ${wanted.slope}
      sum += keepNan(select(dy * x, V(), x > V()), x);
#endif
    }
    total += sum;
  }
#if ${wanted.slope}
  partials[i] = total;
#endif
}`,
  );
}
