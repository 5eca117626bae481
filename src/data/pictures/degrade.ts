import { ArgumentError } from '../../common/errors.js';
import type { CounterRandom } from '../../common/random.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import sharp from './sharp.js';

/** How often faces are degraded as cameras, encoders and things in front of faces degrade them. Shares from 0 to 1. */
export interface Degradation {
  /** blurred, reduced, made noisy or compressed; often two of these */
  share: number;
  /** a rectangle of one colour, or of noise, over a part of the face */
  covered: number;
  /** without colour */
  grey: number;
}

export const NO_DEGRADATION: Degradation = { share: 0, covered: 0, grey: 0 };

/** @throws ArgumentError that names the share out of range */
export function checkDegradation(options: Degradation): Degradation {
  for (const name of ['share', 'covered', 'grey'] as const) {
    const value = options[name];
    if (!(typeof value === 'number' && value >= 0 && value <= 1)) {
      throw new ArgumentError(`degrade.${name} is ${JSON.stringify(value)}; expected a number from 0 to 1`);
    }
  }
  return options;
}

/** What is done to one face, in this order; null or false for what is not done. */
export interface DegradationPlan {
  grey: boolean;
  /** Standard deviation of a Gaussian, pixels. */
  blur: number | null;
  /** Reduced by this factor and enlarged again. */
  reduce: number | null;
  /** Standard deviation of the noise, levels. */
  noise: number | null;
  /** Quality of a JPEG, 1 to 100. */
  jpeg: number | null;
  cover: { x: number; y: number; width: number; height: number; colour: readonly number[]; noisy: boolean } | null;
  /** Of the noise. */
  seed: number;
}

/** Words of the random sequence that a plan draws, at most. */
export const DEGRADATION_WORDS = 32;

const between = (low: number, high: number, share: number): number => low + (high - low) * share;

/** Draws what is done to a face. Every number is drawn, used or not, so that a share does not affect the others. */
export function planDegradation(options: Degradation, random: CounterRandom): DegradationPlan {
  const draws = Array.from({ length: 20 }, () => random.uniform());
  const degraded = draws[0] < options.share;
  const one = degraded ? Math.floor(draws[1] * 4) : -1;
  const two = degraded ? Math.floor(draws[2] * 4) : -1;
  const has = (kind: number): boolean => kind === one || kind === two;
  const [width, height] = [between(16, 48, draws[9]), between(16, 48, draws[10])].map(Math.round);
  return {
    grey: draws[3] < options.grey,
    blur: has(0) ? between(0.4, 2, draws[4]) : null,
    reduce: has(1) ? between(1.3, 3.5, draws[5]) : null,
    noise: has(2) ? between(2, 14, draws[6]) : null,
    jpeg: has(3) ? Math.round(between(6, 50, draws[7] ** 1.5)) : null,
    cover:
      draws[8] < options.covered
        ? {
            x: Math.floor(draws[11] * (FACE_WIDTH - width + 1)),
            y: Math.floor(draws[12] * (FACE_HEIGHT - height + 1)),
            width,
            height,
            colour: draws.slice(13, 16).map((draw) => Math.floor(draw * 256)),
            noisy: draws[16] < 0.3,
          }
        : null,
    seed: Math.floor(draws[17] * 2 ** 24) + 1,
  };
}

/** A face, RGB bytes of 112×96, degraded as the plan says; the face itself stays as it is. */
export async function degrade(face: Uint8Array, plan: DegradationPlan): Promise<Uint8Array> {
  let pixels: Uint8Array = face.slice();
  if (plan.grey) withoutColour(pixels);
  if (plan.blur !== null) pixels = Uint8Array.from(blurred(pixels, plan.blur), Math.round);
  if (plan.reduce !== null) pixels = reduced(pixels, plan.reduce);
  if (plan.noise !== null) addNoise(pixels, plan.noise, plan.seed);
  if (plan.jpeg !== null) {
    const raw = { width: FACE_WIDTH, height: FACE_HEIGHT, channels: 3 as const };
    const bytes = await sharp(pixels, { raw }).jpeg({ quality: plan.jpeg }).toBuffer();
    pixels = new Uint8Array(await sharp(bytes).toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer());
  }
  if (plan.cover) cover(pixels, plan.cover, plan.seed);
  return pixels;
}

/** Rec. 601. */
function withoutColour(pixels: Uint8Array): void {
  for (let at = 0; at < pixels.length; at += 3) {
    pixels.fill(Math.round(0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]), at, at + 3);
  }
}

/** Gaussian blur, edge pixels repeated. */
function blurred(pixels: ArrayLike<number>, sigma: number): Float32Array {
  const radius = Math.ceil(2.5 * sigma);
  const weights = Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-((k - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const along = (source: ArrayLike<number>, count: number, lines: number, step: number, lineStep: number) => {
    const out = new Float32Array(source.length);
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < count; i++) {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let k = 0; k < weights.length; k++) {
            const from = Math.min(count - 1, Math.max(0, i + k - radius));
            sum += weights[k] * source[line * lineStep + from * step + c];
          }
          out[line * lineStep + i * step + c] = sum / total;
        }
      }
    }
    return out;
  };
  const row = 3 * FACE_WIDTH;
  return along(along(pixels, FACE_WIDTH, FACE_HEIGHT, 3, row), FACE_HEIGHT, FACE_WIDTH, row, 3);
}

/** Sampled at every `factor` pixels, after a blur against aliasing, and enlarged bilinearly. */
function reduced(pixels: Uint8Array, factor: number): Uint8Array {
  const smooth = blurred(pixels, factor / 2);
  const at = (x: number, y: number): number => {
    const [column, row] = [
      Math.min(FACE_WIDTH - 1, Math.round(x * factor)),
      Math.min(FACE_HEIGHT - 1, Math.round(y * factor)),
    ];
    return 3 * (row * FACE_WIDTH + column);
  };
  const out = new Uint8Array(pixels.length);
  for (let y = 0, to = 0; y < FACE_HEIGHT; y++) {
    const top = Math.floor(y / factor);
    const fy = y / factor - top;
    for (let x = 0; x < FACE_WIDTH; x++) {
      const left = Math.floor(x / factor);
      const fx = x / factor - left;
      const corners = [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)];
      for (let c = 0; c < 3; c++, to++) {
        const upper = smooth[corners[0] + c] * (1 - fx) + smooth[corners[1] + c] * fx;
        const lower = smooth[corners[2] + c] * (1 - fx) + smooth[corners[3] + c] * fx;
        out[to] = Math.round(upper * (1 - fy) + lower * fy);
      }
    }
  }
  return out;
}

/** Marsaglia's xorshift32: a few million numbers a batch, where a counter-based generator would take longer than the step. */
function xorshift(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The sum of four uniform numbers is nearly normal. */
function addNoise(pixels: Uint8Array, deviation: number, seed: number): void {
  const uniform = xorshift(seed);
  for (let at = 0; at < pixels.length; at++) {
    const normal = (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3);
    pixels[at] = Math.min(255, Math.max(0, Math.round(pixels[at] + deviation * normal)));
  }
}

function cover(pixels: Uint8Array, area: NonNullable<DegradationPlan['cover']>, seed: number): void {
  const uniform = xorshift(seed);
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      for (let c = 0; c < 3; c++) {
        pixels[3 * (y * FACE_WIDTH + x) + c] = area.noisy ? Math.floor(uniform() * 256) : area.colour[c];
      }
    }
  }
}
