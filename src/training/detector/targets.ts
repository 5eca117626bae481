import type { CellMap } from '../../detection/cells.js';
import { CELL_VALUES } from '../../models/single-shot.js';
import type { MosaicFace } from './mosaic-face.js';

/** Values of a cell beside its score. */
export const PLACE_VALUES = CELL_VALUES - 1;
const BOX_VALUES = 4;

/**
 * Side lengths of the faces that a map learns, the root of the box's area in pixels: from and to. Those of `near` are taught
 * neither way, because the next map learns them. Neighbouring maps share some sizes.
 */
const SIZES = [
  { from: 7, to: 40, near: [5, 56] },
  { from: 26, to: 84, near: [18, 116] },
  { from: 56, to: 280, near: [38, 400] },
] as const;

/** Cells are taught a face whose centre is at most so far away: in strides, or in sides of the face if that is more. */
const CENTRE_STRIDES = 0.75;
const CENTRE_SIDES = 0.2;
/** Up to this distance, in sides of the face, a cell is taught neither way. */
const RING_SIDES = 0.4;

/** Shares of a face that are visible: below the first it need not be found, below the second it should not be. */
const ENOUGH_VISIBLE = 0.5;
const BARELY_VISIBLE = 0.2;

/** The distance of the eyes of a face seen from the front, in roots of its box's area. */
export const EYES_OF_SIDE = 0.43;

/** Targets of the cells for one mosaic; each has one value for each cell, or PLACE_VALUES. */
export interface CellTargets {
  /** 1 if the score should be high, or low; both 0 if it does not matter. */
  positive: Float32Array;
  negative: Float32Array;
  /** Targets of box and landmarks, times `scale`; `weight` is 0 if they do not matter. */
  place: Float32Array;
  scale: Float32Array;
  weight: Float32Array;
}

/** Targets of some cells, all negative. */
export const emptyTargets = (cells: number): CellTargets => ({
  positive: new Float32Array(cells),
  negative: new Float32Array(cells).fill(1),
  place: new Float32Array(cells * PLACE_VALUES),
  scale: new Float32Array(cells * PLACE_VALUES),
  weight: new Float32Array(cells * PLACE_VALUES),
});

/**
 * Writes the targets of a mosaic: cells near a face's centre learn it, in the map of its size. Of several faces, the one whose centre is
 * nearest in relation to its size has a cell.
 *
 * @param first number of the mosaic's first cell in `targets`
 * @returns cells that learn a face
 */
export function assignCells(
  targets: CellTargets,
  first: number,
  maps: readonly CellMap[],
  faces: readonly MosaicFace[],
  weights: { box: number; landmarks: number },
): number {
  let count = 0;
  maps.forEach((map, k) => {
    for (let cell = 0; cell < map.columns * map.rows; cell++) {
      const x = ((cell % map.columns) + 0.5) * map.stride;
      const y = (Math.floor(cell / map.columns) + 0.5) * map.stride;
      const seen = nearestFace(faces, x, y, map.stride, SIZES[k]);
      if (!seen) continue;
      const at = first + map.first + cell;
      targets.negative[at] = 0;
      if (!seen.learnt) continue;
      targets.positive[at] = 1;
      writePlace(targets, at, seen.face, [x, y], map.stride, weights);
      count++;
    }
  });
  return count;
}

/** The face that a cell sees, and whether it is to learn it; null for none. */
function nearestFace(
  faces: readonly MosaicFace[],
  x: number,
  y: number,
  stride: number,
  { from, to, near }: (typeof SIZES)[number],
): { face: MosaicFace; learnt: boolean } | null {
  let best: { face: MosaicFace; learnt: boolean } | null = null;
  let nearest = Number.POSITIVE_INFINITY;
  for (const face of faces) {
    const side = Math.sqrt(face.width * face.height);
    if (side > near[1] || face.visible < BARELY_VISIBLE) continue;
    const away = Math.max(Math.abs(x - face.x - face.width / 2), Math.abs(y - face.y - face.height / 2));
    if (away > Math.max(CENTRE_STRIDES * stride, RING_SIDES * side)) continue;
    const certain = face.visible >= ENOUGH_VISIBLE && !face.doubtful;
    const central = away <= Math.max(CENTRE_STRIDES * stride, CENTRE_SIDES * side);
    // A face that is too small for this map is not seen by it, unless it is nearly large enough.
    if (side < near[0]) continue;
    const learnt = certain && central && side >= from && side <= to;
    const distance = away / side - (learnt ? 1 : 0);
    if (distance < nearest) {
      nearest = distance;
      best = { face, learnt };
    }
  }
  return best;
}

function writePlace(
  { place, scale, weight }: CellTargets,
  cell: number,
  face: MosaicFace,
  [x, y]: readonly [number, number],
  stride: number,
  weights: { box: number; landmarks: number },
): void {
  const side = Math.sqrt(face.width * face.height);
  const at = cell * PLACE_VALUES;
  const set = (k: number, value: number, by: number, counts: number): void => {
    place[at + k] = value * by;
    scale[at + k] = by;
    weight[at + k] = counts;
  };
  const ofBox = face.guessed ? 0 : weights.box;
  set(0, (face.x + face.width / 2 - x) / stride, stride / side, ofBox);
  set(1, (face.y + face.height / 2 - y) / stride, stride / side, ofBox);
  set(2, Math.log(face.width / stride), 1, ofBox);
  set(3, Math.log(face.height / stride), 1, ofBox);
  // Errors count in relation to the distance of the eyes, which a face seen from the side hardly shows.
  const perEyes = stride / (EYES_OF_SIDE * side);
  const ofPoints = weights.landmarks * (face.guessed ? 0.3 : 1);
  face.landmarks.forEach(([px, py], k) => {
    set(BOX_VALUES + 2 * k, (px - x) / stride, perEyes, ofPoints);
    set(BOX_VALUES + 2 * k + 1, (py - y) / stride, perEyes, ofPoints);
  });
}
