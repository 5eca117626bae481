import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** Elements of one load. */
export type LossWidth = 1 | 4;

/**
 * Partial sums of (a − b)²: each invocation adds every T-th vector, T being the number of partials.
 * Bindings: a, b, partials. The sizes are those of the bindings, so one pipeline a width serves every shape.
 */
export function msePartialsShader(width: LossWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: read(V), partials: write('f32') },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&partials)) { return; }
  var sum = V();
  for (var at = i; at < arrayLength(&xs); at += arrayLength(&partials)) {
    let difference = xs[at] - ys[at];
    sum += difference * difference;
  }
#if ${width === 1}
  partials[i] = sum;
#else
  partials[i] = dot(sum, V(1.0));
#endif
}`,
  );
}

/** ±2·(a − b)·dy / size, by a and by b, each only if wanted. Bindings: a, b, dy (a scalar), results. */
export function mseGradientShader(width: LossWidth, wanted: { a: boolean; b: boolean }): Shader {
  const V = vectorType(width);
  return shader(
    {
      xs: read(V),
      ys: read(V),
      dy: read('f32'),
      dxs: wanted.a && write(V),
      dys: wanted.b && write(V),
    },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&xs)) { return; }
  let gradient = (xs[i] - ys[i]) * (2.0 * dy[0] / f32(${width}u * arrayLength(&xs)));
#if ${wanted.a}
  dxs[i] = gradient;
#endif
#if ${wanted.b}
  dys[i] = -gradient;
#endif
}`,
  );
}
