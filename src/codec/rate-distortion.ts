import { bitsOf } from './trellis.js';

/**
 * Rounds values to symbols so that squared error, in squared steps, plus λ times bits is least, each symbol by itself:
 * rate-distortion optimised quantization. λ = 0 rounds to the nearest.
 *
 * @param values in steps
 * @param costs of `symbolCosts`, for the scales of the values in steps
 */
export function quantizeForRate(values: ArrayLike<number>, costs: Float32Array, lambda: number): Int16Array {
  const symbols = new Int16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.min(Math.abs(values[i]), 32000);
    let n = Math.round(magnitude);
    // One down adds 2·(magnitude − n) + 1 to the squared error.
    while (n > 0 && 2 * (magnitude - n) + 1 < lambda * (bitsOf(costs, i, 0, n) - bitsOf(costs, i, 0, n - 1))) n--;
    symbols[i] = values[i] < 0 ? -n : n;
  }
  return symbols;
}

/** Squared error of symbols, or of the values that they are reconstructed to, in squared steps. */
export function squaredError(values: ArrayLike<number>, reconstructed: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - reconstructed[i]) ** 2;
  return sum;
}
