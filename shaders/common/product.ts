import { wgsl } from './wgsl.js';

/** WGSL that stores 4 numbers of a product's row, [parts or products, m, n]; `whole` where n is a multiple of 4. */
export function storeProduct(whole: boolean): string {
  return wgsl`
fn storeSums(part: u32, row: u32, column: u32, value: vec4f) {
  if (row >= plan.m) { return; }
  let at = (part * plan.m + row) * plan.n + column;
#if ${whole}
  if (column < plan.n) { y[at / 4] = value; }
#else
  for (var e = 0u; e < 4; e++) {
    if (column + e < plan.n) { y[at + e] = value[e]; }
  }
#endif
}`;
}
