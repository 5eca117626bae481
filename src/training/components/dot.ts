/** The sum of products of two stretches of `length` values. Two sums run side by side, which is faster. */
export function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, length: number): number {
  let [first, second] = [0, 0];
  let i = 0;
  for (; i + 1 < length; i += 2) {
    first += a[atA + i] * b[atB + i];
    second += a[atA + i + 1] * b[atB + i + 1];
  }
  return i < length ? first + second + a[atA + i] * b[atB + i] : first + second;
}
