import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { type LandmarkRefiner, REFINER_SIDE, REFINER_VALUES } from '../models/landmark-refiner.js';
import type { SingleShotDetector } from '../models/single-shot.js';
import { keep, scope } from '../tensor/tensor.js';
import { bestFirst, overlap } from './boxes.js';
import type { FoundFace } from './cells.js';
import type { CropWindow, GpuPicture } from './gpu-picture.js';
import { facesOfTile } from './single-shot-faces.js';

/** The side of a crop, in root mean square distances of the landmarks from their centre: some 105 of an aligned face's 112 rows. */
const SIDE_OF_SPREAD = 4.5;

/**
 * What the network sees of each face: its square, and the mirror image of a smaller one. On split `val` the mean of what it says of both
 * is a tenth closer to the landmarks of MTCNN than what it says of one.
 */
const VIEWS = [
  { side: 1, mirrored: false },
  { side: 0.92, mirrored: true },
] as const;

/** Crops in a pass: kernels are compiled for one shape alone. */
const BATCH = 4;
const FACES = BATCH / VIEWS.length;

/** Which landmark is where another one was in the mirror image. */
const MIRRORED = [1, 0, 2, 4, 3] as const;

/** The square in which a refiner looks for landmarks that are known roughly: its centre and side in pixels, in their coordinates. */
export function refinerSquare(landmarks: readonly Point[]): { centre: Point; side: number } {
  const mean = (axis: 0 | 1): number => landmarks.reduce((sum, point) => sum + point[axis], 0) / landmarks.length;
  const centre: Point = [mean(0), mean(1)];
  const squares = landmarks.map(([x, y]) => (x - centre[0]) ** 2 + (y - centre[1]) ** 2);
  const spread = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / landmarks.length);
  return { centre, side: SIDE_OF_SPREAD * spread };
}

/** A face as it is seen closely. */
interface CloseFace {
  readonly landmarks: FaceLandmarks;
  /** Mean distance of where the two views have the landmarks, over their spread. */
  readonly apart: number;
  /** By which part of their spread the landmarks are closer together than they were; 0 for landmarks that are farther apart. */
  readonly shrunk: number;
}

/**
 * Views of a face agree, and those of something else do not: this is added to the logit of a score, and these times `apart` and `shrunk` are taken
 * from it. Chosen on split `val`, where a quarter of the false finds is left at equal recall.
 */
const AGREED = 0.9;
const PER_APART = 5;
const PER_SHRUNK = 4;

/**
 * The detector looks again at the mirror image of a face that it is less sure of: in a square of SECOND_SIDE pixels, in which the face has
 * SEEN_FACE. The logit of the score that it gives then, between −SECOND_LIMIT and SECOND_LIMIT, is multiplied by SECOND_WEIGHT and added to the
 * logit of the face; SECOND_OFFSET is taken from it, so that the usual threshold stays the same. Chosen on split `val`, where half of
 * the false finds is left at equal recall.
 */
const SECOND_SIDE = 128;
const SEEN_FACE = 44;
const SECOND_LIMIT = 4;
const SECOND_WEIGHT = 0.4;
const SECOND_OFFSET = 0.25;
/** With this logit the detector is sure of a face, and does not look again. */
const SURE = 3.5;

/** The second look finds the face where a box with at least this score overlaps the face's by this share of both. */
const LEAST = 0.01;
const SAME_PLACE = 0.4;

const logit = (score: number): number => Math.log(score / (1 - score));
const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** The score from which a face can have this one when it has been seen closely. */
export const scoreBefore = (score: number): number =>
  sigmoid(logit(score) - AGREED - (SECOND_WEIGHT * SECOND_LIMIT - SECOND_OFFSET));

/** The logit of a face's score after the close look. */
const logitAfter = (score: number, { apart, shrunk }: CloseFace): number =>
  logit(score) + AGREED - PER_APART * apart - PER_SHRUNK * shrunk;

/** The same after the detector's second look, by the logit of what it says then. */
const logitAgain = (before: number, second: number): number =>
  before + SECOND_WEIGHT * Math.max(-SECOND_LIMIT, Math.min(SECOND_LIMIT, second)) - SECOND_OFFSET;

/**
 * Looks closely at faces, and again at those that it is still sure of: places their landmarks anew, and says by the first look, and by what the
 * detector says of their mirror image, how sure it is that they are faces.
 * @param detector the network that has found the faces
 * @param faces by falling score
 * @param threshold score that a face needs then
 * @param maxFaces most faces to return
 * @returns by falling score
 */
export async function refineFaces(
  network: LandmarkRefiner,
  detector: SingleShotDetector,
  picture: GpuPicture,
  faces: readonly FoundFace[],
  { threshold, maxFaces }: { threshold: number; maxFaces: number },
): Promise<FoundFace[]> {
  let refined: FoundFace[] = [];
  for (let first = 0; first < faces.length; first += FACES) {
    const some = faces.slice(first, first + FACES);
    // None of those that are left can be better than the best so far.
    if (refined.length >= maxFaces && scoreBefore(refined[maxFaces - 1].score) >= some[0].score) break;
    const close = await lookClosely(network, picture, some);
    const sure: FoundFace[] = [];
    for (const [k, face] of some.entries()) {
      const before = logitAfter(face.score, close[k]);
      // Even the best second look would leave it below the threshold.
      if (sigmoid(logitAgain(before, SECOND_LIMIT)) < threshold) continue;
      const second = before >= SURE ? SECOND_LIMIT : logit(await lookAgain(detector, picture, face));
      const score = sigmoid(logitAgain(before, second));
      if (score >= threshold) sure.push({ ...face, landmarks: close[k].landmarks, score });
    }
    // The second look is about what the first one has found.
    const again = sure.length > 0 ? await lookClosely(network, picture, sure) : [];
    refined.push(...sure.map((face, k) => ({ ...face, landmarks: again[k].landmarks })));
    if (maxFaces < faces.length) refined = bestFirst(refined, maxFaces);
  }
  return bestFirst(refined, maxFaces);
}

/** The score that the detector gives the mirror image of a face; the least there is if it finds none in its place. */
async function lookAgain(
  detector: SingleShotDetector,
  picture: GpuPicture,
  { left, top, right, bottom }: FoundFace,
): Promise<number> {
  const step = Math.max(right - left, bottom - top) / SEEN_FACE;
  const middle = SECOND_SIDE / 2;
  const tile = {
    ...{ left: (left + right) / 2 - middle * step, top: (top + bottom) / 2 - middle * step, step, mirrored: true },
    ...{ width: SECOND_SIDE, height: SECOND_SIDE },
  };
  const [halfWidth, halfHeight] = [(right - left) / step / 2, (bottom - top) / step / 2];
  const place = {
    left: middle - halfWidth,
    right: middle + halfWidth,
    top: middle - halfHeight,
    bottom: middle + halfHeight,
  };
  const found = await facesOfTile(detector, picture, tile, LEAST);
  return Math.max(LEAST, ...found.map((face) => (overlap(face, place) >= SAME_PLACE ? face.score : 0)));
}

/** Runs the network on the views of a few faces. */
async function lookClosely(
  network: LandmarkRefiner,
  picture: GpuPicture,
  faces: readonly FoundFace[],
): Promise<CloseFace[]> {
  const views = faces.flatMap(({ landmarks }) => {
    const { centre, side } = refinerSquare(landmarks);
    return VIEWS.map((view) => ({ centre, side: side * view.side, mirrored: view.mirrored }));
  });
  const windows = Array.from({ length: BATCH }, (_, k): CropWindow => {
    const { centre, side, mirrored } = views[Math.min(k, views.length - 1)];
    // Landmarks count from the centre of the first pixel, windows from its corner.
    return { left: centre[0] + 0.5 - side / 2, top: centre[1] + 0.5 - side / 2, step: side / REFINER_SIDE, mirrored };
  });
  const size = { width: REFINER_SIDE, height: REFINER_SIDE };
  const output = scope(picture.gpu, () => keep(network.forward(picture.crops(windows, size))));
  try {
    const values = await output.read();
    const seen = views.map(({ centre, side, mirrored }, view) =>
      MIRRORED.map((other, p): Point => {
        const at = view * REFINER_VALUES + 2 * (mirrored ? other : p);
        return [
          centre[0] + ((mirrored ? -values[at] : values[at]) * side) / 2,
          centre[1] + (values[at + 1] * side) / 2,
        ];
      }),
    );
    return faces.map((face, k) => closeFace(face, seen.slice(k * VIEWS.length, (k + 1) * VIEWS.length)));
  } finally {
    output.dispose();
  }
}

function closeFace(before: FoundFace, [one, other]: readonly Point[][]): CloseFace {
  const landmarks = one.map(([x, y], p): Point => [(x + other[p][0]) / 2, (y + other[p][1]) / 2]);
  const spread = refinerSquare(before.landmarks).side / SIDE_OF_SPREAD;
  const apart = one.reduce((sum, [x, y], p) => sum + Math.hypot(x - other[p][0], y - other[p][1]), 0) / one.length;
  const shrunk = Math.max(0, 1 - refinerSquare(landmarks).side / SIDE_OF_SPREAD / spread);
  return { landmarks: landmarks as unknown as FaceLandmarks, apart: apart / spread, shrunk };
}
