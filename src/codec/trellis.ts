import { nextState, quantizerOf, STATES } from './entropy/dependent.js';

/** What is less likely is an outlier whose scale is not known: its last steps then count as free. */
const MIN_LIKELY = 1e-12;
/** Magnitudes 0…12 have their bits in the table; each beyond takes as many more as the last one. */
const TABULATED = 13;

/**
 * Bits of a symbol of each magnitude, under a logistic distribution around 0: [values, quantizers, TABULATED]. The first
 * quantizer is that of plain quantization, too.
 * @param scales in steps
 */
export function symbolCosts(scales: ArrayLike<number>): Float32Array {
  const costs = new Float32Array(scales.length * 2 * TABULATED);
  for (let i = 0; i < scales.length; i++) {
    const scale = Math.max(scales[i], 0.05);
    const below = (x: number): number => 1 / (1 + Math.exp(-x / scale));
    for (let n = 0; n < TABULATED; n++) {
      const at = 2 * i * TABULATED + n;
      const bits = (low: number, high: number): number => -Math.log2(Math.max(below(high) - below(low), MIN_LIKELY));
      costs[at] = bits(n - 0.5, n + 0.5);
      // 0, then ½, 1½, …: half way between them are ¼, 1, 2, …
      costs[at + TABULATED] = n === 0 ? bits(-0.25, 0.25) : bits(n === 1 ? 0.25 : n - 1, n);
    }
  }
  return costs;
}

/** Bits of a magnitude of value i by `symbolCosts`. */
export function bitsOf(costs: Float32Array, i: number, quantizer: number, magnitude: number): number {
  const table = (2 * i + quantizer) * TABULATED;
  if (magnitude < TABULATED) return costs[table + magnitude];
  const last = costs[table + TABULATED - 1];
  return last + (magnitude - TABULATED + 1) * (last - costs[table + TABULATED - 2]);
}

/** Bits of symbols as `quantizeDependent` counts them. */
export function trellisBits(symbols: ArrayLike<number>, costs: Float32Array, order: ArrayLike<number>): number {
  let bits = 0;
  let state = 0;
  for (let k = 0; k < order.length; k++) {
    const symbol = symbols[order[k]];
    bits += bitsOf(costs, order[k], quantizerOf(state), Math.abs(symbol));
    state = nextState(state, symbol);
  }
  return bits;
}

/**
 * Symbols of dependent quantization for which squared error, in squared steps, plus λ times bits is least over the whole
 * sequence (Viterbi's algorithm), among the nearest magnitude of either parity, the one below it, and the smallest.
 *
 * @param values in steps
 * @param costs of `symbolCosts`, for the scales of the values in steps
 * @param order in which the values are coded
 */
export function quantizeDependent(
  values: ArrayLike<number>,
  costs: Float32Array,
  lambda: number,
  order: ArrayLike<number>,
): Int16Array {
  const count = order.length;
  // Of the best way to each state: what it costs, where it comes from, and the magnitude it takes.
  const from = new Uint8Array(STATES * count);
  const taken = new Int16Array(STATES * count);
  let best = Float64Array.of(0, Infinity, Infinity, Infinity);
  let next = new Float64Array(STATES);
  const cost = new Float64Array(4);
  const magnitudes = new Int16Array(4);
  for (let k = 0; k < count; k++) {
    const i = order[k];
    const value = Math.min(Math.abs(values[i]), 32000);
    for (let quantizer = 0; quantizer < 2; quantizer++) {
      const centre = quantizer === 0 ? value : value + 0.5;
      for (let parity = 0; parity < 2; parity++) {
        const nearest = Math.max(parity, 2 * Math.round((centre - parity) / 2) + parity);
        let min = Infinity;
        let magnitude = parity;
        // The nearest one, the one below it, and the smallest.
        for (let n = nearest; ; n = n - 2 > parity && n === nearest ? n - 2 : parity) {
          const point = quantizer === 1 && n > 0 ? n - 0.5 : n;
          const paid = (value - point) ** 2 + lambda * bitsOf(costs, i, quantizer, n);
          if (paid < min) {
            min = paid;
            magnitude = n;
          }
          if (n === parity) break;
        }
        cost[2 * quantizer + parity] = min;
        magnitudes[2 * quantizer + parity] = magnitude;
      }
    }
    next.fill(Infinity);
    for (let state = 0; state < STATES; state++) {
      if (best[state] === Infinity) continue;
      for (let parity = 0; parity < 2; parity++) {
        const way = 2 * quantizerOf(state) + parity;
        const to = nextState(state, parity);
        const paid = best[state] + cost[way];
        if (paid < next[to]) {
          next[to] = paid;
          from[STATES * k + to] = state;
          taken[STATES * k + to] = magnitudes[way];
        }
      }
    }
    [best, next] = [next, best];
  }
  let state = best.indexOf(Math.min(...best));
  const symbols = new Int16Array(values.length);
  for (let k = count - 1; k >= 0; k--) {
    const magnitude = taken[STATES * k + state];
    symbols[order[k]] = values[order[k]] < 0 ? -magnitude : magnitude;
    state = from[STATES * k + state];
  }
  return symbols;
}
