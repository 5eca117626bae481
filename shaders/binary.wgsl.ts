import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { broadcastFunctions } from './common/element-functions.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

export interface Broadcast {
  /** Sizes of the output's axes, in units of `width` along the last. */
  sizes: readonly number[];
  /** For each operand, the axes along which it varies; along the others it is stretched. */
  varies: readonly (readonly boolean[])[];
  /** Elements an invocation: vec4 where the last axis allows. */
  width: 1 | 4;
  /**
   * WGSL in the operands `x0`, `x1`, …, each of type `V`, with what `broadcastFunctions` declares, and in `plan.scale` of the
   * uniform, if `scaled`.
   */
  expression: string;
  scaled: boolean;
}

export const broadcastPlan = /* @__PURE__ */ uniform({ scale: 'f32' });

/** Stride of an operand along each axis; 0 where it is stretched. */
function stridesOfOperand(sizes: readonly number[], flags: readonly boolean[]): number[] {
  const strides = sizes.map(() => 0);
  let stride = 1;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    if (!flags[axis]) continue;
    strides[axis] = stride;
    stride *= sizes[axis];
  }
  return strides;
}

/** y = f(x0, x1, …) with broadcasting. Bindings: the operands, y, and the uniform where `scaled`. */
export function broadcastShader({ sizes, varies, width, expression, scaled }: Broadcast): Shader {
  const V = vectorType(width);
  // An operand that varies along the last axis is read in vectors, any other one in single numbers.
  const operands = varies.map((flags, k) => [`xs${k}`, read(flags.at(-1) ? V : 'f32')]);
  const index = (flags: readonly boolean[]) =>
    flags.every(Boolean) ? 'i' : ravel('i', stridesOfOperand(sizes, flags));
  const functions = broadcastFunctions(expression, width);
  const linear = varies.every((flags) => flags.every((flag) => flag === flags[0]));
  return shader(
    { ...Object.fromEntries(operands), ys: write(V), plan: scaled && broadcastPlan },
    (declarations) => wgsl`
alias V = ${V};
#if ${functions !== ''}
${functions}
#endif
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
#if ${!linear}
  ${unravel('i', sizes)}
#endif
  ${unroll(varies.length, (k) => `let x${k} = V(xs${k}[${index(varies[k])}]);`)}
  ys[i] = ${expression};
}`,
  );
}
