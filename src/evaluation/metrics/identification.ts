import { ArgumentError } from '../../common/errors.js';
import { justAbove } from './verification.js';

/** The search of one probe in a gallery with one face of each person. */
export interface ProbeSearch {
  /** Similarity to the face of the probe's own person; null if it is not searched for. */
  mate: number | null;
  /** The highest similarity to a face of another person, which is the first wrong result of a search. */
  rival: number;
}

export interface IdentificationFigures {
  /** Share of the searches with a mate in which the mate alone comes first. */
  rankOne: number;
  /** False negative identification rate: share of the searches with a mate in which the mate does not come first, or is refused. */
  fnir: number;
  /** False positive identification rate: share of all searches that return a face although that of their own person is left out. */
  fpir: number;
  /** The lowest similarity of a face that is returned. */
  threshold: number;
}

/**
 * Looks through the similarities of a probe to every face of a gallery.
 * @param own number of the face of the probe's own person
 * @param mated whether that one is looked for; otherwise the search is as if the gallery did not have it
 * @throws ArgumentError for a similarity that is not finite, or a gallery without another person
 */
export function probeSearch(scores: Float32Array, own: number, mated: boolean): ProbeSearch {
  let rival = -Infinity;
  scores.forEach((score, k) => {
    if (!Number.isFinite(score)) {
      throw new ArgumentError(`probeSearch: the similarity to face ${k} is ${score}; expected a finite number`);
    }
    if (k !== own && score > rival) rival = score;
  });
  if (rival === -Infinity || !(own >= 0 && own < scores.length)) {
    throw new ArgumentError(
      `probeSearch: own face ${own} of ${scores.length}; expected one of them, and another person's beside it`,
    );
  }
  return { mate: mated ? scores[own] : null, rival };
}

/**
 * Open-set identification at a false positive rate: the threshold is the lowest at which at most the share `fpir` of the
 * searches returns a face of another person where the own one is left out, and a probe is found where its mate stands first
 * and is not below it: FNIR(N, R = 1, T) of Grother, Ngan, Hanaoka 2019, "FRVT part 2: identification" (NISTIR 8271).
 *
 * @returns a function of how often each search counts (once by default), which gives the figures
 * @throws ArgumentError for no search with a mate, similarities that are not finite, or a rate outside [0, 1)
 */
export function identificationAt(
  searches: readonly ProbeSearch[],
  fpir: number,
): (times?: ArrayLike<number>) => IdentificationFigures {
  if (!(fpir >= 0 && fpir < 1)) {
    throw new ArgumentError(`identificationAt: fpir is ${fpir}; expected a number from 0 to below 1`);
  }
  searches.forEach(({ mate, rival }, k) => {
    if (Number.isFinite(rival) && (mate === null || Number.isFinite(mate))) return;
    throw new ArgumentError(`identificationAt: search ${k} is of ${mate} and ${rival}; expected finite numbers`);
  });
  if (!searches.some(({ mate }) => mate !== null)) {
    throw new ArgumentError(`identificationAt: ${searches.length} searches, none with a mate; expected at least 1`);
  }
  const falling = Int32Array.from(searches.keys()).sort((a, b) => searches[b].rival - searches[a].rival);
  const once = new Uint8Array(searches.length).fill(1);
  return (times = once) => {
    const { refused, returned, all } = highestRefused(searches, falling, times, fpir);
    let [mated, first, found] = [0, 0, 0];
    searches.forEach(({ mate, rival }, k) => {
      if (mate === null) return;
      mated += times[k];
      if (mate <= rival) return; // a tie is not a first place
      first += times[k];
      if (mate > refused) found += times[k];
    });
    return { rankOne: first / mated, fnir: 1 - found / mated, fpir: returned / all, threshold: justAbove(refused) };
  };
}

/** The highest rival that must be refused, so that at most the share `fpir` is returned; equal ones are returned together. */
function highestRefused(
  searches: readonly ProbeSearch[],
  falling: Int32Array,
  times: ArrayLike<number>,
  fpir: number,
): { refused: number; returned: number; all: number } {
  let all = 0;
  for (let k = 0; k < times.length; k++) all += times[k];
  let returned = 0;
  for (let k = 0; k < falling.length; ) {
    const { rival } = searches[falling[k]];
    let same = 0;
    for (; k < falling.length && searches[falling[k]].rival === rival; k++) same += times[falling[k]];
    if (returned + same > fpir * all) return { refused: rival, returned, all };
    returned += same;
  }
  return { refused: Number.NaN, returned, all };
}
