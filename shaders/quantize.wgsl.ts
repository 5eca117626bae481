import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';
import { quantizationNoiseFunctions, type RandomWidth } from './random.wgsl.js';

/** Everything but the kind of rounding, so that a new seed, scale or range needs no new pipeline. */
export const quantizePlan = /* @__PURE__ */ uniform({ key: 'vec2u', scale: 'f32', low: 'f32', high: 'f32' });

/** WGSL that forward and gradient share: `unclamped(x, i)`, the value in integer units of the i-th vector of elements. */
function unclampedFunction(width: RandomWidth, noise: boolean): string {
  return wgsl`
#if ${noise}
${quantizationNoiseFunctions(width)}
fn unclamped(x: V, i: u32) -> V {
  return x * plan.scale + quantizationNoise(plan.key, elementsOf(i));
}
#else
fn unclamped(x: V, i: u32) -> V { return round(x * plan.scale); }
#endif`;
}

/** y = clamp(unclamped(x)). Bindings: x, y, plan. */
export function quantizeShader(width: RandomWidth, noise: boolean): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: write(V), plan: quantizePlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}
${unclampedFunction(width, noise)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let value = unclamped(xs[i], i);
  ys[i] = keepNan(clamp(value, V(plan.low), V(plan.high)), value);
}`,
  );
}

/**
 * dx = dy·scale where the value is not clamped. The value is computed again, because y alone does not distinguish a value at the
 * end of the range from one beyond it. Bindings: x, dy, dx, plan.
 */
export function quantizeGradientShader(width: RandomWidth, noise: boolean): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), dys: read(V), dxs: write(V), plan: quantizePlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${nonFiniteFunctions(width)}
${unclampedFunction(width, noise)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&dxs)) { return; }
  let value = unclamped(xs[i], i);
  let inside = (value >= V(plan.low)) & (value <= V(plan.high));
  let dy = dys[i];
  dxs[i] = keepNan(keepNan(select(V(), dy * plan.scale, inside), value), dy);
}`,
  );
}
