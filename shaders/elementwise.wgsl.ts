import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { elementFunctions } from './common/element-functions.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** y = f(x): a WGSL expression of `x`, with what `elementFunctions` declares; one pipeline serves every size. */
export function unaryShader(expression: string): Shader {
  return shader(
    { xs: read('f32'), ys: write('f32') },
    (declarations) => wgsl`
${elementFunctions(expression)}
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let x = xs[i];
  ys[i] = ${expression};
}`,
  );
}

/** Which of `x` and `y` a WGSL expression names. */
export function operandsOf(expression: string): ('x' | 'y')[] {
  return (['x', 'y'] as const).filter((name) => new RegExp(`\\b${name}\\b`).test(expression));
}

/**
 * dx = dy·f′(x): `derivative` is a WGSL expression of `x` and of `y` = f(x); only those it names are bound. A gradient that is
 * NaN stays NaN, even where compilers simplify products with 0 or 1.
 */
export function unaryGradientShader(derivative: string): Shader {
  const [ofX, ofY] = (['x', 'y'] as const).map((name) => operandsOf(derivative).includes(name));
  return shader(
    {
      xs: ofX && read('f32'),
      ys: ofY && read('f32'),
      dys: read('f32'),
      dxs: write('f32'),
    },
    (declarations) => wgsl`
${elementFunctions(derivative)}
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&dxs)) { return; }
#if ${ofX}
  let x = xs[i];
#endif
#if ${ofY}
  let y = ys[i];
#endif
  let dy = dys[i];
  dxs[i] = keepNan(dy * (${derivative}), dy);
}`,
  );
}

/** z = f(x, y) for operands of one shape. */
export function binaryShader(expression: string): Shader {
  return shader(
    { xs: read('f32'), ys: read('f32'), zs: write('f32') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&zs)) { return; }
  let x = xs[i];
  let y = ys[i];
  zs[i] = ${expression};
}`,
  );
}
