import { f32Bindings, linearMain } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';

const functions = /* @__PURE__ */ nonFiniteFunctions();

/** y = f(x): a WGSL expression of `x`, with what `nonFiniteFunctions` declares; one pipeline serves every size. */
export function unaryShader(expression: string): string {
  return `${functions}
${f32Bindings(['xs', 'r'], ['ys', 'w'])}
${linearMain('arrayLength(&ys)')}
  let x = xs[i];
  ys[i] = ${expression};
}`;
}

/** Which of `x` and `y` a WGSL expression names. */
export function operandsOf(expression: string): ('x' | 'y')[] {
  return (['x', 'y'] as const).filter((name) => new RegExp(`\\b${name}\\b`).test(expression));
}

/**
 * dx = dy·f′(x): `derivative` is a WGSL expression of `x` and of `y` = f(x); only those it names are bound. A gradient that is
 * NaN comes through, whatever compilers make of a product with 0 or 1.
 */
export function unaryGradientShader(derivative: string): string {
  const operands = operandsOf(derivative);
  return `${functions}
${f32Bindings(...operands.map((name): [string, 'r'] => [`${name}s`, 'r']), ['dys', 'r'], ['dxs', 'w'])}
${linearMain('arrayLength(&dxs)')}
${operands.map((name) => `  let ${name} = ${name}s[i];`).join('\n')}
  let dy = dys[i];
  dxs[i] = keepNan(dy * (${derivative}), dy);
}`;
}

/** z = f(x, y) for operands of one shape. */
export function binaryShader(expression: string): string {
  return `
${f32Bindings(['xs', 'r'], ['ys', 'r'], ['zs', 'w'])}
${linearMain('arrayLength(&zs)')}
  let x = xs[i];
  let y = ys[i];
  zs[i] = ${expression};
}`;
}
