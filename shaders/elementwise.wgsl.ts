import { f32Bindings, linearMain } from './common/linear-index.js';

/** y = f(x): `body` is a WGSL expression of `x`; one pipeline serves every size. */
export function unaryShader(expression: string): string {
  return `
${f32Bindings(['xs', 'r'], ['ys', 'w'])}
${linearMain('arrayLength(&ys)')}
  let x = xs[i];
  ys[i] = ${expression};
}`;
}

/** dx = dy·f′(x): `derivative` is a WGSL expression of `x` and of `y` = f(x). */
export function unaryGradientShader(derivative: string): string {
  return `
${f32Bindings(['xs', 'r'], ['ys', 'r'], ['dys', 'r'], ['dxs', 'w'])}
${linearMain('arrayLength(&dxs)')}
  let x = xs[i];
  let y = ys[i];
  dxs[i] = dys[i] * (${derivative});
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
