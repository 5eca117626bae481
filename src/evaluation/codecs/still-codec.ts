import type { RgbImage } from '../../data/pictures/image.js';
import { psnr } from '../metrics/picture-quality.js';
import type { ForeignCodec, ForeignEncoding } from './foreign-codec.js';
import { checkRequest, resized, SCALES, scaled, scaleSetting } from './sizing.js';

/** An encoder with a quality; its file size mostly rises with the quality, but not strictly. */
export interface StillCodec<Variant extends string = string> {
  name: string;
  title: string;
  version(): string;
  /** Ways to encode: the first at every scale, the others at the scale that is best for the first. */
  variants: readonly Variant[];
  /** Smaller but worse ways, tried at the smallest scale if the first variant fits at no scale. */
  fallbacks?: readonly Variant[];
  /** Qualities to choose from, ascending. */
  qualities: readonly number[];
  /** Number of qualities on either side of the one found by bisection that are tried as well, because sizes are not monotonic. */
  around: number;
  encode(image: RgbImage, variant: Variant, quality: number): Promise<Uint8Array>;
  decode(bytes: Uint8Array): Promise<RgbImage>;
  /** Bytes that count; all when absent. */
  size?(bytes: Uint8Array): number;
}

interface Candidate extends ForeignEncoding {
  /** dB */
  psnr: number;
  scale: number;
  /** Index of the quality. */
  at: number;
}

/** Of the files of one search, those with at least this share of the largest size are decoded, because PSNR may still differ. */
const WORTH_DECODING = 0.93;

/** Scales are tried from the largest on, until one is worse than the best by this many dB. */
const SCALE_MARGIN = 0.2;

/** Makes a ForeignCodec of an encoder with a quality: the best PSNR over variants, scales and qualities that fit. */
export function foreignCodec<Variant extends string>(codec: StillCodec<Variant>): ForeignCodec {
  return {
    name: codec.name,
    title: codec.title,
    get version() {
      return codec.version();
    },
    async encode(rgb, width, height, maxBytes) {
      const best = await bestWithin(codec, checkRequest(rgb, width, height, maxBytes), maxBytes);
      return best && { bytes: best.bytes, size: best.size, rgb: best.rgb, settings: best.settings };
    },
    decode: async (bytes, width, height) => resized(await codec.decode(bytes), width, height).data,
  };
}

async function bestWithin<Variant extends string>(
  codec: StillCodec<Variant>,
  image: RgbImage,
  maxBytes: number,
): Promise<Candidate | null> {
  const [first, ...others] = codec.variants;
  let best = null as Candidate | null;
  let start = codec.qualities.length >> 2;
  for (const scale of SCALES) {
    const found = await search(codec, image, first, scale, maxBytes, start);
    if (found && (!best || found.psnr > best.psnr)) best = found;
    else if (found && best && found.psnr < best.psnr - SCALE_MARGIN) break;
    // If nothing fits, little fits at the next scale.
    start = found?.at ?? 0;
  }
  const scale = best?.scale ?? SCALES[SCALES.length - 1];
  for (const variant of best ? others : [...others, ...(codec.fallbacks ?? [])]) {
    const found = await search(codec, image, variant, scale, maxBytes, best?.at ?? 0);
    if (found && (!best || found.psnr > best.psnr)) best = found;
  }
  return best;
}

/** The best file of one variant at one scale, or null when none fits; the search starts at quality number `start`. */
async function search<Variant extends string>(
  codec: StillCodec<Variant>,
  image: RgbImage,
  variant: Variant,
  scale: number,
  maxBytes: number,
  start: number,
): Promise<Candidate | null> {
  const small = scaled(image, scale);
  const fitting: { bytes: Uint8Array; size: number; at: number }[] = [];
  const tried = new Map<number, boolean>();
  const fits = async (at: number): Promise<boolean> => {
    let known = tried.get(at);
    if (known === undefined) {
      const bytes = await codec.encode(small, variant, codec.qualities[at]);
      const size = codec.size?.(bytes) ?? bytes.length;
      known = size <= maxBytes;
      tried.set(at, known);
      if (known) fitting.push({ bytes, size, at });
    }
    return known;
  };
  const count = codec.qualities.length;
  const low = await lastFitting(fits, count, start);
  for (let at = Math.max(0, low - codec.around); at <= Math.min(count - 1, low + codec.around); at++) await fits(at);

  const largest = Math.max(...fitting.map(({ size }) => size));
  let best = null as Candidate | null;
  for (const { bytes, size, at } of fitting) {
    if (size < WORTH_DECODING * largest) continue;
    const rgb = resized(await codec.decode(bytes), image.width, image.height).data;
    const decibels = psnr(image.data, rgb);
    if (best && decibels <= best.psnr) continue;
    const settings = `${variant}, quality ${codec.qualities[at]}${scaleSetting(scale)}`;
    best = { bytes, size, rgb, settings, psnr: decibels, scale, at };
  }
  return best;
}

/** The last index that fits (-1 when none), if those that fit come first: steps from `start` that double, then bisection. */
async function lastFitting(fits: (at: number) => Promise<boolean>, count: number, start: number): Promise<number> {
  let low = -1;
  let high = count;
  const up = await fits(start);
  if (up) low = start;
  else high = start;
  for (let step = 2; high - low > 1; step *= 2) {
    const at = up ? low + step : high - step;
    if (at <= low || at >= high) break;
    if (await fits(at)) low = at;
    else high = at;
    // Both ends have been moved.
    if (up ? high < count : low >= 0) break;
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** An arithmetic list of qualities, both ends included. */
export function steps(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) =>
    Number((from + i * step).toFixed(6)),
  );
}
