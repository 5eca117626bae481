import { CounterRandom } from '../../common/random.js';
import type { RgbImage } from '../../common/rgb-image.js';
import type { FaceBox } from '../../detection/boxes.js';

/** Minimum width and height in pixels of a part of a photograph without a face. */
const LEAST_SIDE = 64;
/** Boxes are enlarged by this share of their size on each side. */
const MARGIN = 0.5;

/**
 * The largest part of a photograph, above, below, left or right of its faces, that shows none.
 * @returns null if no part of 64×64 pixels is left
 */
export function faceless({ width, height, data }: RgbImage, faces: readonly FaceBox[]): RgbImage | null {
  const around = faces.map(({ left, top, right, bottom }) => {
    const [mx, my] = [MARGIN * (right - left), MARGIN * (bottom - top)];
    return { left: left - mx, top: top - my, right: right + mx, bottom: bottom + my };
  });
  const least = (values: number[]): number => Math.floor(Math.min(...values));
  const most = (values: number[]): number => Math.ceil(Math.max(...values));
  const parts = [
    { x: 0, y: 0, w: width, h: least([height, ...around.map(({ top }) => top)]) },
    { x: 0, y: 0, w: least([width, ...around.map(({ left }) => left)]), h: height },
    { x: 0, y: most([0, ...around.map(({ bottom }) => bottom)]), w: width, h: height },
    { x: most([0, ...around.map(({ right }) => right)]), y: 0, w: width, h: height },
  ].map(({ x, y, w, h }) => ({ x, y, w: Math.min(w, width - x), h: Math.min(h, height - y) }));
  const best = parts
    .filter(({ w, h }) => Math.min(w, h) >= LEAST_SIDE)
    .reduce<(typeof parts)[number] | null>((a, b) => (a && a.w * a.h >= b.w * b.h ? a : b), null);
  if (!best) return null;
  const part = new Uint8Array(best.w * best.h * 3);
  for (let row = 0; row < best.h; row++) {
    const from = 3 * ((best.y + row) * width + best.x);
    part.set(data.subarray(from, from + 3 * best.w), 3 * row * best.w);
  }
  return { width: best.w, height: best.h, data: part };
}

const TEXTURE = { width: 320, height: 240 };

/** A picture of waves, squares or noise. @param index tells which; the same gives the same picture */
export function texture(index: number): RgbImage {
  const random = new CounterRandom(20160411, index);
  const colours = Array.from({ length: 2 }, () => [0, 1, 2].map(() => 255 * random.uniform()));
  const period = Math.exp(Math.log(3) + random.uniform() * Math.log(30));
  const angle = Math.PI * random.uniform();
  const [cos, sin] = [Math.cos(angle) / period, Math.sin(angle) / period];
  const patterns: ((x: number, y: number) => number)[] = [
    (x, y) => 0.5 + 0.5 * Math.sin(2 * Math.PI * (cos * x + sin * y)),
    (x, y) => (Math.floor(cos * x + sin * y) + Math.floor(cos * y - sin * x)) & 1,
    (x, y) => 0.5 + 0.5 * Math.sin(2 * Math.PI * Math.hypot(x - 160, y - 120) * cos),
    (x, y) => 0.5 + 0.25 * (Math.sin(6 * (cos * x + sin * y)) + Math.sin(7 * (cos * y - sin * x + x / 90))),
    () => random.uniform(),
  ];
  const pattern = patterns[index % patterns.length];
  const data = new Uint8Array(TEXTURE.width * TEXTURE.height * 3);
  for (let y = 0, to = 0; y < TEXTURE.height; y++) {
    for (let x = 0; x < TEXTURE.width; x++) {
      const share = pattern(x, y);
      for (let c = 0; c < 3; c++, to++) data[to] = share * colours[0][c] + (1 - share) * colours[1][c];
    }
  }
  return { ...TEXTURE, data };
}
