import type { Point } from '../../common/face-landmarks.js';
import type { CounterRandom } from '../../common/random.js';
import type { LabelledFace } from '../../data/faces/labelled-photos.js';
import type { Affine, MosaicFace, MosaicTile } from './mosaic-face.js';
import { paintOver } from './occlusion.js';
import type { TrainingPhoto } from './photo-pyramid.js';
import { drawLook, paintTexture, samplePhoto } from './tile-pixels.js';

/** Below this score, a face may not be one. */
export const DOUBTFUL_SCORE = 0.6;

/** Sides of the smallest faces shown; of those that the photographs fill a tile with, and of the largest in relation to it. */
const SMALLEST_FACE = 8;
const SMALL_FACE = 0.2;
const LARGEST_FACE = 1.1;
/** How often a mosaic has this many tiles along each side. */
const TILES: readonly (readonly [count: number, share: number])[] = [
  [1, 0.35],
  [2, 0.3],
  [3, 0.2],
  [5, 0.15],
];
/** How often a tile is placed so that its photograph fills it, if that is large enough. */
const FILLED = 0.75;
/** The most that a photograph is enlarged. */
const MAX_ENLARGEMENT = 2.2;
/** How often a tile shows a texture, or any part of a photograph; else it shows a face. */
const TEXTURES = 0.03;
const ANYWHERE = 0.15;
/** How often a tile comes from photographs whose boxes are guesses, if there are any. */
const GUESSED = 0.1;

/** Photographs to draw from: those with boxes, and those with points alone. */
export interface MosaicPhotos {
  readonly boxed: readonly TrainingPhoto[];
  readonly pointed: readonly TrainingPhoto[];
}

/**
 * Draws a mosaic of 1, 4, 9 or 25 photographs: faces from 8 pixels to the whole mosaic, uniform in the logarithm of the size. Faces
 * may be cut off, turned, mirrored, dark, grey, noisy, or have things in front of them.
 *
 * @param random decides everything
 * @param pixels [side, side, 3], to be filled with (byte − 127.5)/128
 * @returns the faces that are in it
 */
export function drawMosaic(
  photos: MosaicPhotos,
  side: number,
  random: CounterRandom,
  pixels: Float32Array,
): MosaicFace[] {
  return tilesOf(side, drawCount(random), random).flatMap((tile) => drawTile(photos, side, tile, random, pixels));
}

function drawCount(random: CounterRandom): number {
  let left = random.uniform();
  return (TILES.find(([, share]) => (left -= share) < 0) ?? TILES[0])[0];
}

/** Tiles of uneven sizes, count×count of them. */
function tilesOf(side: number, count: number, random: CounterRandom): MosaicTile[] {
  const cuts = (): number[] =>
    Array.from({ length: count + 1 }, (_, k) => {
      if (k === 0 || k === count) return (k * side) / count;
      return Math.round((side * (k + 0.5 * (random.uniform() - 0.5))) / count);
    });
  const [xs, ys] = [cuts(), cuts()];
  return Array.from({ length: count * count }, (_, k) => {
    const [column, row] = [k % count, Math.floor(k / count)];
    return { left: xs[column], top: ys[row], right: xs[column + 1], bottom: ys[row + 1] };
  });
}

function drawTile(
  photos: MosaicPhotos,
  side: number,
  tile: MosaicTile,
  random: CounterRandom,
  pixels: Float32Array,
): MosaicFace[] {
  const look = drawLook(random);
  const kind = random.uniform();
  if (kind < TEXTURES) {
    paintTexture(pixels, side, tile, look, random);
    return [];
  }
  const from = photos.pointed.length > 0 && random.uniform() < GUESSED ? photos.pointed : photos.boxed;
  const photo = from[random.int(from.length)];
  const toPhoto = drawView(photo, tile, kind < TEXTURES + ANYWHERE, random);
  samplePhoto(pixels, side, tile, photo.levels, toPhoto, look);
  const faces = photo.faces.flatMap((face) => faceInTile(face, photo, tile, toPhoto));
  for (const face of faces) paintOver(pixels, side, tile, face, random);
  return faces;
}

/** The view of a photograph in a tile. @param anywhere true: any part of it, at any size; false: one of its faces */
function drawView(photo: TrainingPhoto, tile: MosaicTile, anywhere: boolean, random: CounterRandom): Affine {
  const [width, height] = [tile.right - tile.left, tile.bottom - tile.top];
  const { width: photoWidth, height: photoHeight } = photo.levels[0];
  const draws = Array.from({ length: 8 }, () => random.uniform());
  const turnedFar = draws[0] < 0.3;
  const angle = ((2 * draws[1] - 1) * (turnedFar ? 42 : 14) * Math.PI) / 180;
  const mirrored = draws[2] < 0.5;
  const stretch = 1 + 0.16 * (draws[3] - 0.5);
  const filled = draws[7] < FILLED;
  // Where the tile shows what point of the photograph, and at which size.
  const shownAt: Point = [tile.left + width * (0.08 + 0.84 * draws[4]), tile.top + height * (0.08 + 0.84 * draws[5])];
  const view = (point: Point, scale: number): Affine => {
    const at = filled ? fill(shownAt, point, scale, mirrored, tile, photo) : shownAt;
    return photoView(point, at, scale, angle, mirrored, stretch);
  };
  if (anywhere || photo.faces.length === 0) {
    const scale = Math.max(width / photoWidth, height / photoHeight) * 4 ** draws[6];
    return view([photoWidth * random.uniform(), photoHeight * random.uniform()], scale);
  }
  const { x, y, width: w, height: h } = faceBoxOf(drawFace(photo.faces, random));
  const longer = Math.max(width, height);
  const smallest = Math.max(SMALLEST_FACE, SMALL_FACE * longer);
  const size = smallest * Math.max(1.5, (LARGEST_FACE * longer) / smallest) ** draws[6];
  return view([x + w / 2, y + h / 2], Math.min(MAX_ENLARGEMENT, size / Math.sqrt(w * h)));
}

/** Moves the place where a tile shows a point so that the photograph, were it upright, leaves no border empty, as far as it can. */
function fill(
  [x, y]: Point,
  [px, py]: Point,
  scale: number,
  mirrored: boolean,
  tile: MosaicTile,
  { levels: [{ width, height }] }: TrainingPhoto,
): Point {
  const along = (at: number, before: number, after: number, from: number, to: number): number =>
    // Between: the photograph begins at the tile's border, and ends there.
    before + after < to - from ? at : Math.min(from + before, Math.max(to - after, at));
  const [left, right] = mirrored ? [width - px, px] : [px, width - px];
  return [
    along(x, scale * left, scale * right, tile.left, tile.right),
    along(y, scale * py, scale * (height - py), tile.top, tile.bottom),
  ];
}

/** Mostly the largest one. */
function drawFace(faces: readonly LabelledFace[], random: CounterRandom): LabelledFace {
  if (random.uniform() < 0.25) return faces[random.int(faces.length)];
  const area = (face: LabelledFace): number => faceBoxOf(face).width * faceBoxOf(face).height;
  return faces.reduce((best, face) => (area(face) > area(best) ? face : best));
}

/** The view that shows a point of the photograph at a point of the mosaic. */
export function photoView(
  [px, py]: Point,
  [mx, my]: Point,
  scale: number,
  angle: number,
  mirrored: boolean,
  stretch: number,
): Affine {
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const flip = mirrored ? -1 : 1;
  const [a, b, c, d] = [(flip * cos) / stretch, flip * sin, -sin / stretch, cos];
  return [a, b, c, d, px - a * mx - b * my, py - c * mx - d * my];
}

/** The box of a face; of one that has none a guess from its points, upright. */
export function faceBoxOf({ box, landmarks }: LabelledFace): NonNullable<LabelledFace['box']> {
  if (box) return box;
  const middle = (p: Point, q: Point): Point => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  const eyes = middle(landmarks[0], landmarks[1]);
  const mouth = middle(landmarks[3], landmarks[4]);
  const down = [mouth[0] - eyes[0], mouth[1] - eyes[1]];
  // The ratios are those of faces whose boxes are known.
  const height = 2.7 * Math.hypot(down[0], down[1]);
  const width = 0.75 * height;
  const centre = [eyes[0] + 0.33 * down[0], eyes[1] + 0.33 * down[1]];
  return { x: centre[0] - width / 2, y: centre[1] - height / 2, width, height };
}

/** A face of a photograph as the tile shows it; none if the tile does not show it. */
export function faceInTile(face: LabelledFace, photo: TrainingPhoto, tile: MosaicTile, toPhoto: Affine): MosaicFace[] {
  const [a, b, c, d, e, f] = toPhoto;
  const determinant = a * d - b * c;
  const toMosaic = ([x, y]: Point): Point => [
    (d * (x - e) - b * (y - f)) / determinant,
    (a * (y - f) - c * (x - e)) / determinant,
  ];
  const box = faceBoxOf(face);
  const centre = toMosaic([box.x + box.width / 2, box.y + box.height / 2]);
  // A turned face keeps its shape: the box about the turned ellipse, not about the turned box.
  const halfWidth = Math.hypot((d * box.width) / 2, (b * box.height) / 2) / Math.abs(determinant);
  const halfHeight = Math.hypot((c * box.width) / 2, (a * box.height) / 2) / Math.abs(determinant);
  const [left, top] = [centre[0] - halfWidth, centre[1] - halfHeight];
  const shown = { x: left, y: top, width: 2 * halfWidth, height: 2 * halfHeight };
  const visible = visibleShare(shown, photo, tile, toPhoto);
  if (visible === 0) return [];
  const points = face.landmarks.map(toMosaic);
  const landmarks = determinant < 0 ? [1, 0, 2, 4, 3].map((k) => points[k]) : points;
  return [{ ...shown, landmarks, visible, doubtful: face.score < DOUBTFUL_SCORE, guessed: face.box === null }];
}

/** The share of a box that lies in its tile and in its photograph, from points of a grid. */
function visibleShare(
  { x, y, width, height }: Pick<MosaicFace, 'x' | 'y' | 'width' | 'height'>,
  { levels: [{ width: photoWidth, height: photoHeight }] }: TrainingPhoto,
  { left, top, right, bottom }: MosaicTile,
  [a, b, c, d, e, f]: Affine,
): number {
  const GRID = 6;
  let seen = 0;
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const [px, py] = [x + ((column + 0.5) * width) / GRID, y + ((row + 0.5) * height) / GRID];
      const [sx, sy] = [a * px + b * py + e, c * px + d * py + f];
      const inTile = px >= left && px < right && py >= top && py < bottom;
      if (inTile && sx >= 0 && sy >= 0 && sx < photoWidth && sy < photoHeight) seen++;
    }
  }
  return seen / GRID ** 2;
}
