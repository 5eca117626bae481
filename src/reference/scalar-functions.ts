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

/** The error function, by the series 7.1.6 of Abramowitz and Stegun, whose terms have one sign. */
export function errorFunction(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x); // to the last bit of float64
  let term = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * x;
  let sum = term;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum;
}

/** x to the nearest integer, and to the even one of two. */
export function roundToEven(x: number): number {
  return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}

/** aᵇ: as IEEE 754 has it, but NaN where a or b is NaN. */
export function power(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
  return Math.abs(a) === 1 && Math.abs(b) === Infinity ? 1 : a ** b; // JavaScript's 1 ** Infinity is NaN
}
