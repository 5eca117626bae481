import { ArgumentError } from './errors.js';

/** A face pair is accepted, as one person's, where its score is at least the threshold. */
export interface OperatingPoint {
  threshold: number;
  /** True accept rate: the share of genuine pairs that are accepted; 1 − FNMR. */
  tar: number;
  /** False accept rate (FMR): the share of impostor pairs that are accepted. */
  far: number;
}

const ascending = (values: ArrayLike<number>): Float64Array => Float64Array.from(values).sort();

/** How many of the ascending values are at least `threshold`. */
function countFrom(sorted: Float64Array, threshold: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] >= threshold) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

/** The next number above `value` that a double holds, so that `value` itself is not accepted. */
function justAbove(value: number): number {
  const step = Math.max(Math.abs(value) * Number.EPSILON, Number.MIN_VALUE);
  return value + step;
}

/**
 * The lowest threshold at which at most the share `far` of the impostor pairs is accepted, and what it accepts.
 * @throws ArgumentError for no pairs of either kind, or a rate outside [0, 1)
 */
export function tarAtFar(genuine: ArrayLike<number>, impostor: ArrayLike<number>, far: number): OperatingPoint {
  if (genuine.length === 0 || impostor.length === 0) {
    throw new ArgumentError(
      `tarAtFar: ${genuine.length} genuine and ${impostor.length} impostor scores; both are needed`,
    );
  }
  if (!(far >= 0 && far < 1)) throw new ArgumentError(`tarAtFar: far is ${far}; expected a number from 0 to below 1`);
  const [same, other] = [ascending(genuine), ascending(impostor)];
  const allowed = Math.floor(far * other.length);
  // The first impostor that must be refused, from the top.
  const threshold = justAbove(other[other.length - 1 - allowed]);
  return {
    threshold,
    tar: countFrom(same, threshold) / same.length,
    far: countFrom(other, threshold) / other.length,
  };
}

/** A threshold, and the share of pairs that it decides rightly. */
export interface BestThreshold {
  threshold: number;
  accuracy: number;
}

/**
 * The threshold with the most right decisions. Between neighbouring scores every threshold decides alike: the middle
 * stands for them; of several that are equally good, the middle one is taken (of an even number, the lower).
 *
 * @param same whether each pair is of one person
 * @throws ArgumentError for no pairs or lists of unequal length
 */
export function bestThreshold(scores: ArrayLike<number>, same: ArrayLike<boolean>): BestThreshold {
  const count = scores.length;
  if (count === 0 || same.length !== count) {
    throw new ArgumentError(
      `bestThreshold: ${count} scores and ${same.length} labels; expected as many of each, at least 1`,
    );
  }
  const order = Array.from({ length: count }, (_, i) => i).sort((a, b) => scores[a] - scores[b]);
  // Below every score all are accepted; each score that falls below the threshold is one more refusal.
  let right = 0;
  for (let i = 0; i < count; i++) if (same[i]) right++;
  let most = right;
  let best = [scores[order[0]] - 1];
  for (let k = 0; k < count; k++) {
    right += same[order[k]] ? -1 : 1;
    const score = scores[order[k]];
    const next = k + 1 < count ? scores[order[k + 1]] : score + 2;
    if (next === score || right < most) continue;
    if (right > most) [most, best] = [right, []];
    best.push((score + next) / 2);
  }
  return { threshold: best[Math.floor((best.length - 1) / 2)], accuracy: most / count };
}

/** Share of pairs that a threshold decides rightly. */
export function accuracyAt(threshold: number, scores: ArrayLike<number>, same: ArrayLike<boolean>): number {
  let right = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i] >= threshold === same[i]) right++;
  return right / scores.length;
}

/** The rate at which as many genuine pairs are refused as impostors are accepted, between two points linearly. */
export function equalErrorRate(genuine: ArrayLike<number>, impostor: ArrayLike<number>): number {
  const [same, other] = [ascending(genuine), ascending(impostor)];
  let before = { fnmr: 0, far: 1 };
  for (const threshold of ascending([...same, ...other])) {
    const above = justAbove(threshold);
    const fnmr = 1 - countFrom(same, above) / same.length;
    const far = countFrom(other, above) / other.length;
    if (fnmr >= far) {
      const [rise, fall] = [fnmr - before.fnmr, before.far - far];
      const share = rise + fall === 0 ? 0 : (before.far - before.fnmr) / (rise + fall);
      return before.fnmr + share * rise;
    }
    before = { fnmr, far };
  }
  return before.fnmr;
}

/** Points (FAR, TAR) of the ROC curve, one at each distinct impostor score, from the strictest threshold on. */
export function rocCurve(genuine: ArrayLike<number>, impostor: ArrayLike<number>): [far: number, tar: number][] {
  const [same, other] = [ascending(genuine), ascending(impostor)];
  const points: [number, number][] = [];
  for (let k = other.length - 1; k >= 0; k--) {
    if (k > 0 && other[k - 1] === other[k]) continue;
    const above = justAbove(other[k]);
    points.push([countFrom(other, above) / other.length, countFrom(same, above) / same.length]);
  }
  points.push([1, 1]);
  return points;
}

/** Area under the ROC curve: the chance that a genuine pair scores above an impostor pair, ties counted half. */
export function areaUnderRoc(genuine: ArrayLike<number>, impostor: ArrayLike<number>): number {
  const other = ascending(impostor);
  let wins = 0;
  for (let i = 0; i < genuine.length; i++) {
    const atLeast = countFrom(other, genuine[i]);
    const above = countFrom(other, justAbove(genuine[i]));
    wins += other.length - atLeast + (atLeast - above) / 2;
  }
  return wins / (genuine.length * other.length);
}

/** Cosine of the angle between two vectors of one length. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / Math.sqrt(aa * bb || 1);
}
