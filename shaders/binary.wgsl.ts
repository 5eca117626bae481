import type { Shader } from '../src/common/shader.js';
import { type NumberType, read, shader, uniform, vectorType, write } from './common/bindings.js';
import { broadcastFunctions } from './common/element-functions.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

export interface Broadcast {
  /** Sizes of the output's axes, in units of `width` along the last. */
  sizes: readonly number[];
  /** For each operand, the axes along which it varies; along the others it is stretched. One that is null is `plan.scale`. */
  varies: readonly (readonly boolean[] | null)[];
  /** Type of each operand's elements. */
  types: readonly NumberType[];
  /** Type of the output's elements. */
  result: NumberType;
  /** Elements an invocation: vec4 where the last axis allows. */
  width: 1 | 4;
  /**
   * WGSL in the operands `x0`, `x1`, …, each of type `V` (or `I`, `U` for integers), with what `broadcastFunctions` declares, and in
   * `plan.scale` of the uniform, if `scaled`.
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

const ALIASES = { f32: 'V', i32: 'I', u32: 'U' };

/** y = f(x0, x1, …) with broadcasting. Bindings: the operands, y, and the uniform where `scaled`. */
export function broadcastShader({ sizes, varies, types, result, width, expression, scaled }: Broadcast): Shader {
  const given = varies.flatMap((flags, k) => (flags ? [{ flags, k }] : []));
  // An operand that varies along the last axis is read in vectors, any other one in single numbers.
  const operands = given.map(({ flags, k }) => [`xs${k}`, read(flags.at(-1) ? vectorType(width, types[k]) : types[k])]);
  const index = (flags: readonly boolean[]) =>
    flags.every(Boolean) ? 'i' : ravel('i', stridesOfOperand(sizes, flags));
  const elementOf = (flags: readonly boolean[] | null, k: number) =>
    flags ? `xs${k}[${index(flags)}]` : types[k] === 'f32' ? 'plan.scale' : `${types[k]}(plan.scale)`;
  const functions = broadcastFunctions(expression, width);
  const linear = given.every(({ flags }) => flags.every((flag) => flag === flags[0]));
  const integers = types.concat(result).some((type) => type !== 'f32');
  return shader(
    { ...Object.fromEntries(operands), ys: write(vectorType(width, result)), plan: scaled && broadcastPlan },
    (declarations) => wgsl`
alias V = ${vectorType(width)};
#if ${integers}
alias I = ${vectorType(width, 'i32')};
alias U = ${vectorType(width, 'u32')};
#endif
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
  ${unroll(varies.length, (k) => `let x${k} = ${ALIASES[types[k]]}(${elementOf(varies[k], k)});`)}
  ys[i] = ${expression};
}`,
  );
}
