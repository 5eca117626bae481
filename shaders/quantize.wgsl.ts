import { linearMain, storageBindings } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';
import { quantizationNoiseFunctions, type RandomWidth } from './random.wgsl.js';

/**
 * What forward and gradient share: `unclamped(x, i)`, the value in integer units of the i-th vector of `width` elements.
 * Everything but the kind of rounding is a uniform, so a new seed, scale or range needs no new pipeline.
 */
function head(width: RandomWidth, noise: boolean, ...names: [name: string, access: 'r' | 'w'][]): string {
  return wgsl`
alias V = ${width === 1 ? 'f32' : 'vec4f'};
struct Plan { key: vec2u, scale: f32, low: f32, high: f32 }
${storageBindings('V', ...names)}
@group(0) @binding(${names.length}) var<uniform> plan: Plan;
${nonFiniteFunctions(width)}
#if ${noise}
${quantizationNoiseFunctions(width)}
fn unclamped(x: V, i: u32) -> V {
  let element = ${width === 1 ? 'i' : '4u * i + vec4u(0u, 1u, 2u, 3u)'};
  return x * plan.scale + quantizationNoise(plan.key, element);
}
#else
fn unclamped(x: V, i: u32) -> V { return round(x * plan.scale); }
#endif`;
}

/** y = clamp(unclamped(x)). Bindings: x, y, plan. */
export function quantizeShader(width: RandomWidth, noise: boolean): string {
  return `
${head(width, noise, ['xs', 'r'], ['ys', 'w'])}
${linearMain('arrayLength(&ys)')}
  let value = unclamped(xs[i], i);
  ys[i] = keepNan(clamp(value, V(plan.low), V(plan.high)), value);
}`;
}

/**
 * dx = dy·scale where the clamp does nothing. The value is computed again, since y alone does not tell a value at the
 * end of the range from one beyond it. Bindings: x, dy, dx, plan.
 */
export function quantizeGradientShader(width: RandomWidth, noise: boolean): string {
  return `
${head(width, noise, ['xs', 'r'], ['dys', 'r'], ['dxs', 'w'])}
${linearMain('arrayLength(&dxs)')}
  let value = unclamped(xs[i], i);
  let inside = (value >= V(plan.low)) & (value <= V(plan.high));
  let dy = dys[i];
  dxs[i] = keepNan(keepNan(select(V(), dy * plan.scale, inside), value), dy);
}`;
}
