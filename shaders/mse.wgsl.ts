import { linearMain } from './common/linear-index.js';
import { type TypedBinding, typedBindings } from './common/typed-bindings.js';
import { wgsl } from './common/wgsl.js';

/** Elements of one load. */
export type LossWidth = 1 | 4;

const vector = (width: LossWidth) => `alias V = ${width === 1 ? 'f32' : 'vec4f'};`;

/**
 * Partial sums of (a − b)²: each invocation adds every T-th vector, T being the number of partials.
 * Bindings: a, b, partials. The sizes are those of the bindings, so one pipeline a width serves every shape.
 */
export function msePartialsShader(width: LossWidth): string {
  return `
${vector(width)}
${typedBindings(['xs', 'r', 'V'], ['ys', 'r', 'V'], ['partials', 'w', 'f32'])}
${linearMain('arrayLength(&partials)')}
  var sum = V();
  for (var at = i; at < arrayLength(&xs); at += arrayLength(&partials)) {
    let difference = xs[at] - ys[at];
    sum += difference * difference;
  }
  partials[i] = ${width === 1 ? 'sum' : 'dot(sum, V(1.0))'};
}`;
}

/** ±2·(a − b)·dy / size, by a and by b, each only if wanted. Bindings: a, b, dy (a scalar), results. */
export function mseGradientShader(width: LossWidth, wanted: { a: boolean; b: boolean }): string {
  const outputs: TypedBinding[] = [];
  if (wanted.a) outputs.push(['dxs', 'w', 'V']);
  if (wanted.b) outputs.push(['dys', 'w', 'V']);
  return wgsl`
${vector(width)}
${typedBindings(['xs', 'r', 'V'], ['ys', 'r', 'V'], ['dy', 'r', 'f32'], ...outputs)}
${linearMain('arrayLength(&xs)')}
  let gradient = (xs[i] - ys[i]) * (2.0 * dy[0] / f32(${width}u * arrayLength(&xs)));
#if ${wanted.a}
  dxs[i] = gradient;
#endif
#if ${wanted.b}
  dys[i] = -gradient;
#endif
}`;
}
