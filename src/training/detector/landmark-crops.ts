import type { Point } from '../../common/face-landmarks.js';
import { CounterRandom } from '../../common/random.js';
import type { LabelledFace } from '../../data/faces/labelled-photos.js';
import { refinerSquare } from '../../detection/refine-landmarks.js';
import { REFINER_SIDE, REFINER_VALUES } from '../../models/landmark-refiner.js';
import type { LandmarkTrainingConfig } from './landmark-config.js';
import { DOUBTFUL_SCORE, faceInTile, type MosaicPhotos, photoView } from './mosaic.js';
import { paintOver } from './occlusion.js';
import type { TrainingPhoto } from './photo-pyramid.js';
import { drawLook, samplePhoto } from './tile-pixels.js';

/** A face to learn landmarks from, and the photograph that it is in. */
export interface FaceOfPhoto {
  readonly photo: TrainingPhoto;
  readonly face: LabelledFace;
  /** True if its landmarks are less exact, as the face is seen from the side. */
  readonly poor: boolean;
}

/** The faces that landmarks are learnt from. */
export function facesOf({ boxed, pointed }: MosaicPhotos): FaceOfPhoto[] {
  const of = (photos: readonly TrainingPhoto[], poor: boolean): FaceOfPhoto[] =>
    photos.flatMap((photo) =>
      photo.faces.filter(({ score }) => score >= DOUBTFUL_SCORE).map((face) => ({ photo, face, poor })),
    );
  return [...of(boxed, false), ...of(pointed, true)];
}

/** What a step learns from: crops, and where their landmarks are; the latter times `scale`. */
export interface LandmarkBatch {
  /** [batchSize, 64, 64, 3], (byte − 127.5)/128 */
  x: Float32Array;
  /** [batchSize, 10] each; `weight` is each value's share in the loss. */
  points: Float32Array;
  scale: Float32Array;
  weight: Float32Array;
}

/** Weight of a face with less exact landmarks, relative to the others. */
const POOR = 0.3;

/** Error of the crop by a detector's landmarks: standard deviation of its centre in sides, and of its side as a factor. */
const CENTRE_ERROR = 0.045;
const SIDE_ERROR = 1.15;

/** The distance of the eyes of a face seen from the front, in sides of its crop. */
const EYES_OF_SIDE = 0.336;

/** How often a face is shown as a small one: from a copy that is reduced further. */
const SMALL = 0.25;

/** The crops of a step: they depend on seed and step alone. */
export function drawCrops(
  faces: readonly FaceOfPhoto[],
  { batchSize, seed }: Pick<LandmarkTrainingConfig, 'batchSize' | 'seed'>,
  step: number,
): LandmarkBatch {
  const pixels = REFINER_SIDE ** 2 * 3;
  const batch = {
    x: new Float32Array(batchSize * pixels),
    points: new Float32Array(batchSize * REFINER_VALUES),
    scale: new Float32Array(batchSize * REFINER_VALUES),
    weight: new Float32Array(batchSize * REFINER_VALUES),
  };
  for (let k = 0; k < batchSize; k++) {
    const random = new CounterRandom(seed, step * batchSize + k);
    const one = faces[random.int(faces.length)];
    const landmarks = drawCrop(one, random, batch.x.subarray(k * pixels, (k + 1) * pixels));
    const { side } = refinerSquare(landmarks);
    // Errors count in distances of the eyes of a face seen from the front.
    const scale = REFINER_SIDE / 2 / (EYES_OF_SIDE * side);
    landmarks.flat().forEach((at, p) => {
      const i = k * REFINER_VALUES + p;
      batch.points[i] = ((2 * at) / REFINER_SIDE - 1) * scale;
      batch.scale[i] = scale;
      batch.weight[i] = (one.poor ? POOR : 1) / (batchSize * REFINER_VALUES);
    });
  }
  return batch;
}

/** Draws one crop. @returns its landmarks in pixels from its corner */
function drawCrop({ photo, face }: FaceOfPhoto, random: CounterRandom, pixels: Float32Array): readonly Point[] {
  const drawn = drawLook(random);
  const draws = Array.from({ length: 6 }, () => random.uniform());
  const look = draws[0] < SMALL ? { ...drawn, blur: drawn.blur + 2 * draws[1] } : drawn;
  const { centre, side } = refinerSquare(face.landmarks);
  const scale = (REFINER_SIDE / side) * SIDE_ERROR ** random.normal();
  const moved = (): number => REFINER_SIDE * (0.5 + CENTRE_ERROR * random.normal());
  const angle = ((2 * draws[2] - 1) * (draws[3] < 0.3 ? 42 : 14) * Math.PI) / 180;
  const stretch = 1 + 0.16 * (draws[4] - 0.5);
  const view = photoView(centre, [moved(), moved()], scale, angle, draws[5] < 0.5, stretch);
  const tile = { left: 0, top: 0, right: REFINER_SIDE, bottom: REFINER_SIDE };
  samplePhoto(pixels, REFINER_SIDE, tile, photo.levels, view, look);
  const [shown] = faceInTile(face, photo, tile, view);
  if (!shown) throw new Error('a crop shows its face');
  paintOver(pixels, REFINER_SIDE, tile, shown, random);
  return shown.landmarks;
}
