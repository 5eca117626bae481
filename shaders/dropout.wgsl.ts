import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';
import { quantizationNoiseFunctions, type RandomWidth } from './random.wgsl.js';

/** Seed and stream, the share of elements that become 0, and the factor of the others. */
export const dropoutPlan = /* @__PURE__ */ uniform({ key: 'vec2u', rate: 'f32', scale: 'f32' });

/** y = x·scale, or x·0 where the element's random number is below the rate. The gradient is the same of dy. Bindings: x, y, plan. */
export function dropoutShader(width: RandomWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: write(V), plan: dropoutPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${quantizationNoiseFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let random = quantizationNoise(plan.key, elementsOf(i)) + 0.5;
  // A product and not a choice, so that NaN and infinity of a dropped element are seen, as NaN.
  ys[i] = xs[i] * select(V(), V(plan.scale), random >= V(plan.rate));
}`,
  );
}
