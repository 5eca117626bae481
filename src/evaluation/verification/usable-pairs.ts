import { ArgumentError } from '../../common/errors.js';
import type { FacePair, PairList } from '../../data/faces/lfw.js';

/** The remaining pairs after pictures are left out. */
export interface UsablePairs {
  pairs: FacePair[];
  /** Folds that have no pair left, from 0. */
  lostFolds: number[];
}

/**
 * The pairs whose two pictures can be used.
 *
 * @param has whether a picture can be used
 * @param name of the list, for errors
 * @throws ArgumentError if the protocol cannot decide them: fewer than two folds, or pairs of one kind only
 */
export function usablePairs(list: PairList, has: (picture: string) => boolean, name: string): UsablePairs {
  if (list.folds < 2) {
    throw new ArgumentError(
      `${name}: pairs of 1 fold; expected at least 2, as the threshold of a fold is chosen on the others`,
    );
  }
  const pairs = list.pairs.filter(({ a, b }) => has(a) && has(b));
  const left = new Set(pairs.map(({ fold }) => fold));
  const matched = pairs.filter(({ same }) => same).length;
  if (left.size < 2 || matched === 0 || matched === pairs.length) {
    throw new ArgumentError(
      `${name}: without the pictures left out, ${matched} matched and ${pairs.length - matched} mismatched pairs of ${left.size} of ${list.folds} folds remain; expected both kinds, of at least 2 folds`,
    );
  }
  return { pairs, lostFolds: Array.from({ length: list.folds }, (_, fold) => fold).filter((fold) => !left.has(fold)) };
}
