import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { CELL_STRIDES, CELL_VALUES } from '../models/single-shot.js';
import { BoxGrid, bestFirst, type Candidate, overlap } from './boxes.js';

/** A face that a network has found; landmarks count from the centre of the first pixel. */
export interface FoundFace extends Candidate {
  readonly landmarks: FaceLandmarks;
}

/** A map of cells: its columns, its rows, and the number of its first cell. */
export interface CellMap {
  readonly stride: number;
  readonly columns: number;
  readonly rows: number;
  readonly first: number;
}

/** The maps of a picture, the finest first. @param width and height in pixels, multiples of 32 */
export function cellMaps(width: number, height: number): CellMap[] {
  let first = 0;
  return CELL_STRIDES.map((stride) => {
    const map = { stride, columns: width / stride, rows: height / stride, first };
    first += map.columns * map.rows;
    return map;
  });
}

/** Cells of a picture in all maps. */
export const countCells = (width: number, height: number): number =>
  cellMaps(width, height).reduce((count, { columns, rows }) => count + columns * rows, 0);

/** Logarithms of sizes in strides are held within this: a network that is not trained says anything. */
export const MAX_LOG_SIZE = 6;

/**
 * The faces that cells see, several of them the same one.
 * @param values [cells, 15] of one picture, see `src/models/single-shot.ts`
 * @returns faces of at least this score; what has a score or a box that is no number is none
 */
export function facesOfCells(values: Float32Array, width: number, height: number, threshold: number): FoundFace[] {
  const least = Math.log(threshold / (1 - threshold));
  return cellMaps(width, height).flatMap(({ stride, columns, rows, first }) => {
    const faces: FoundFace[] = [];
    for (let cell = 0; cell < columns * rows; cell++) {
      const at = (first + cell) * CELL_VALUES;
      if (!(values[at] >= least)) continue;
      const centre: Point = [((cell % columns) + 0.5) * stride, (Math.floor(cell / columns) + 0.5) * stride];
      const face = faceOfCell(values.subarray(at, at + CELL_VALUES), centre, stride);
      if (Number.isFinite(face.left + face.top + face.right + face.bottom)) faces.push(face);
    }
    return faces;
  });
}

function faceOfCell(row: Float32Array, [x, y]: Point, stride: number): FoundFace {
  const half = (log: number): number => (stride * Math.exp(Math.min(MAX_LOG_SIZE, log))) / 2;
  const [centreX, centreY] = [x + stride * row[1], y + stride * row[2]];
  const [halfWidth, halfHeight] = [half(row[3]), half(row[4])];
  const landmarks = Array.from(
    { length: 5 },
    (_, k): Point => [x + stride * row[5 + 2 * k] - 0.5, y + stride * row[6 + 2 * k] - 0.5],
  );
  return {
    score: 1 / (1 + Math.exp(-row[0])),
    left: centreX - halfWidth,
    top: centreY - halfHeight,
    right: centreX + halfWidth,
    bottom: centreY + halfHeight,
    landmarks: landmarks as unknown as FaceLandmarks,
  };
}

/** Faces that overlap by more than this, as share of both together, are the same one; or of the smaller one. */
const SAME_FACE = 0.4;
const WITHIN_FACE = 0.75;
/** Only these have a say in where a face lies: of at least this part of the best one's score. */
const VOTING = 0.7;

/**
 * The best of the faces that overlap, each where the mean of those that are nearly as sure sees it, by score: single cells
 * err independently.
 * @param most of the faces, the best ones
 * @returns by falling score
 */
export function mergeFaces(found: readonly FoundFace[], most = Number.POSITIVE_INFINITY): FoundFace[] {
  const best = new BoxGrid<FoundFace>(found);
  const groups = new Map<FoundFace, FoundFace[]>();
  for (const face of bestFirst(found)) {
    const same = (other: FoundFace): boolean =>
      overlap(face, other) > SAME_FACE || overlap(face, other, 'min') > WITHIN_FACE;
    const group = groups.get(best.first(face, same)!);
    if (group) group.push(face);
    else if (groups.size < most) {
      best.add(face);
      groups.set(face, [face]);
    }
  }
  return [...groups.values()].map(meanFace);
}

function meanFace(group: readonly FoundFace[]): FoundFace {
  const [best] = group;
  const voters = group.filter((face) => face.score >= VOTING * best.score && overlap(face, best) > SAME_FACE);
  const total = voters.reduce((sum, { score }) => sum + score, 0);
  const mean = (value: (face: FoundFace) => number): number =>
    voters.reduce((sum, face) => sum + face.score * value(face), 0) / total;
  const landmarks = best.landmarks.map(
    (_, k): Point => [mean((face) => face.landmarks[k][0]), mean((face) => face.landmarks[k][1])],
  );
  return {
    score: best.score,
    left: mean((face) => face.left),
    top: mean((face) => face.top),
    right: mean((face) => face.right),
    bottom: mean((face) => face.bottom),
    landmarks: landmarks as unknown as FaceLandmarks,
  };
}
