import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { type Mtcnn, PROPOSAL_STRIDE, WINDOWS } from '../models/mtcnn.js';
import type { Layer } from '../nn/module.js';
import { keep, scope, type Tensor } from '../tensor/tensor.js';
import { bestFirst, type Candidate, type FaceBox, moveSides, squareAround, suppressOverlaps } from './boxes.js';
import type { CropWindow, GpuPicture } from './gpu-picture.js';

/** A face that the cascade has found. */
export interface CascadeFace extends Candidate {
  readonly landmarks: FaceLandmarks;
}

/** Scores that a candidate needs to go on from the first two networks. Zhang et al.'s program has the same. */
const PROPOSAL_THRESHOLD = 0.6;
const REFINE_THRESHOLD = 0.7;
/** Overlaps above which the worse candidate goes: among windows of one size, and elsewhere. */
const SAME_SIZE_OVERLAP = 0.5;
const OVERLAP = 0.7;
/** From one size of the picture to the next smaller one. */
const PYRAMID_FACTOR = 0.709;

/**
 * Shapes are fixed, so that each kernel is compiled once for pictures of all sizes: the first network sees its pyramid in tiles,
 * the others see full batches.
 */
const TILE = 64;
const TILES_A_BATCH = 8;
const REFINE_BATCH = 16;
const OUTPUT_BATCH = 4;
/** Windows that a tile has along each axis. */
const TILE_WINDOWS = (TILE - WINDOWS.proposal) / PROPOSAL_STRIDE + 1;
/** Values that the first network has for a window. */
const PROPOSAL_VALUES = 6;

/** More candidates than this, the best ones, are not followed: a limit on time for pictures that look like faces everywhere. */
const MAX_CANDIDATES = 10_000;

/** Width and height in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** A part of the picture at one size of the pyramid. */
interface Tile extends CropWindow {
  /** Its windows that lie in the picture. */
  readonly rows: number;
  readonly columns: number;
}

/** A candidate with all that a network says of it. */
interface Answer extends Candidate {
  /** A row of results: see `src/models/mtcnn.ts`. */
  readonly row: Float32Array;
}

/**
 * Faces in a picture: windows of all sizes are looked at by the first network, what may be a face by the second, and what
 * still may be by the third, which also places landmarks.
 *
 * @param minFace side of the smallest window in pixels
 * @param threshold score of the last network that a face needs
 * @returns faces by falling score; boxes in pixels from the picture's corner, landmarks from the centre of its first pixel
 */
export async function findFaces(
  networks: Mtcnn,
  picture: GpuPicture,
  size: Size,
  minFace: number,
  threshold: number,
): Promise<CascadeFace[]> {
  const proposals = await propose(networks.proposal, picture, size, minFace);
  const seen = await lookAt(networks.refine, picture, proposals, WINDOWS.refine, REFINE_BATCH);
  const likely = suppressOverlaps(bestFirst(above(seen, REFINE_THRESHOLD)), OVERLAP);
  const refined = likely.map((answer) => squareAround(movedBox(answer)));
  const faces = await lookAt(networks.output, picture, refined, WINDOWS.output, OUTPUT_BATCH);
  const found = above(faces, threshold).map((answer) => ({
    ...movedBox(answer),
    score: answer.score,
    landmarks: landmarksOf(answer),
  }));
  return suppressOverlaps(found, OVERLAP, 'min');
}

const above = (answers: readonly Answer[], threshold: number): Answer[] =>
  answers.filter(({ score }) => score >= threshold);

const movedBox = (answer: Answer): FaceBox => moveSides(answer, answer.row.subarray(2, 6));

/** Five points from the row of a window that the last network has seen. Boxes count from the corner of the first pixel, points from its centre. */
function landmarksOf({ left, top, right, bottom, row }: Answer): FaceLandmarks {
  const points = Array.from(
    { length: 5 },
    (_, k): Point => [left + (right - left) * row[6 + k] - 0.5, top + (bottom - top) * row[11 + k] - 0.5],
  );
  return points as unknown as FaceLandmarks;
}

/** Squares that may hold a face, by the first network. */
async function propose(network: Layer, picture: GpuPicture, size: Size, minFace: number): Promise<FaceBox[]> {
  const sides = windowSides(size, minFace);
  const tiles = sides.flatMap((side) => tilesOf(size, side));
  const results = await runInBatches(network, picture, tiles, TILE, TILES_A_BATCH);
  const bySize = new Map<number, Answer[]>();
  tiles.forEach((tile, k) => {
    const answers = bySize.get(tile.step) ?? [];
    for (const answer of answersOf(tile, results[k])) answers.push(answer);
    bySize.set(tile.step, answers);
  });
  const kept = [...bySize.values()].flatMap((answers) =>
    suppressOverlaps(bestFirst(answers, MAX_CANDIDATES), SAME_SIZE_OVERLAP),
  );
  return suppressOverlaps(bestFirst(kept, MAX_CANDIDATES), OVERLAP).map((answer) => squareAround(movedBox(answer)));
}

/** The windows of a tile that may be faces, by the first network. @param results [windows, windows, 6] */
function answersOf(tile: Tile, results: Float32Array): Answer[] {
  const side = tile.step * WINDOWS.proposal;
  const answers: Answer[] = [];
  for (let y = 0; y < tile.rows; y++) {
    for (let x = 0; x < tile.columns; x++) {
      const at = (y * TILE_WINDOWS + x) * PROPOSAL_VALUES;
      const score = scoreOf(results, at);
      if (!(score >= PROPOSAL_THRESHOLD)) continue;
      const left = tile.left + x * PROPOSAL_STRIDE * tile.step;
      const top = tile.top + y * PROPOSAL_STRIDE * tile.step;
      const row = results.subarray(at, at + PROPOSAL_VALUES);
      answers.push({ score, left, top, right: left + side, bottom: top + side, row });
    }
  }
  return answers;
}

/** What a network says of square boxes of a pixel and more. @param window pixels of the side of what it takes */
async function lookAt(
  network: Layer,
  picture: GpuPicture,
  boxes: readonly FaceBox[],
  window: number,
  batch: number,
): Promise<Answer[]> {
  const real = boxes.filter(({ left, right }) => right - left >= 1);
  const windows = real.map(({ left, top, right }) => ({ left, top, step: (right - left) / window }));
  const rows = await runInBatches(network, picture, windows, window, batch);
  return real.map((box, k) => ({ ...box, score: scoreOf(rows[k]), row: rows[k] }));
}

/** The probability of a face, from the logits of "no face" and "face" that a row starts with. */
const scoreOf = (results: Float32Array, at = 0): number => 1 / (1 + Math.exp(results[at] - results[at + 1]));

/** Sides of windows in pixels of the picture: `minFace`, and larger ones as long as they fit. */
function windowSides({ width, height }: Size, minFace: number): number[] {
  const sides: number[] = [];
  for (let side = minFace; side <= Math.min(width, height); side /= PYRAMID_FACTOR) sides.push(side);
  return sides;
}

/** Tiles that cover a picture whose windows have this side. */
function tilesOf({ width, height }: Size, side: number): Tile[] {
  const step = side / WINDOWS.proposal;
  const stride = PROPOSAL_STRIDE * step;
  const windowsIn = (extent: number): number => Math.floor((extent - side) / stride) + 1;
  const tiles: Tile[] = [];
  for (let y = 0; y < windowsIn(height); y += TILE_WINDOWS) {
    for (let x = 0; x < windowsIn(width); x += TILE_WINDOWS) {
      const rows = Math.min(TILE_WINDOWS, windowsIn(height) - y);
      const columns = Math.min(TILE_WINDOWS, windowsIn(width) - x);
      tiles.push({ left: x * stride, top: y * stride, step, rows, columns });
    }
  }
  return tiles;
}

/** Fills up the last batch: a window that shows nothing. */
const NOTHING: CropWindow = { left: -1e6, top: -1e6, step: 1 };

/** Runs a network on crops of a picture. @returns its results for each window */
async function runInBatches(
  network: Layer,
  picture: GpuPicture,
  windows: readonly CropWindow[],
  side: number,
  batch: number,
): Promise<Float32Array[]> {
  const outputs: Tensor[] = [];
  try {
    for (let first = 0; first < windows.length; first += batch) {
      const some = windows.slice(first, first + batch);
      const full = [...some, ...new Array<CropWindow>(batch - some.length).fill(NOTHING)];
      outputs.push(scope(picture.gpu, () => keep(network.forward(picture.crops(full, { width: side, height: side })))));
    }
    const results = await Promise.all(outputs.map((output) => output.read()));
    return windows.map((_, k) => {
      const values = results[Math.floor(k / batch)];
      const size = values.length / batch;
      return values.subarray((k % batch) * size, ((k % batch) + 1) * size);
    });
  } finally {
    for (const output of outputs) output.dispose();
  }
}
