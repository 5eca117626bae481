import { ArgumentError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import {
  accuracyAt,
  areaUnderRoc,
  bestThreshold,
  equalErrorRate,
  type OperatingPoint,
  tarAtFar,
} from '../metrics/verification.js';
import { type Interval, intervalOf, RESAMPLES } from './resampled.js';
import { drawPairs, type Kinds, tarOfDrawn } from './resampled-tar.js';

/** A pair for the protocol. */
export interface ScoredPair {
  score: number;
  same: boolean;
  fold: number;
}

export interface FoldResult {
  fold: number;
  /** Chosen on the other folds. */
  threshold: number;
  accuracy: number;
  pairs: number;
}

export interface VerificationFigures {
  pairs: number;
  genuine: number;
  impostor: number;
  folds: FoldResult[];
  /** Mean of the folds' accuracies, and its standard error: their standard deviation (n − 1) over √n. */
  accuracy: number;
  standardError: number;
  /** TAR at FAR 1e-3 over all pairs, with the 95 % interval of a bootstrap over the pairs. */
  tar: OperatingPoint & Interval;
  equalErrorRate: number;
  areaUnderRoc: number;
}

/** The false accept rate of every TAR. */
export const FAR = 1e-3;
const SEED = 1;

export function scoresByKind(pairs: readonly ScoredPair[]): { genuine: number[]; impostor: number[] } {
  const [genuine, impostor]: number[][] = [[], []];
  for (const { score, same } of pairs) (same ? genuine : impostor).push(score);
  return { genuine, impostor };
}

/**
 * LFW's View 2 protocol: the threshold of each fold is the one that decides most pairs of the other folds correctly.
 * @throws ArgumentError for fewer than two folds, or pairs of one kind only
 */
export function verificationFigures(pairs: readonly ScoredPair[]): VerificationFigures {
  const numbers = [...new Set(pairs.map(({ fold }) => fold))].sort((a, b) => a - b);
  if (numbers.length < 2) throw new ArgumentError(`verification: pairs of ${numbers.length} fold; expected at least 2`);
  const folds = numbers.map((fold): FoldResult => {
    const [own, others] = [pairs.filter((p) => p.fold === fold), pairs.filter((p) => p.fold !== fold)];
    const scores = (list: readonly ScoredPair[]) => list.map(({ score }) => score);
    const labels = (list: readonly ScoredPair[]) => list.map(({ same }) => same);
    const { threshold } = bestThreshold(scores(others), labels(others));
    return { fold, threshold, accuracy: accuracyAt(threshold, scores(own), labels(own)), pairs: own.length };
  });
  const n = folds.length;
  const accuracy = folds.reduce((sum, fold) => sum + fold.accuracy, 0) / n;
  const variance = folds.reduce((sum, fold) => sum + (fold.accuracy - accuracy) ** 2, 0) / (n - 1);
  const { genuine, impostor } = scoresByKind(pairs);
  return {
    pairs: pairs.length,
    genuine: genuine.length,
    impostor: impostor.length,
    folds,
    accuracy,
    standardError: Math.sqrt(variance / n),
    tar: { ...tarAtFar(genuine, impostor, FAR), ...bootstrapTar({ genuine, impostor }) },
    equalErrorRate: equalErrorRate(genuine, impostor),
    areaUnderRoc: areaUnderRoc(genuine, impostor),
  };
}

/** TAR at FAR 1e-3, where genuine and impostor pairs are drawn again with replacement. */
function bootstrapTar(kinds: Kinds): Interval {
  const random = new CounterRandom(SEED);
  const tar = tarOfDrawn(kinds, FAR);
  return intervalOf(Float64Array.from({ length: RESAMPLES }, () => tar(drawPairs(kinds, random))));
}
