import { reconstructionValues } from '../../src/codec/entropy/dependent.js';
import { LAMBDA_ONE, ROWS_PER_INDEX, rowScales, rowsOf, type TrellisJob } from '../../src/codec/integer-trellis.js';
import { squaredError } from '../../src/codec/rate-distortion.js';
import { quantizeDependent, symbolCosts, trellisBits } from '../../src/codec/trellis.js';
import { CounterRandom } from '../../src/common/random.js';

/** Values of an imaginary face for a trellis, and what the float64 trellis makes of them. */
export interface TrellisFace {
  values: Float32Array;
  rows: Int32Array;
  order: Int32Array;
  job: TrellisJob;
  /** The symbols by float64. */
  expected: Int16Array;
  /** Squared error plus λ times bits, in float64. */
  cost(symbols: Int16Array): number;
  /** A second λ, from a step on, and what symbols cost with both. */
  split: { at: number; lambda: number; cost(symbols: Int16Array): number };
}

/**
 * Faces of logistic values whose scales fall from 12 steps to a twentieth, some with outliers, coded in a mixed order, with
 * various steps and λ.
 */
export function trellisFaces(faces: number, count = 501): TrellisFace[] {
  const random = new CounterRandom(9);
  const logistic = (): number => {
    const u = random.uniform();
    return Math.log((u + 1e-9) / (1 - u + 1e-9));
  };
  // 250 and the number of values have no common factor.
  const order = Int32Array.from({ length: count }, (_, k) => (k * 250) % count);
  const scales = Float64Array.from({ length: count }, (_, i) => 12 * 0.989 ** i + 0.04);
  const rows = rowsOf(scales, order);
  return Array.from({ length: faces }, (_, face) => {
    const wild = face % 4 === 3 ? 4 : 1;
    const values = Float32Array.from(scales, (scale) => scale * logistic() * (random.uniform() < 0.03 ? wild : 1));
    const eighths = (face % 9) - 4;
    const lambda = face % 8 === 0 ? 0 : Math.round(LAMBDA_ONE * 0.02 * 2 ** (5 * random.uniform()));
    const job = { gain: 2 ** (eighths / 8), shift: ROWS_PER_INDEX * eighths, lambda };
    const scaled = Float64Array.from(values, (value) => Math.fround(value * Math.fround(job.gain)));
    const own = new Float64Array(count);
    const all = rowScales();
    order.forEach((i, k) => {
      own[i] = all[Math.max(0, Math.min(all.length - 1, rows[k] + job.shift))];
    });
    const costs = symbolCosts(own);
    const errorOf = (symbols: Int16Array): number => squaredError(scaled, reconstructionValues(symbols, order));
    const at = 200;
    const bitsBefore = (symbols: Int16Array, end: number) => trellisBits(symbols, costs, order.subarray(0, end));
    const then = Math.round(1.4 * lambda);
    return {
      values,
      rows,
      order,
      job,
      expected: quantizeDependent(scaled, costs, lambda / LAMBDA_ONE, order),
      cost: (symbols) => errorOf(symbols) + (lambda / LAMBDA_ONE) * bitsBefore(symbols, count),
      split: {
        at,
        lambda: then,
        cost: (symbols) =>
          errorOf(symbols) +
          (lambda / LAMBDA_ONE) * bitsBefore(symbols, at) +
          (then / LAMBDA_ONE) * (bitsBefore(symbols, count) - bitsBefore(symbols, at)),
      },
    };
  });
}
