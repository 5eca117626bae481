import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';
import type { RgbImage } from '../../common/rgb-image.js';
import type { LabelledFace } from '../../data/faces/labelled-photos.js';
import type { DetectedFace, DetectOptions, FaceDetector } from '../../detection/face-detector.js';
import { type KnownFace, matchFaces } from '../../detection/face-matches.js';
import { landmarkError } from '../metrics/landmarks.js';

/** A picture and the faces that are known to be in it. */
export interface KnownPicture {
  readonly name: string;
  readonly image: RgbImage;
  /** With boxes; or the landmarks of one face, besides which there may be others. */
  readonly known: readonly KnownFace[] | FaceLandmarks;
}

/** The result of a detector for a picture. */
export interface DetectionResult {
  readonly name: string;
  /** Number of faces to find, and of faces found. */
  readonly faces: number;
  readonly found: number;
  /** Detections that are not known faces. */
  readonly wrong: number;
  /** Error of the landmarks of each face found, in distances of its eyes. */
  readonly errors: readonly number[];
  readonly milliseconds: number;
}

/** If only landmarks are known, a face counts as found if its landmarks are this near, relative to the distance of the eyes. */
const FOUND = 0.25;

/** Looks for the faces of one picture. */
export async function measurePicture(
  detector: FaceDetector,
  { name, image, known }: KnownPicture,
  options: DetectOptions,
): Promise<{ result: DetectionResult; detected: DetectedFace[] }> {
  const start = performance.now();
  const detected = await detector.detect(image, options);
  const milliseconds = performance.now() - start;
  if (hasBoxes(known)) {
    const { pairs, missed, wrong } = matchFaces(known, detected.map(withSides));
    const faces = pairs.length + missed.length;
    const errors = pairs.map(({ error }) => error);
    return { result: { name, faces, found: pairs.length, wrong: wrong.length, errors, milliseconds }, detected };
  }
  const error = Math.min(...detected.map(({ landmarks }) => landmarkError(landmarks, known)));
  const found = error <= FOUND ? 1 : 0;
  const wrong = detected.length - found;
  return { result: { name, faces: 1, found, wrong, errors: found ? [error] : [], milliseconds }, detected };
}

const hasBoxes = (known: readonly KnownFace[] | FaceLandmarks): known is readonly KnownFace[] =>
  !Array.isArray(known[0]);

const withSides = ({ score, box: { x, y, width, height }, landmarks }: DetectedFace) => ({
  ...{ score, landmarks, left: x, top: y },
  ...{ right: x + width, bottom: y + height },
});

/** Faces count from this score of their label and this size on; what finds others is not wrong. */
export const COUNTING = { score: 0.8, pixels: 24 };

/** A labelled face as it is compared: labels count from the picture's corner, detectors from the centre of the first pixel. */
export function knownFace({
  score,
  box,
  landmarks,
}: LabelledFace & { box: NonNullable<LabelledFace['box']> }): KnownFace {
  const { x, y, width, height } = box;
  return {
    counts: score >= COUNTING.score && Math.min(width, height) >= COUNTING.pixels,
    ...{ left: x, top: y, right: x + width, bottom: y + height },
    landmarks: landmarks.map(([u, v]): Point => [u - 0.5, v - 0.5]) as unknown as FaceLandmarks,
  };
}

/** Figures of some pictures. */
export interface DetectionFigures {
  name: string;
  pictures: number;
  faces: number;
  found: number;
  wrong: number;
  /** Landmarks: mean, median and 95th percentile of the error over the distance of the eyes; null if none was found. */
  nme: { mean: number; median: number; high: number } | null;
  /** Median and fastest tenth of the times of a picture. */
  milliseconds: { median: number; fast: number };
}

/** @param results of at least one picture */
export function detectionFigures(name: string, results: readonly DetectionResult[]): DetectionFigures {
  const sum = (value: (result: DetectionResult) => number): number =>
    results.reduce((total, result) => total + value(result), 0);
  const errors = results.flatMap((result) => result.errors).sort((a, b) => a - b);
  const times = results.map((result) => result.milliseconds).sort((a, b) => a - b);
  const mean = errors.reduce((total, error) => total + error, 0) / errors.length;
  return {
    name,
    pictures: results.length,
    faces: sum(({ faces }) => faces),
    found: sum(({ found }) => found),
    wrong: sum(({ wrong }) => wrong),
    nme: errors.length > 0 ? { mean, median: quantile(errors, 0.5), high: quantile(errors, 0.95) } : null,
    milliseconds: { median: quantile(times, 0.5), fast: quantile(times, 0.1) },
  };
}

/** The value below which a part of the sorted values lies. */
const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
