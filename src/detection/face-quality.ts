import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { alignmentTransform, FACE_HEIGHT, FACE_WIDTH, invertSimilarity } from './align.js';

/** What can be wrong with a face: it is small, blurred, turned to the side, or reaches over the picture's border. */
export type QualityKind = 'small' | 'blurred' | 'turned' | 'cut';

/** What is wrong with a face, for a program and for a reader. */
export interface QualityNote {
  readonly kind: QualityKind;
  readonly text: string;
}

/** Eyes that are closer than this, in pixels, have less than half of the detail that an aligned crop can show. */
export const MIN_EYE_DISTANCE = 18;
/** Faces whose nose lies farther aside (`noseOffset`) are turned far: 1 in 60 photographs for a public, 3 in 4 profiles. */
export const MAX_NOSE_OFFSET = 0.55;
/** Faces whose `sharpness` is lower are blurred: as by a Gaussian of 1.5 pixels of the crop; photographs in focus have more than 0.13. */
export const MIN_SHARPNESS = 0.1;
/** Most of a crop, as a share of its area, that may lie outside of the picture. */
export const MAX_SHARE_OUTSIDE = 0.15;

/**
 * What is wrong with a face, which it is still compressed and compared with, but worse.
 * @param picture the whole one
 * @param landmarks in its pixels, such as `alignFace` takes
 * @param crop the aligned face, RGB bytes, 96×112
 * @returns one note for each fault; none for a good face
 */
export function faceQuality(
  picture: { readonly width: number; readonly height: number },
  landmarks: FaceLandmarks,
  crop: Uint8Array,
): QualityNote[] {
  const notes: QualityNote[] = [];
  const add = (kind: QualityKind, text: string): void => {
    notes.push({ kind, text });
  };
  const eyes = distanceOf(landmarks[0], landmarks[1]);
  if (eyes < MIN_EYE_DISTANCE) {
    add('small', `the face is small: its eyes are ${eyes.toFixed(0)} pixels apart, wanted are ${MIN_EYE_DISTANCE}`);
  }
  const offset = noseOffset(landmarks);
  if (Math.abs(offset) > MAX_NOSE_OFFSET)
    add('turned', `the face is turned far to the ${offset < 0 ? 'left' : 'right'}`);
  // A small face is enlarged, and so without detail in any case.
  else if (eyes >= MIN_EYE_DISTANCE && sharpness(crop) < MIN_SHARPNESS) add('blurred', 'the face is blurred');
  const outside = shareOutside(picture, landmarks);
  if (outside > MAX_SHARE_OUTSIDE) {
    add('cut', `the picture's border cuts the face: ${Math.round(100 * outside)} % of the crop lies outside`);
  }
  return notes;
}

const distanceOf = ([x, y]: Point, [u, v]: Point): number => Math.hypot(x - u, y - v);

/**
 * How far the nose lies beside the line from between the eyes to the middle of the mouth, in parts of the eyes' distance: 0 of
 * a face seen from the front; below 0 where it looks to the picture's left.
 */
export function noseOffset([leftEye, rightEye, nose, leftMouth, rightMouth]: FaceLandmarks): number {
  const [ex, ey] = [(leftEye[0] + rightEye[0]) / 2, (leftEye[1] + rightEye[1]) / 2];
  const [mx, my] = [(leftMouth[0] + rightMouth[0]) / 2, (leftMouth[1] + rightMouth[1]) / 2];
  const [dx, dy] = [mx - ex, my - ey];
  const across = (nose[0] - ex) * dy - (nose[1] - ey) * dx;
  return across / (Math.hypot(dx, dy) || 1) / (distanceOf(leftEye, rightEye) || 1);
}

/** The part of an aligned crop that shows eyes, nose and mouth; columns and rows. */
const INNER = { left: 20, right: 76, top: 36, bottom: 104 };

/**
 * How sharp an aligned face is: the energy of second differences over that of first ones, which is the mean square of spatial
 * frequencies of the edges. It does not depend on contrast or light.
 * @param crop RGB bytes, 96×112
 * @returns 0 to 4; 0 for a face of one colour
 */
export function sharpness(crop: Uint8Array): number {
  const light = (x: number, y: number): number => {
    const at = (y * FACE_WIDTH + x) * 3;
    return 0.299 * crop[at] + 0.587 * crop[at + 1] + 0.114 * crop[at + 2];
  };
  let [first, second] = [0, 0];
  for (let y = INNER.top; y < INNER.bottom; y++) {
    for (let x = INNER.left; x < INNER.right; x++) {
      const here = light(x, y);
      const [left, right, above, below] = [light(x - 1, y), light(x + 1, y), light(x, y - 1), light(x, y + 1)];
      first += ((right - left) ** 2 + (below - above) ** 2) / 4;
      second += ((left + right - 2 * here) ** 2 + (above + below - 2 * here) ** 2) / 4;
    }
  }
  return first === 0 ? 0 : second / first;
}

/** Samples along each axis that tell how much of a crop lies outside. */
const SAMPLES = 24;

function shareOutside({ width, height }: { width: number; height: number }, landmarks: FaceLandmarks): number {
  const transform = alignmentTransform(landmarks);
  let outside = 0;
  for (let j = 0; j < SAMPLES; j++) {
    for (let i = 0; i < SAMPLES; i++) {
      const at: Point = [((i + 0.5) / SAMPLES) * FACE_WIDTH - 0.5, ((j + 0.5) / SAMPLES) * FACE_HEIGHT - 0.5];
      const [x, y] = invertSimilarity(transform, at);
      if (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5) outside++;
    }
  }
  return outside / SAMPLES ** 2;
}
