/** 1 / (1 + e^−x), without overflow. */
export function logistic(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** `gradient` where min ≤ x ≤ max, else 0; NaN where x or the gradient is, since a NaN may be on either side. */
export function within(x: number, min: number, max: number, gradient: number): number {
  if (Number.isNaN(x) || Number.isNaN(gradient)) return Number.NaN;
  return x >= min && x <= max ? gradient : 0;
}
