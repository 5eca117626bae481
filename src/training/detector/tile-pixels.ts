import type { CounterRandom } from '../../common/random.js';
import type { Affine, MosaicTile } from './mosaic-face.js';
import type { TrainingPhoto } from './photo-pyramid.js';

/** The look of a tile: light, colour, sharpness, noise. */
export interface PhotoLook {
  /** For red, green and blue, the level that each byte becomes. */
  readonly curves: readonly Float32Array[];
  /** Factor on the difference between a pixel's colour and its grey; 0 makes the picture grey. */
  readonly saturation: number;
  /** Number of additional halvings of the copy that is sampled; blurs the tile. */
  readonly blur: number;
  /** Standard deviation of the noise, levels. */
  readonly noise: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Colour outside of the photograph's border, levels. */
  readonly beyond: readonly number[];
}

/** Draws a random look. */
export function drawLook(random: CounterRandom): PhotoLook {
  const draws = Array.from({ length: 18 }, () => random.uniform());
  const dark = draws[0] < 0.12;
  const gain = dark ? 0.2 + 0.4 * draws[1] : 0.75 + 0.5 * draws[1];
  const gamma = Math.exp(0.5 * (draws[2] - 0.5));
  const lift = 40 * (draws[3] - 0.5) * (dark ? 0.3 : 1);
  const curves = [4, 5, 6].map((k) => {
    const channelGain = gain * (1 + 0.2 * (draws[k] - 0.5));
    return Float32Array.from({ length: 256 }, (_, v) =>
      Math.min(255, Math.max(0, 255 * channelGain * (v / 255) ** gamma + lift)),
    );
  });
  const noisy = draws[7] < 0.3;
  const beyond = draws[8] < 0.4 ? [0, 0, 0] : [9, 10, 11].map((k) => 255 * draws[k]);
  return {
    curves,
    saturation: draws[12] < 0.15 ? 0 : 0.6 + 0.7 * draws[13],
    blur: draws[14] < 0.15 ? 0.4 + 1.3 * draws[15] : 0,
    noise: noisy ? 2 + 14 * draws[16] ** 2 : 0,
    seed: Math.floor(draws[17] * 2 ** 24) + 1,
    beyond,
  };
}

/** Numbers of mean 0 and standard deviation 1, nearly normal. It uses xorshift32, because a counter-based generator would take longer than the training step. */
export function fastNoise(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    // The sum of four uniform bytes has a mean of 510 and a standard deviation of 147.8.
    return ((state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + (state >>> 24) - 510) / 147.8;
  };
}

/** Fills a tile with a view of a photograph, sampled bilinearly from the reduced copy whose pixels are about as large as the tile's. */
export function samplePhoto(
  pixels: Float32Array,
  side: number,
  { left, top, right, bottom }: MosaicTile,
  levels: TrainingPhoto['levels'],
  [a, b, c, d, e, f]: Affine,
  { curves: [reds, greens, blues], saturation, blur, noise, seed, beyond }: PhotoLook,
): void {
  const reduced = Math.log2(Math.sqrt(Math.abs(a * d - b * c)));
  const level = Math.min(levels.length - 1, Math.max(0, Math.round(Math.max(0, reduced - 0.1) + blur)));
  const { width, height, data } = levels[level];
  const scale = 2 ** -level;
  const normal = fastNoise(seed);
  const edgeX = width - 1;
  const edgeY = height - 1;
  const [beyondRed, beyondGreen, beyondBlue] = beyond;
  for (let y = top; y < bottom; y++) {
    let to = 3 * (y * side + left);
    for (let x = left; x < right; x++, to += 3) {
      // Centres of pixels lie at halves.
      const sx = (a * (x + 0.5) + b * (y + 0.5) + e) * scale - 0.5;
      const sy = (c * (x + 0.5) + d * (y + 0.5) + f) * scale - 0.5;
      let red = beyondRed;
      let green = beyondGreen;
      let blue = beyondBlue;
      if (sx > -0.5 && sy > -0.5 && sx < width - 0.5 && sy < height - 0.5) {
        const x0 = sx < 0 ? 0 : Math.floor(sx);
        const y0 = sy < 0 ? 0 : Math.floor(sy);
        const fx = sx < 0 || x0 >= edgeX ? 0 : sx - x0;
        const fy = sy < 0 || y0 >= edgeY ? 0 : sy - y0;
        const at = 3 * (y0 * width + x0);
        const next = fx > 0 ? 3 : 0;
        const below = fy > 0 ? 3 * width : 0;
        const w11 = fx * fy;
        const w10 = fx - w11;
        const w01 = fy - w11;
        const w00 = 1 - fx - w01;
        red = w00 * data[at] + w10 * data[at + next] + w01 * data[at + below] + w11 * data[at + below + next];
        green =
          w00 * data[at + 1] +
          w10 * data[at + next + 1] +
          w01 * data[at + below + 1] +
          w11 * data[at + below + next + 1];
        blue =
          w00 * data[at + 2] +
          w10 * data[at + next + 2] +
          w01 * data[at + below + 2] +
          w11 * data[at + below + next + 2];
        red = reds[red | 0];
        green = greens[green | 0];
        blue = blues[blue | 0];
      }
      const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
      pixels[to] = stored(grey + saturation * (red - grey) + (noise && noise * normal()));
      pixels[to + 1] = stored(grey + saturation * (green - grey) + (noise && noise * normal()));
      pixels[to + 2] = stored(grey + saturation * (blue - grey) + (noise && noise * normal()));
    }
  }
}

/** A level as the network's input, rounded to a byte first. */
export const stored = (level: number): number =>
  ((level < 0 ? 0 : level > 255 ? 255 : Math.round(level)) - 127.5) / 128;

/** Fills a tile with waves and blotches, which are not faces. */
export function paintTexture(
  pixels: Float32Array,
  side: number,
  { left, top, right, bottom }: MosaicTile,
  { noise, seed }: PhotoLook,
  random: CounterRandom,
): void {
  const normal = fastNoise(seed);
  const colours = Array.from({ length: 9 }, () => 255 * random.uniform());
  const waves = Array.from({ length: 4 }, () => {
    const [angle, frequency] = [Math.PI * random.uniform(), Math.exp(Math.log(0.03) + random.uniform() * Math.log(50))];
    return [frequency * Math.cos(angle), frequency * Math.sin(angle), 6.3 * random.uniform()];
  });
  const wave = (k: number, x: number, y: number): number => Math.sin(waves[k][0] * x + waves[k][1] * y + waves[k][2]);
  const sharp = random.uniform() < 0.4;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      let u = 0.5 + 0.25 * (wave(0, x, y) + wave(1, x, y) * wave(2, x, y));
      const v = 0.5 + 0.5 * wave(3, x, y);
      if (sharp) u = u > 0.5 ? 1 : 0;
      const to = 3 * (y * side + x);
      for (let c = 0; c < 3; c++) {
        const level = u * (v * colours[c] + (1 - v) * colours[3 + c]) + (1 - u) * colours[6 + c];
        pixels[to + c] = stored(level + noise * normal());
      }
    }
  }
}
