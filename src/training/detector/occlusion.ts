import type { CounterRandom } from '../../common/random.js';
import type { MosaicFace, MosaicTile } from './mosaic-face.js';
import { stored } from './tile-pixels.js';

/** How often something is in front of a face. */
const SHARE = 0.16;

/** Whether a point is covered: (x, y) from the middle of the eyes, x along them, in units of their distance. */
type Cover = (x: number, y: number) => boolean;

/** Now and then something in front of a face: dark glasses, a mask over mouth and nose, or a board. */
export function paintOver(
  pixels: Float32Array,
  side: number,
  tile: MosaicTile,
  face: MosaicFace,
  random: CounterRandom,
): void {
  const draws = Array.from({ length: 10 }, () => random.uniform());
  if (draws[0] >= SHARE || face.guessed) return;
  const kind = Math.floor(3 * draws[1]);
  const dark = kind === 0;
  const colour = [2, 3, 4].map((k) => (dark ? 60 : 255) * draws[k] ** (kind === 1 ? 0.4 : 1));
  const cover = [glasses, mask, board][kind](draws.slice(5));
  paint(pixels, side, tile, face, cover, colour);
}

/** Two ellipses over the eyes, and what joins them. */
function glasses([a, b]: readonly number[]): Cover {
  const [rx, ry] = [0.34 + 0.14 * a, 0.22 + 0.14 * b];
  return (x, y) => {
    const fromEye = (Math.abs(x) - 0.5) / rx;
    return fromEye ** 2 + ((y - 0.04) / ry) ** 2 < 1 || (Math.abs(x) < 1 && Math.abs(y + 0.06) < 0.05);
  };
}

/** From the bridge of the nose, or below it, to the chin. */
function mask([a, b]: readonly number[]): Cover {
  const top = 0.35 + 0.4 * a;
  const half = 0.75 + 0.2 * b;
  return (x, y) => y > top + 0.15 * x * x && y < 1.85 && Math.abs(x) < half * (y < 1 ? 1 : 1 - 0.5 * (y - 1));
}

/** A rectangle anywhere over the face, of up to half of it. */
function board([a, b, c, d]: readonly number[]): Cover {
  const [x0, y0] = [-1 + 2 * a, -0.8 + 2.4 * b];
  const [halfWidth, halfHeight] = [0.15 + 0.4 * c, 0.15 + 0.5 * d];
  return (x, y) => Math.abs(x - x0) < halfWidth && Math.abs(y - y0) < halfHeight;
}

function paint(
  pixels: Float32Array,
  side: number,
  tile: MosaicTile,
  { x, y, width, height, landmarks: [left, right] }: MosaicFace,
  cover: Cover,
  colour: readonly number[],
): void {
  const along = [right[0] - left[0], right[1] - left[1]];
  const squared = along[0] ** 2 + along[1] ** 2;
  if (squared < 1) return;
  const middle = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
  for (
    let py = within(Math.floor(y), tile.top, tile.bottom);
    py < within(y + 1.2 * height, tile.top, tile.bottom);
    py++
  ) {
    for (let px = within(Math.floor(x), tile.left, tile.right); px < within(x + width, tile.left, tile.right); px++) {
      const [dx, dy] = [px + 0.5 - middle[0], py + 0.5 - middle[1]];
      const u = (dx * along[0] + dy * along[1]) / squared;
      const v = (dy * along[0] - dx * along[1]) / squared;
      if (!cover(u, v)) continue;
      for (let c = 0; c < 3; c++) pixels[3 * (py * side + px) + c] = stored(colour[c]);
    }
  }
}
