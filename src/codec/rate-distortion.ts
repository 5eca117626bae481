/** What is less likely is an outlier whose scale is not known: its last steps then count as free, and it is kept. */
const LEAST_LIKELY = 1e-12;

/** Bits of a symbol of magnitude n, under a logistic distribution around 0 of this scale. */
export function logisticBitsOf(n: number, scale: number): number {
  const below = 1 / (1 + Math.exp(-(n - 0.5) / scale));
  const above = 1 / (1 + Math.exp(-(n + 0.5) / scale));
  return -Math.log2(Math.max(above - below, LEAST_LIKELY));
}

/** Symbols larger than this cost little more than their neighbour whatever the scale. */
const TABULATED = 12;

/** What a symbol costs more than the one below it, by magnitude 1…12: [values · 12]. */
export function stepCosts(scales: ArrayLike<number>): Float32Array {
  const costs = new Float32Array(scales.length * TABULATED);
  for (let i = 0; i < scales.length; i++) {
    const scale = Math.max(scales[i], 0.08);
    for (let n = 1; n <= TABULATED; n++) {
      costs[i * TABULATED + n - 1] = logisticBitsOf(n, scale) - logisticBitsOf(n - 1, scale);
    }
  }
  return costs;
}

/**
 * Rounds values to symbols so that squared error, in squared steps, plus λ times bits is least, each symbol by itself:
 * rate-distortion optimised quantization. λ = 0 rounds to the nearest.
 *
 * @param values in steps
 * @param costs of `stepCosts`, for the scales of the values in steps
 */
export function quantizeForRate(values: ArrayLike<number>, costs: Float32Array, lambda: number): Int16Array {
  const symbols = new Int16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.min(Math.abs(values[i]), 32000);
    let n = Math.round(magnitude);
    // One down adds 2·(magnitude − n) + 1 to the squared error.
    while (n > 0) {
      const saved = costs[i * TABULATED + Math.min(n, TABULATED) - 1];
      if (2 * (magnitude - n) + 1 >= lambda * saved) break;
      n--;
    }
    symbols[i] = values[i] < 0 ? -n : n;
  }
  return symbols;
}

/** Squared error of symbols, or of the levels that they stand for, in squared steps. */
export function squaredError(values: ArrayLike<number>, levels: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - levels[i]) ** 2;
  return sum;
}
