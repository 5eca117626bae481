import type { FaceLandmarks } from '../../common/face-landmarks.js';
import { type FoundFace, facesOfCells, mergeFaces } from '../../detection/cells.js';
import { matchFaces } from '../../detection/face-matches.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { SingleShotDetector } from '../../models/single-shot.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type InputBatch, runOverBatches } from '../run-over-batches.js';
import { drawBatch } from './batches.js';
import type { DetectorTrainingConfig } from './config.js';
import type { MosaicPhotos } from './mosaic.js';
import type { MosaicFace } from './mosaic-face.js';

/** How good a detector is on mosaics of held-out photographs. */
export interface DetectorValidation {
  /** Faces that count. */
  faces: number;
  /** Share of them that is found. */
  recall: number;
  /** Detections that are not faces, for each mosaic. */
  falsePositives: number;
  /** Error of landmarks of the faces found, mean, in distances of the eyes. */
  nme: number;
}

const BATCHES = 16;
const THRESHOLD = 0.5;
/** Only faces of at least this many pixels, and visible by at least this share, count; finding others is not wrong. */
const LEAST_SIDE = 12;
const LEAST_VISIBLE = 0.7;
/** The seed of the mosaics, which all trainings share. */
const SEED = 20160411;

/** Validates a network on mosaics that are the same each time. */
export async function validateDetector(
  gpu: Gpu,
  network: SingleShotDetector,
  photos: MosaicPhotos,
  config: DetectorTrainingConfig,
): Promise<DetectorValidation> {
  const { batchSize, side } = config;
  const total = { faces: 0, found: 0, wrong: 0, error: 0 };
  const body = (x: Tensor) => ({ values: network.forward(x) });
  await runOverBatches(gpu, [batchSize, side, side, 3], mosaics(photos, config), body, ({ values }, faces) => {
    const size = values.length / batchSize;
    for (let k = 0; k < batchSize; k++) {
      const own = values.subarray(k * size, (k + 1) * size);
      count(total, faces[k], mergeFaces(facesOfCells(own, side, side, THRESHOLD)));
    }
  });
  const { faces, found, wrong, error } = total;
  return { faces, recall: found / faces, falsePositives: wrong / (BATCHES * batchSize), nme: error / found };
}

async function* mosaics(
  photos: MosaicPhotos,
  config: DetectorTrainingConfig,
): AsyncGenerator<InputBatch<MosaicFace[][]>> {
  for (let step = 0; step < BATCHES; step++) {
    const { images, faces } = await drawBatch(photos, { ...config, seed: SEED }, step);
    yield { values: images, known: faces };
  }
}

function count(
  total: { faces: number; found: number; wrong: number; error: number },
  faces: readonly MosaicFace[],
  found: readonly FoundFace[],
): void {
  const expected = faces.map((face) => ({
    ...face,
    counts:
      !face.doubtful &&
      !face.guessed &&
      face.visible >= LEAST_VISIBLE &&
      Math.min(face.width, face.height) >= LEAST_SIDE,
    landmarks: face.landmarks.map(([px, py]) => [px - 0.5, py - 0.5]) as unknown as FaceLandmarks,
  }));
  const { pairs, wrong } = matchFaces(
    expected.map(({ x: left, y: top, width, height, ...face }) => ({
      ...face,
      left,
      top,
      right: left + width,
      bottom: top + height,
    })),
    found,
  );
  total.faces += expected.filter(({ counts }) => counts).length;
  total.found += pairs.length;
  total.wrong += wrong.length;
  for (const { error } of pairs) total.error += error;
}
