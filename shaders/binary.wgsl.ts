import { linearMain } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';

export interface Broadcast {
  /** Sizes of the output's axes, in units of `width` along the last. */
  sizes: readonly number[];
  /** For each operand, along which axes it varies; it is stretched along the others. */
  varies: readonly (readonly boolean[])[];
  /** Elements an invocation: vec4 where the last axis allows. */
  width: 1 | 4;
  /** WGSL in the operands `x0`, `x1`, …, each of type `V`, and in `scale`, a number of the uniform, if `scaled`. */
  expression: string;
  scaled: boolean;
}

/** y = f(x0, x1, …) with broadcasting. Bindings: the operands, y, and the uniform where `scaled`. */
export function broadcastShader({ sizes, varies, width, expression, scaled }: Broadcast): string {
  const vector = width === 1 ? 'f32' : 'vec4f';
  const last = sizes.length - 1;
  const strides = varies.map((flags) => {
    // An operand that varies along the last axis is read in vectors, any other one in single numbers.
    let stride = 1;
    const out = sizes.map(() => 0);
    for (let axis = last; axis >= 0; axis--) {
      if (!flags[axis]) continue;
      out[axis] = stride;
      stride *= sizes[axis];
    }
    return out;
  });
  const declare = (name: string, binding: number, access: string, type: string) =>
    `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${type}>;`;
  const index = (k: number) => (varies[k].every(Boolean) ? 'i' : ravel('i', strides[k]));
  const linear = varies.every((flags) => flags.every((flag) => flag === flags[0]));
  return `
alias V = ${vector};
${varies.map((flags, k) => declare(`xs${k}`, k, 'read', flags[last] ? 'V' : 'f32')).join('\n')}
${declare('ys', varies.length, 'read_write', 'V')}
${scaled ? `@group(0) @binding(${varies.length + 1}) var<uniform> scale: f32;` : ''}
${linearMain('arrayLength(&ys)')}
${linear ? '' : unravel('i', sizes)}
${varies.map((_, k) => `  let x${k} = V(xs${k}[${index(k)}]);`).join('\n')}
  ys[i] = ${expression};
}`;
}
