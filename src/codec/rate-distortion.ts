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

/** What values multiply by at a quantization index. */
export const gainOf = (t: number): number => 2 ** (t / 8);

/** `stepCosts` of the values of a model, by quantization index; worked out once for each. */
export class IndexCosts {
  readonly #known = new Map<number, Float32Array>();

  /** @param scales logistic scale of each value at index 0, in steps of that index */
  constructor(readonly scales: Float64Array) {}

  at(t: number): Float32Array {
    let costs = this.#known.get(t);
    if (!costs) this.#known.set(t, (costs = stepCosts(this.scales.map((scale) => scale * gainOf(t)))));
    return costs;
  }
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
  for (let i = 0; i < values.length; i++) symbols[i] = roundForRate(values[i], costs, i, lambda);
  return symbols;
}

/** As `quantizeForRate`, for the value whose costs have this index. */
export function roundForRate(value: number, costs: Float32Array, index: number, lambda: number): number {
  const magnitude = Math.min(Math.abs(value), 32000);
  let n = Math.round(magnitude);
  // One down adds 2·(magnitude − n) + 1 to the squared error.
  while (n > 0) {
    const saved = costs[index * TABULATED + Math.min(n, TABULATED) - 1];
    if (2 * (magnitude - n) + 1 >= lambda * saved) break;
    n--;
  }
  return value < 0 ? -n : n;
}

/** Squared error of symbols, in squared steps. */
export function squaredError(values: ArrayLike<number>, symbols: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - symbols[i]) ** 2;
  return sum;
}
