import type { FaceLandmarks } from '../common/face-landmarks.js';
import { landmarkError } from '../evaluation/metrics/landmarks.js';
import { type Candidate, type FaceBox, overlap } from './boxes.js';

/** A face that is known to be in a picture. */
export interface KnownFace extends FaceBox {
  /** Whether it is to be found; where not, what finds it is not wrong. */
  readonly counts: boolean;
  readonly landmarks: FaceLandmarks;
}

/** A face that a detector has found. */
interface Found extends Candidate {
  readonly landmarks: FaceLandmarks;
}

/** Which known faces were found. */
export interface FaceMatches<K extends KnownFace, F extends Found> {
  /** Those that count and were found, with the error of the landmarks: see `landmarkError`. */
  readonly pairs: readonly { readonly known: K; readonly found: F; readonly error: number }[];
  /** Those that count and were not. */
  readonly missed: readonly K[];
  /** What was found and is no known face. */
  readonly wrong: readonly F[];
}

/** Boxes that overlap by this share of both together show the same face. */
export const MATCHING_OVERLAP = 0.5;
/** Of a face that need not be found, a box that lies in it by this share is not wrong either. */
const WITHIN = 0.5;

/** Matches the faces found with those known, each at most once: by falling score, to the known one with the largest overlap. */
export function matchFaces<K extends KnownFace, F extends Found>(
  known: readonly K[],
  found: readonly F[],
): FaceMatches<K, F> {
  const free = new Set(known);
  const pairs: { known: K; found: F; error: number }[] = [];
  const wrong: F[] = [];
  for (const face of [...found].sort((a, b) => b.score - a.score)) {
    let best: K | null = null;
    for (const one of free) {
      if (overlap(one, face) >= MATCHING_OVERLAP && (!best || overlap(one, face) > overlap(best, face))) best = one;
    }
    if (best) {
      free.delete(best);
      if (best.counts) pairs.push({ known: best, found: face, error: landmarkError(face.landmarks, best.landmarks) });
    } else if (!known.some((one) => !one.counts && overlap(one, face, 'min') >= WITHIN)) wrong.push(face);
  }
  return { pairs, missed: [...free].filter(({ counts }) => counts), wrong };
}
