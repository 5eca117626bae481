import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** Axis along which the rows of an operand lie in memory: the inner one, which the product sums over, or the outer one. */
export type Along = 'inner' | 'outer';

/** How both operands of a·b lie: a [m, k] along its inner axis k, or as [k, m] along the outer one; b likewise. */
export interface Layouts {
  a: Along;
  b: Along;
}

/** The uniform of every product kernel: sizes, so that one pipeline serves every shape. */
export const productPlan = /* @__PURE__ */ uniform({
  m: 'u32',
  n: 'u32',
  k: 'u32',
  // Elements from one row in memory to the next.
  aStride: 'u32',
  bStride: 'u32',
  // Elements of the inner axis that a part sums over.
  perPart: 'u32',
});

/** WGSL for the linear index of element (outer, inner). */
export function elementAt(along: Along, stride: string, outer: string, inner: string): string {
  return along === 'inner' ? `(${outer}) * ${stride} + (${inner})` : `(${inner}) * ${stride} + (${outer})`;
}

/**
 * One invocation an output, a plain loop. Bindings: a, b, y [m, n], the plan.
 * @param batched y is [products, m, n], of matrices that lie one after the other
 */
export function matmulNaiveShader({ a, b }: Layouts, batched = false): Shader {
  const [fromA, fromB] = batched ? ['matrix * plan.m * plan.k + ', 'matrix * plan.k * plan.n + '] : ['', ''];
  return shader(
    { a: read('f32'), b: read('f32'), y: write('f32'), plan: productPlan },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
#if ${batched}
  if (i >= arrayLength(&y)) { return; }
  let matrix = i / (plan.m * plan.n);
  let row = i / plan.n % plan.m;
#else
  if (i >= plan.m * plan.n) { return; }
  let row = i / plan.n;
#endif
  let column = i % plan.n;
  var sum = 0.0;
  for (var k = 0u; k < plan.k; k++) {
    sum += a[${fromA}${elementAt(a, 'plan.aStride', 'row', 'k')}] * b[${fromB}${elementAt(b, 'plan.bStride', 'column', 'k')}];
  }
  y[i] = sum;
}`,
  );
}
