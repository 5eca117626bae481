import { linearMain } from './common/linear-index.js';

/** Axis along which the rows of an operand lie in memory: the inner one, which the product sums over, or the outer one. */
export type Along = 'inner' | 'outer';

/** How both operands of a·b lie: a [m, k] along its inner axis k, or as [k, m] along the outer one; b likewise. */
export interface Layouts {
  a: Along;
  b: Along;
}

/** Declares the uniform of every product kernel, at the given binding: sizes, so that one pipeline serves every shape. */
export function productPlan(binding: number): string {
  return `
struct Plan {
  m: u32, n: u32, k: u32,
  aStride: u32, bStride: u32, // elements from one row in memory to the next
  perPart: u32, // elements of the inner axis that a part sums over
}
@group(0) @binding(${binding}) var<uniform> plan: Plan;`;
}

/** WGSL for the linear index of element (outer, inner). */
export function elementAt(along: Along, stride: string, outer: string, inner: string): string {
  return along === 'inner' ? `(${outer}) * ${stride} + (${inner})` : `(${inner}) * ${stride} + (${outer})`;
}

/** One invocation an output, a plain loop. Bindings: a, b, y [m, n], the plan. */
export function matmulNaiveShader({ a, b }: Layouts): string {
  return `
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
${productPlan(3)}
${linearMain('plan.m * plan.n')}
  let row = i / plan.n;
  let column = i % plan.n;
  var sum = 0.0;
  for (var k = 0u; k < plan.k; k++) {
    sum += a[${elementAt(a, 'plan.aStride', 'row', 'k')}] * b[${elementAt(b, 'plan.bStride', 'column', 'k')}];
  }
  y[i] = sum;
}`;
}
