import { nextState, quantizerOf, STATES } from './entropy/dependent.js';

/** The least probability that counts. A less likely value is an outlier of unknown scale, whose further steps cost no bits. */
const MIN_LIKELY = 1e-12;
/** Number of magnitudes in the table, 0 to 12. Each further magnitude costs as many bits more as the last one in the table. */
export const TABULATED = 13;

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
  // The best path to each state after each value: the state before, and the magnitude of the value.
  const previous = new Uint8Array(STATES * count);
  const taken = new Int16Array(STATES * count);
  let pathCost = Float64Array.of(0, Infinity, Infinity, Infinity);
  let nextCost = new Float64Array(STATES);
  const candidates: Candidates = { cost: new Float64Array(4), magnitude: new Int16Array(4) };
  for (let k = 0; k < count; k++) {
    const i = order[k];
    findCandidates(candidates, Math.min(Math.abs(values[i]), 32000), costs, i, lambda);
    nextCost.fill(Infinity);
    for (let state = 0; state < STATES; state++) {
      if (pathCost[state] === Infinity) continue;
      for (let parity = 0; parity < 2; parity++) {
        const candidate = 2 * quantizerOf(state) + parity;
        const to = nextState(state, parity);
        const cost = pathCost[state] + candidates.cost[candidate];
        if (cost < nextCost[to]) {
          nextCost[to] = cost;
          previous[STATES * k + to] = state;
          taken[STATES * k + to] = candidates.magnitude[candidate];
        }
      }
    }
    [pathCost, nextCost] = [nextCost, pathCost];
  }
  let state = pathCost.indexOf(Math.min(...pathCost));
  const symbols = new Int16Array(values.length);
  for (let k = count - 1; k >= 0; k--) {
    const magnitude = taken[STATES * k + state];
    symbols[order[k]] = values[order[k]] < 0 ? -magnitude : magnitude;
    state = previous[STATES * k + state];
  }
  return symbols;
}

/** The best magnitude of a value and its cost, by 2 · quantizer + parity. */
interface Candidates {
  cost: Float64Array;
  magnitude: Int16Array;
}

/**
 * Finds the best magnitude of a value for both quantizers and both parities.
 * @param value in steps, not negative
 * @param i number of the value in `costs`
 */
function findCandidates(candidates: Candidates, value: number, costs: Float32Array, i: number, lambda: number): void {
  for (let quantizer = 0; quantizer < 2; quantizer++) {
    const centre = quantizer === 0 ? value : value + 0.5;
    for (let parity = 0; parity < 2; parity++) {
      const nearest = Math.max(parity, 2 * Math.round((centre - parity) / 2) + parity);
      let min = Infinity;
      let magnitude = parity;
      // It tries the nearest magnitude of this parity, the one below it, and the smallest.
      for (let n = nearest; ; n = n - 2 > parity && n === nearest ? n - 2 : parity) {
        const point = quantizer === 1 && n > 0 ? n - 0.5 : n;
        const cost = (value - point) ** 2 + lambda * bitsOf(costs, i, quantizer, n);
        if (cost < min) {
          min = cost;
          magnitude = n;
        }
        if (n === parity) break;
      }
      candidates.cost[2 * quantizer + parity] = min;
      candidates.magnitude[2 * quantizer + parity] = magnitude;
    }
  }
}
