import { ArgumentError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import { tarAtFar } from '../metrics/verification.js';
import { FAR, type ScoredPair, scoresByKind } from '../verification/protocol.js';
import { type Interval, intervalOf, RESAMPLES, signProbability } from '../verification/resampled.js';
import { drawPairs, type Kinds, tarOfDrawn } from '../verification/resampled-tar.js';

/** How the true accept rates of two ways of scoring the same pairs differ at FAR 1e-3: the 95 % interval of a bootstrap. */
export interface PairedTar extends Interval {
  /** First minus second. */
  difference: number;
  /** Two-sided: see {@link signProbability}. */
  p: number;
}

const STREAM = 0x7a1;

/**
 * A paired bootstrap: each resample draws the same pairs for both, so that pairs that are hard for both cancel out.
 * @throws ArgumentError for lists that are not of the same pairs
 */
export function pairedTar(first: readonly ScoredPair[], second: readonly ScoredPair[]): PairedTar {
  if (first.length !== second.length || first.some(({ same }, k) => same !== second[k].same)) {
    throw new ArgumentError('pairedTar: the two lists are not of the same pairs');
  }
  const [a, b] = [scoresByKind(first), scoresByKind(second)];
  const tar = ({ genuine, impostor }: Kinds): number => tarAtFar(genuine, impostor, FAR).tar;
  const random = new CounterRandom(1, STREAM);
  const [tarOfA, tarOfB] = [a, b].map((kinds) => tarOfDrawn(kinds, FAR));
  const differences = Float64Array.from({ length: RESAMPLES }, () => {
    const drawn = drawPairs(a, random);
    return tarOfA(drawn) - tarOfB(drawn);
  });
  return { difference: tar(a) - tar(b), ...intervalOf(differences), p: signProbability(differences) };
}
