import type { SymbolSource } from './fit-symbols.js';

/** Number of faces for correlations; more would not change the choice of latents. */
const MAX_FACES = 2048;
/** The best-correlated earlier latents, from which references are chosen. */
const CANDIDATES = 128;
/** Rows of a block of the correlation matrix; its columns stay in the cache meanwhile. */
const BLOCK = 4;

/**
 * For each latent, the earlier ones that together predict it best, by forward selection on the correlations of the
 * symbols at step `qIndex`.
 */
export function chooseReferences(source: SymbolSource, qIndex: number, max: number): Int32Array[] {
  const { channels, height, width } = source.samples;
  const latents = channels * height * width;
  const { rows, active, faces } = standardised(source, qIndex);
  const correlations = correlate(rows, active.length, faces);
  // What an unrelated latent would explain by chance, the best of many.
  const chance = (2 * Math.log(latents)) / faces;
  const chosen: Int32Array[] = Array.from({ length: latents }, () => new Int32Array(0));
  active.forEach((latent, i) => {
    chosen[latent] = Int32Array.from(select(correlations, i, max, chance), (j) => active[j]).sort();
  });
  return chosen;
}

/** Symbols with mean 0 and squares that sum up to 1, of the latents that are not always the same. */
function standardised(source: SymbolSource, qIndex: number) {
  const { count, channels, height, width } = source.samples;
  const { middles } = source.at(qIndex);
  const positions = height * width;
  const stride = Math.ceil(count / MAX_FACES);
  const faces = Math.ceil(count / stride);
  const padded = Math.ceil((channels * positions) / BLOCK) * BLOCK;
  const rows = new Float32Array(padded * faces);
  const active: number[] = [];
  for (let latent = 0; latent < channels * positions; latent++) {
    const row = rows.subarray(active.length * faces, (active.length + 1) * faces);
    for (let k = 0; k < faces; k++) row[k] = middles[latent * count + k * stride];
    const mean = row.reduce((a, b) => a + b, 0) / faces;
    let squares = 0;
    for (let k = 0; k < faces; k++) squares += (row[k] - mean) ** 2;
    if (squares > 0) {
      for (let k = 0; k < faces; k++) row[k] = (row[k] - mean) / Math.sqrt(squares);
      active.push(latent);
    }
  }
  // The row after the last active one may have values of a latent that was left out.
  rows.fill(0, active.length * faces);
  return { rows, active, faces };
}

/** The lower triangle of the matrix of scalar products, row by row. */
function correlate(rows: Float32Array, count: number, length: number): (i: number, j: number) => number {
  const products = new Float32Array((count * (count + 1)) / 2);
  const put = (i: number, j: number, value: number): void => {
    if (i < count && j <= i) products[(i * (i + 1)) / 2 + j] = value;
  };
  for (let i = 0; i < count; i += BLOCK) {
    const i0 = i * length;
    const i1 = i0 + length;
    const i2 = i1 + length;
    const i3 = i2 + length;
    for (let column = 0; column < i + BLOCK; column += 2) {
      const j0 = column * length;
      const j1 = j0 + length;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      let s20 = 0;
      let s21 = 0;
      let s30 = 0;
      let s31 = 0;
      for (let k = 0; k < length; k++) {
        const b0 = rows[j0 + k];
        const b1 = rows[j1 + k];
        const a0 = rows[i0 + k];
        const a1 = rows[i1 + k];
        const a2 = rows[i2 + k];
        const a3 = rows[i3 + k];
        s00 += a0 * b0;
        s01 += a0 * b1;
        s10 += a1 * b0;
        s11 += a1 * b1;
        s20 += a2 * b0;
        s21 += a2 * b1;
        s30 += a3 * b0;
        s31 += a3 * b1;
      }
      put(i, column, s00);
      put(i, column + 1, s01);
      put(i + 1, column, s10);
      put(i + 1, column + 1, s11);
      put(i + 2, column, s20);
      put(i + 2, column + 1, s21);
      put(i + 3, column, s30);
      put(i + 3, column + 1, s31);
    }
  }
  return (i, j) => (j <= i ? products[(i * (i + 1)) / 2 + j] : products[(j * (j + 1)) / 2 + i]);
}

/** Indices below `target`, the best first: each explains the most of what the ones before it leave unexplained. */
function select(correlation: (i: number, j: number) => number, target: number, max: number, chance: number): number[] {
  const candidates: number[] = [];
  for (let j = 0; j < target; j++) if (correlation(target, j) ** 2 > chance) candidates.push(j);
  const strength = (j: number): number => Math.abs(correlation(target, j));
  candidates.sort((a, b) => strength(b) - strength(a) || a - b);
  candidates.length = Math.min(candidates.length, CANDIDATES);
  // Pivoted Cholesky factorisation of the candidates' correlations, with the target as one more row.
  const left = Float64Array.from(candidates, () => 1);
  const covariance = Float64Array.from(candidates, (j) => correlation(target, j));
  let unexplained = 1;
  const chosen: number[] = [];
  const factors: Float64Array[] = [];
  while (chosen.length < max) {
    let best = -1;
    let bestGain = chance * unexplained;
    for (let l = 0; l < candidates.length; l++) {
      const gain = left[l] > 0.02 ? covariance[l] ** 2 / left[l] : 0;
      if (gain > bestGain) {
        best = l;
        bestGain = gain;
      }
    }
    if (best < 0) break;
    const pivot = Math.sqrt(left[best]);
    const ofTarget = covariance[best] / pivot;
    const factor = Float64Array.from(candidates, (j, l) => {
      let rest = correlation(candidates[best], j);
      for (const earlier of factors) rest -= earlier[best] * earlier[l];
      return rest / pivot;
    });
    for (let l = 0; l < candidates.length; l++) {
      covariance[l] -= ofTarget * factor[l];
      left[l] -= factor[l] ** 2;
    }
    unexplained -= ofTarget ** 2;
    left[best] = 0;
    factors.push(factor);
    chosen.push(candidates[best]);
  }
  return chosen;
}
