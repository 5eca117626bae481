import { clampInteger, powerOfEighths } from '../../codec/entropy/fixed-point.js';
import { GAIN_ONE, MAX_UNITS, WEIGHT_ONE } from '../../codec/entropy/latent-model.js';
import { predictMean, reconstruct } from '../../codec/entropy/latent-walk.js';
import { MEAN_UNITS } from '../../codec/entropy/symbol-distribution.js';
import { chooseReferences } from './fit-references.js';
import type { FitSamples } from './fit-samples.js';
import type { SymbolSource } from './fit-symbols.js';

export interface Predictors {
  mean: Int32Array;
  /** By latent in coding order. */
  references: Int32Array[];
  weights: Int32Array[];
  /** Mean distance of latent and prediction at the step of the fit, in units. */
  distance: Float64Array;
  /** Mean of squares by square of the mean of those distances: 2 for a Laplacian, π/2 for a normal distribution. */
  heaviness: Float64Array;
}

/** How much of its diagonal is added to a matrix of normal equations. */
const RIDGE = 0.003;

/**
 * Weights by ridge regression of each latent on what the decoder will know of its references at step `qIndex`. Latents are taken
 * in coding order, so that every one is fitted to values made by the predictions before it.
 */
export function fitPredictors(source: SymbolSource, qIndex: number, maxReferences: number): Predictors {
  const { samples } = source;
  const { middles } = source.at(qIndex);
  const { channels, height, width, count, units, order } = samples;
  const positions = height * width;
  const latents = channels * positions;
  const references = chooseReferences(source, qIndex, maxReferences);
  const weights: Int32Array[] = [];
  const mean = new Int32Array(latents);
  const distance = new Float64Array(latents);
  const heaviness = new Float64Array(latents);
  const values = new Float32Array(latents * count);
  const sums = new Float64Array(count);
  for (let latent = 0; latent < latents; latent++) {
    const own = units.subarray(latent * count, (latent + 1) * count);
    let total = 0;
    for (let k = 0; k < count; k++) total += own[k];
    mean[latent] = clampInteger(Math.round(total / count), -MAX_UNITS, MAX_UNITS);
    const rows = Array.from(references[latent], (r) => values.subarray(r * count, (r + 1) * count));
    const solved = regress(rows, own, mean[latent]).map((w) => clampInteger(Math.round(w * WEIGHT_ONE), -32768, 32768));
    const kept = [...solved.keys()].filter((k) => solved[k] !== 0);
    references[latent] = Int32Array.from(kept, (k) => references[latent][k]);
    weights[latent] = Int32Array.from(kept, (k) => solved[k]);
    sums.fill(0);
    for (const k of kept) addScaled(sums, rows[k], solved[k]);
    const { meansPerUnit, unitsPerMean } = powersOf(samples, qIndex, order[Math.floor(latent / positions)]);
    let absolute = 0;
    let squares = 0;
    for (let k = 0; k < count; k++) {
      const predicted = predictMean(mean[latent], GAIN_ONE, sums[k], meansPerUnit);
      values[latent * count + k] = reconstruct(middles[latent * count + k], predicted, unitsPerMean) - mean[latent];
      const rest = Math.abs(own[k] - predicted * unitsPerMean);
      absolute += rest / count;
      squares += rest ** 2 / count;
    }
    distance[latent] = absolute;
    heaviness[latent] = absolute > 0 ? squares / absolute ** 2 : 2;
  }
  return { mean, references, weights, distance, heaviness };
}

/** Factors of the predictions at step `qIndex`, and the remaining distances from the latents, by channel. */
export function measurePredictors(
  source: SymbolSource,
  { mean, references, weights, distance }: Predictors,
  qIndex: number,
  maxFaces: number,
): { gain: Int32Array; shift: Int32Array } {
  const { samples } = source;
  const { middles } = source.at(qIndex);
  const { channels, height, width, count, units, order } = samples;
  const positions = height * width;
  const faces = Math.min(count, maxFaces);
  const values = new Float32Array(channels * positions * faces);
  const gain = new Int32Array(channels);
  const shift = new Int32Array(channels);
  const sums = new Float64Array(faces);
  for (let rank = 0; rank < channels; rank++) {
    const c = order[rank];
    const { meansPerUnit, unitsPerMean } = powersOf(samples, qIndex, c);
    gain[c] = GAIN_ONE;
    // First with the predictions as they are, to see how good they are; then as they will be used.
    for (const pass of ['measure', 'use'] as const) {
      let product = 0;
      let square = 0;
      let found = 0;
      let expected = 0;
      for (let p = 0; p < positions; p++) {
        const latent = rank * positions + p;
        sums.fill(0);
        references[latent].forEach((r, i) => {
          addScaled(sums, values.subarray(r * faces, (r + 1) * faces), weights[latent][i]);
        });
        for (let k = 0; k < faces; k++) {
          const own = units[latent * count + k];
          const predicted = predictMean(mean[latent], gain[c], sums[k], meansPerUnit);
          values[latent * faces + k] = reconstruct(middles[latent * count + k], predicted, unitsPerMean) - mean[latent];
          product += ((own - mean[latent]) * sums[k]) / WEIGHT_ONE;
          square += (sums[k] / WEIGHT_ONE) ** 2;
          found += Math.abs(own - predicted * unitsPerMean);
        }
        expected += distance[latent] * faces;
      }
      if (pass === 'measure')
        gain[c] = square > 0 ? clampInteger(Math.round((GAIN_ONE * product) / square), 0, 2 * GAIN_ONE) : 0;
      else
        shift[c] = found > 0 && expected > 0 ? clampInteger(Math.round(8 * Math.log2(found / expected)), -32, 32) : 0;
    }
  }
  return { gain, shift };
}

function powersOf({ gain, unit, channels }: FitSamples, qIndex: number, c: number) {
  const eighths = gain[qIndex * channels + c] - unit[c];
  return { meansPerUnit: powerOfEighths(eighths) * MEAN_UNITS, unitsPerMean: powerOfEighths(-eighths) / MEAN_UNITS };
}

function addScaled(sums: Float64Array, row: Float32Array, weight: number): void {
  for (let k = 0; k < sums.length; k++) sums[k] += weight * row[k];
}

/** Weights of the rows whose sum comes nearest to `wanted` − mean, in least squares with a ridge. */
function regress(rows: readonly Float32Array[], wanted: Float32Array, mean: number): number[] {
  const n = rows.length;
  const matrix = Array.from({ length: n }, () => new Float64Array(n + 1));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) matrix[i][j] = matrix[j][i] = product(rows[i], rows[j]);
    let sum = 0;
    for (let k = 0; k < wanted.length; k++) sum += rows[i][k] * (wanted[k] - mean);
    matrix[i][n] = sum;
  }
  for (let i = 0; i < n; i++) matrix[i][i] *= 1 + RIDGE;
  return solve(matrix);
}

function product(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

/** Solves a positive semidefinite system, given with its right side as the last column. A zero pivot gives zero. */
export function solve(matrix: readonly Float64Array[]): number[] {
  const n = matrix.length;
  const diagonal = matrix.map((row, i) => row[i]);
  for (let i = 0; i < n; i++) {
    if (!(matrix[i][i] > 1e-9 * diagonal[i])) continue;
    for (let r = i + 1; r < n; r++) {
      const factor = matrix[r][i] / matrix[i][i];
      for (let k = i; k <= n; k++) matrix[r][k] -= factor * matrix[i][k];
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    if (!(matrix[i][i] > 1e-9 * diagonal[i])) continue;
    let rest = matrix[i][n];
    for (let k = i + 1; k < n; k++) rest -= matrix[i][k] * solution[k];
    solution[i] = rest / matrix[i][i];
  }
  return solution;
}
