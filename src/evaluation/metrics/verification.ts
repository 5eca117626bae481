import { ArgumentError } from '../../common/errors.js';

/** A pair is accepted as one person if its score is at least the threshold. */
export interface OperatingPoint {
  threshold: number;
  /** True accept rate: the share of genuine pairs that are accepted; 1 − FNMR. */
  tar: number;
  /** False accept rate (FMR): the share of impostor pairs that are accepted. */
  far: number;
}

/** @throws ArgumentError for a score that is NaN or infinite, which cannot be compared with a threshold */
function assertFinite(what: string, scores: ArrayLike<number>): void {
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i])) throw new ArgumentError(`${what}: score ${i} is ${scores[i]}; expected a number`);
  }
}

/** Genuine and impostor scores, ascending. @throws ArgumentError for none of a kind, or scores that are not finite */
function sortedKinds(what: string, genuine: ArrayLike<number>, impostor: ArrayLike<number>): Float64Array[] {
  if (genuine.length === 0 || impostor.length === 0) {
    throw new ArgumentError(
      `${what}: ${genuine.length} genuine and ${impostor.length} impostor scores; both are needed`,
    );
  }
  assertFinite(`${what}, genuine pairs`, genuine);
  assertFinite(`${what}, impostor pairs`, impostor);
  return [genuine, impostor].map((scores) => Float64Array.from(scores).sort());
}

/** @throws ArgumentError for no scores, another number of labels, or scores that are not finite */
function assertLabelled(what: string, scores: ArrayLike<number>, same: ArrayLike<boolean>): void {
  if (scores.length === 0 || same.length !== scores.length) {
    throw new ArgumentError(
      `${what}: ${scores.length} scores and ${same.length} labels; expected as many of each, at least 1`,
    );
  }
  assertFinite(what, scores);
}

/** How many of the ascending values are above `value`. */
function countAbove(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] > value) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

/** How many of the ascending values are at least `value`. */
function countFrom(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] >= value) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

const double = /* @__PURE__ */ new Float64Array(1);
const doubleBits = /* @__PURE__ */ (() => new BigInt64Array(double.buffer))();

/** The next double above a finite `value`: the lowest threshold that does not accept `value` itself. */
export function justAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  double[0] = value;
  doubleBits[0] += value > 0 ? 1n : -1n; // doubles of one sign are in the order of their bits
  return double[0];
}

/**
 * The lowest threshold at which at most the share `far` of the impostor pairs is accepted, and what it accepts.
 * @throws ArgumentError for no pairs of either kind, scores that are not finite, or a rate outside [0, 1)
 */
export function tarAtFar(genuine: ArrayLike<number>, impostor: ArrayLike<number>, far: number): OperatingPoint {
  if (!(far >= 0 && far < 1)) throw new ArgumentError(`tarAtFar: far is ${far}; expected a number from 0 to below 1`);
  const [same, other] = sortedKinds('tarAtFar', genuine, impostor);
  const allowed = Math.floor(far * other.length);
  // The first impostor that must be refused, from the top.
  const refused = other[other.length - 1 - allowed];
  return {
    threshold: justAbove(refused),
    tar: countAbove(same, refused) / same.length,
    far: countAbove(other, refused) / other.length,
  };
}

/** A threshold, and the share of pairs that it decides correctly. */
export interface BestThreshold {
  threshold: number;
  accuracy: number;
}

/**
 * The threshold with the most correct decisions. All thresholds between two neighbouring scores decide the same, so the middle
 * is used. Of several that are equally good, the middle one is taken (of an even number, the lower one).
 *
 * @param same whether each pair is of one person
 * @throws ArgumentError for no pairs, lists of unequal length, or scores that are not finite
 */
export function bestThreshold(scores: ArrayLike<number>, same: ArrayLike<boolean>): BestThreshold {
  const count = scores.length;
  assertLabelled('bestThreshold', scores, same);
  const order = Array.from({ length: count }, (_, i) => i).sort((a, b) => scores[a] - scores[b]);
  // Below every score all are accepted; each score that falls below the threshold is one more refusal.
  let right = 0;
  for (let i = 0; i < count; i++) if (same[i]) right++;
  let max = right;
  let best = [scores[order[0]] - 1];
  for (let k = 0; k < count; k++) {
    right += same[order[k]] ? -1 : 1;
    const score = scores[order[k]];
    const last = k + 1 === count;
    const next = last ? score + 2 : scores[order[k + 1]];
    if ((!last && next === score) || right < max) continue;
    if (right > max) [max, best] = [right, []];
    // Neighbouring doubles have no middle; the upper one refuses the lower one.
    const middle = score / 2 + next / 2;
    best.push(middle > score ? middle : justAbove(score));
  }
  return { threshold: best[Math.floor((best.length - 1) / 2)], accuracy: max / count };
}

/**
 * Share of pairs that a threshold decides correctly.
 * @throws ArgumentError for no pairs, lists of unequal length, or scores that are not finite
 */
export function accuracyAt(threshold: number, scores: ArrayLike<number>, same: ArrayLike<boolean>): number {
  assertLabelled('accuracyAt', scores, same);
  let right = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i] >= threshold === same[i]) right++;
  return right / scores.length;
}

/**
 * The rate at which as many genuine pairs are refused as impostors are accepted, between two points linearly.
 * @throws ArgumentError for no pairs of either kind, or scores that are not finite
 */
export function equalErrorRate(genuine: ArrayLike<number>, impostor: ArrayLike<number>): number {
  const [same, other] = sortedKinds('equalErrorRate', genuine, impostor);
  let before = { fnmr: 0, far: 1 };
  for (const refused of Float64Array.from([...same, ...other]).sort()) {
    const fnmr = 1 - countAbove(same, refused) / same.length;
    const far = countAbove(other, refused) / other.length;
    if (fnmr >= far) {
      const [rise, fall] = [fnmr - before.fnmr, before.far - far];
      const share = rise + fall === 0 ? 0 : (before.far - before.fnmr) / (rise + fall);
      return before.fnmr + share * rise;
    }
    before = { fnmr, far };
  }
  return before.fnmr;
}

/**
 * Points (FAR, TAR) of the ROC curve, one at each distinct impostor score, from the strictest threshold on.
 * @throws ArgumentError for no pairs of either kind, or scores that are not finite
 */
export function rocCurve(genuine: ArrayLike<number>, impostor: ArrayLike<number>): [far: number, tar: number][] {
  const [same, other] = sortedKinds('rocCurve', genuine, impostor);
  const points: [number, number][] = [];
  for (let k = other.length - 1; k >= 0; k--) {
    if (k > 0 && other[k - 1] === other[k]) continue;
    points.push([countAbove(other, other[k]) / other.length, countAbove(same, other[k]) / same.length]);
  }
  points.push([1, 1]);
  return points;
}

/**
 * Area under the ROC curve: the chance that a genuine pair scores above an impostor pair, ties counted half.
 * @throws ArgumentError for no pairs of either kind, or scores that are not finite
 */
export function areaUnderRoc(genuine: ArrayLike<number>, impostor: ArrayLike<number>): number {
  const [same, other] = sortedKinds('areaUnderRoc', genuine, impostor);
  let wins = 0;
  for (const score of same) {
    const atLeast = countFrom(other, score);
    wins += other.length - atLeast + (atLeast - countAbove(other, score)) / 2;
  }
  return wins / (same.length * other.length);
}

/**
 * Cosine of the angle between two vectors; 0 if one of them is all zeros.
 * @throws ArgumentError for vectors of no or unequal length
 */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length === 0 || a.length !== b.length) {
    throw new ArgumentError(
      `cosine: vectors of ${a.length} and ${b.length} values; expected as many of each, at least 1`,
    );
  }
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / Math.sqrt(aa * bb || 1);
}
