import type { Shader } from '../src/common/shader.js';
import { stridesOf } from '../src/common/shapes.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { ravel, unravel } from './common/unravel.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** What is taken of an array: along each axis `size` elements, from `begin` on, `step` (not 0) apart. */
export interface StridedBox {
  begin: readonly number[];
  size: readonly number[];
  step: readonly number[];
}

/** Puts dy back where it was taken from dx, and 0 elsewhere: the gradient of a slice with steps. Bindings: dy, dx. */
export function stridedGradientShader(outer: readonly number[], { begin, size, step }: StridedBox): Shader {
  return shader(
    { dys: read('f32'), dxs: write('f32') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&dxs)) { return; }
  ${unravel('i', outer)}
  var taken = true;
  ${unroll(outer.length, (axis) => {
    const by = `${Math.abs(step[axis])}u`;
    const distance = step[axis] > 0 ? `i${axis} - ${begin[axis]}u` : `${begin[axis]}u - i${axis}`;
    // A distance below 0 wraps to a huge one.
    return `let d${axis} = ${distance}; let q${axis} = d${axis} / ${by};
  taken &= (d${axis} % ${by} == 0u) & (q${axis} < ${size[axis]}u);`;
  })}
  var dx = 0.0;
  if (taken) { dx = dys[${ravel('q', stridesOf(size))}]; }
  dxs[i] = dx;
}`,
  );
}
