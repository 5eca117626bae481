import { CounterRandom } from '../../common/random.js';
import { cellMaps, countCells } from '../../detection/cells.js';
import type { DetectorTrainingConfig } from './config.js';
import { drawMosaic, type MosaicPhotos } from './mosaic.js';
import type { MosaicFace } from './mosaic-face.js';
import { assignCells, type CellTargets, emptyTargets } from './targets.js';

/** What a step learns from. */
export interface DetectorBatch {
  /** [batchSize, side, side, 3], (byte − 127.5)/128 */
  images: Float32Array;
  targets: CellTargets;
  /** The faces in each mosaic. */
  faces: MosaicFace[][];
}

/** Minimum number of cells with a face that the loss is divided by, so that a batch without faces does not count too much. */
const LEAST_CELLS = 8;

/** The mosaics of a step and their targets, which depend only on seed and step. The loss is a mean over the cells that see a face. */
export async function drawBatch(
  photos: MosaicPhotos,
  { batchSize, side, seed, boxWeight, landmarkWeight }: DetectorTrainingConfig,
  step: number,
): Promise<DetectorBatch> {
  const images = new Float32Array(batchSize * side * side * 3);
  const maps = cellMaps(side, side);
  const cells = countCells(side, side);
  const targets = emptyTargets(batchSize * cells);
  const faces: MosaicFace[][] = [];
  let learning = 0;
  for (let k = 0; k < batchSize; k++) {
    // Between mosaics, the event loop can give the GPU its next commands.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const random = new CounterRandom(seed, step * batchSize + k);
    const size = side * side * 3;
    const found = drawMosaic(photos, side, random, images.subarray(k * size, (k + 1) * size));
    learning += assignCells(targets, k * cells, maps, found, { box: boxWeight, landmarks: landmarkWeight });
    faces.push(found);
  }
  const share = 1 / Math.max(LEAST_CELLS, learning);
  for (const part of [targets.positive, targets.negative, targets.weight]) {
    for (let k = 0; k < part.length; k++) part[k] *= share;
  }
  return { images, targets, faces };
}
