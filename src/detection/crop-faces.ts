import { refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import type { FaceLandmarks } from '../common/face-landmarks.js';
import type { RgbImage } from '../common/rgb-image.js';
import { alignFace } from './align.js';
import type { DetectedFace, DetectOptions, FaceDetector } from './face-detector.js';
import { faceQuality, type QualityNote } from './face-quality.js';

/** Which faces of a picture: all of them, the largest, or that in its middle, where large ones count more. */
export type FaceChoice = 'all' | 'largest' | 'central';
export const FACE_CHOICES: readonly FaceChoice[] = ['all', 'largest', 'central'];

/** What `cropFaces` looks for. */
export interface CropFacesOptions extends DetectOptions {
  /** Default 'all'. */
  faces?: FaceChoice;
}

/** A face of a picture, aligned. */
export interface CroppedFace extends DetectedFace {
  /** Its place among all faces of the picture from left to right, from 1. */
  readonly number: number;
  /** RGB, 96×112; null for landmarks that cannot be those of a face, as `problem` says. */
  readonly crop: RgbImage | null;
  readonly problem: string | null;
  /** What makes it a poor face; none for a good one. */
  readonly notes: readonly QualityNote[];
}

/**
 * The faces of a photograph, found and aligned.
 * @param picture of any size, upright
 * @returns faces from left to right; none where none is found
 * @throws ArgumentError for a picture whose bytes do not fit its size, and for options out of range
 */
export async function cropFaces(
  detector: FaceDetector,
  picture: RgbImage,
  { faces: choice = 'all', ...options }: CropFacesOptions = {},
): Promise<CroppedFace[]> {
  if (!FACE_CHOICES.includes(choice)) refuse('cropFaces', 'faces', choice, FACE_CHOICES.join(', '));
  const found = (await detector.detect(picture, options))
    .map((face) => ({ ...face, landmarks: rounded(face.landmarks) }))
    .sort((a, b) => middleOf(a) - middleOf(b));
  const chosen = chosenFaces(picture, found, choice);
  return chosen.map((k) => ({ ...found[k], number: k + 1, ...alignedCrop(picture, found[k].landmarks) }));
}

/** To hundredths of a pixel: landmarks that have been through a text give the same crop. */
const rounded = (landmarks: FaceLandmarks): FaceLandmarks =>
  landmarks.map((point) => point.map((value) => Math.round(value * 100) / 100)) as unknown as FaceLandmarks;

const middleOf = ({ box }: DetectedFace): number => box.x + box.width / 2;

/** A face's crop and what is to be said of it, or why there is none. */
export function alignedCrop(
  picture: RgbImage,
  landmarks: FaceLandmarks,
): Pick<CroppedFace, 'crop' | 'problem' | 'notes'> {
  try {
    const crop = alignFace(picture, landmarks);
    return { crop, problem: null, notes: faceQuality(picture, landmarks, crop.data) };
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    return { crop: null, problem: error.message, notes: [] };
  }
}

/**
 * Which faces of a picture a choice means.
 * @returns their places in the list; none of an empty one
 */
export function chosenFaces(
  { width, height }: { readonly width: number; readonly height: number },
  faces: readonly { readonly landmarks: FaceLandmarks }[],
  choice: FaceChoice,
): number[] {
  const all = [...faces.keys()];
  if (choice === 'all' || faces.length === 0) return all;
  const worth = faces.map(({ landmarks }) => {
    const [x, y] = [0, 1].map((axis) => landmarks.reduce((sum, point) => sum + point[axis] / 5, 0));
    const spread = landmarks.reduce((sum, point) => sum + (point[0] - x) ** 2 + (point[1] - y) ** 2, 0);
    // Size in pixels, and less by the distance of the middle.
    const aside = choice === 'central' ? Math.hypot(x - (width - 1) / 2, y - (height - 1) / 2) : 0;
    return Math.sqrt(spread) - aside;
  });
  return [all.reduce((best, k) => (worth[k] > worth[best] ? k : best))];
}
