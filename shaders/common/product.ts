import { wgsl } from './wgsl.js';

/** WGSL that stores 4 numbers of a row of a product, which begins at `start` of y; `whole` where n is a multiple of 4. */
export function storeProduct(whole: boolean): string {
  return wgsl`
fn storeSums(start: u32, column: u32, value: vec4f) {
#if ${whole}
  if (column < plan.n) { y[(start + column) / 4] = value; }
#else
  for (var e = 0u; e < 4; e++) {
    if (column + e < plan.n) { y[start + column + e] = value[e]; }
  }
#endif
}`;
}
