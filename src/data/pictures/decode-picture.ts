import { deflateSync } from 'node:zlib';
import type { Metadata } from 'sharp';
import { joinPngChunks } from '../../codec/png/chunks.js';
import { ImageError } from '../../common/errors.js';
import type { RgbImage } from '../../common/rgb-image.js';
import { pngGamma } from './picture-format.js';
import sharp from './sharp.js';

/** Samples turned upright, in sRGB from 0 to 255: of 8 bits, or not rounded. */
interface Samples {
  width: number;
  height: number;
  /** RGB, or RGB and opacity. */
  channels: 3 | 4;
  data: Uint8Array | Float32Array;
}

/**
 * Decodes a picture (its first frame or page), turned upright, to 8-bit sRGB, by its colour profile where it has one. It is the
 * same for 8 and 16 bits, for grey and colour.
 * @param background what shows through transparent pixels
 * @param limit most pixels
 * @throws ImageError for samples that are neither of 8 nor of 16 bits; the decoder's errors
 */
export async function decodePicture(
  bytes: Uint8Array,
  metadata: Metadata,
  background: 'black' | 'white',
  limit: number,
): Promise<RgbImage> {
  const { depth, space } = metadata;
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new ImageError(`its samples are of type ${depth}; expected 8 or 16 bits`);
  }
  const deep = depth === 'ushort' && (space === 'rgb16' || space === 'grey16');
  const samples = deep ? await decodeDeep(bytes, metadata, limit) : await decodeShallow(bytes, limit);
  const gamma = pngGamma(bytes);
  const { width, height, channels, data } = samples;
  if (channels === 3 && data instanceof Uint8Array && gamma === undefined) return { width, height, data };
  return toRgb(samples, (v) => (gamma === undefined ? v : byGamma(v, gamma)), background === 'white' ? 255 : 0);
}

const open = (bytes: Uint8Array, limit: number, ignoreIcc = false) =>
  sharp(bytes, { limitInputPixels: limit, failOn: 'error', ignoreIcc }).autoOrient();

/** Of 8 bits, which sharp takes from any profile to sRGB. */
async function decodeShallow(bytes: Uint8Array, limit: number): Promise<Samples> {
  const picture = open(bytes, limit).toColourspace('srgb').raw({ depth: 'uchar' });
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  return { ...info, channels: channelsOf(info), data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

/**
 * Of 16 bits. sharp takes colours of that depth by their profile to Display P3, clipped, and greys nowhere; so each sample is
 * put between its two neighbours of 8 bits, which go by the profile as any picture of 8 bits does.
 */
async function decodeDeep(bytes: Uint8Array, { space, icc }: Metadata, limit: number): Promise<Samples> {
  const picture = open(bytes, limit, true).toColourspace('rgb16').raw({ depth: 'ushort' });
  const { data: raw, info } = await picture.toBuffer({ resolveWithObject: true });
  const samples = new Uint16Array(new Uint8Array(raw).buffer);
  const data = Float32Array.from(samples, (v) => v / 257);
  const channels = channelsOf(info);
  const deep = { width: info.width, height: info.height, channels, data };
  if (!icc) return deep;
  const sizes = { ...deep, grey: space === 'grey16', icc, limit };
  const below = await neighbours(samples, sizes, (v) => Math.floor(v / 257));
  const above = await neighbours(samples, sizes, (v) => Math.ceil(v / 257));
  for (let k = 0; k < data.length; k++) {
    if (k % channels === 3) continue;
    const at = Math.floor(k / channels) * 3 + (k % channels);
    data[k] = below[at] + (data[k] - Math.floor(data[k])) * (above[at] - below[at]);
  }
  return deep;
}

/** RGB of a picture of 8 bits with these samples (without their opacity) and this profile. */
async function neighbours(
  samples: Uint16Array,
  size: { width: number; height: number; channels: number; grey: boolean; icc: Uint8Array; limit: number },
  round: (v: number) => number,
): Promise<Uint8Array> {
  const { width, height, channels, grey, icc, limit } = size;
  const taken = grey ? 1 : 3;
  const rows = new Uint8Array(height * (1 + width * taken)); // each begins with 0: no filter
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++, from += channels) {
      for (let c = 0; c < taken; c++) rows[to++] = round(samples[from + c]);
    }
  }
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, grey ? 0 : 2], 8);
  const png = joinPngChunks([
    { type: 'IHDR', data: header },
    { type: 'iCCP', data: Buffer.concat([Buffer.from('profile\0\0'), deflateSync(icc)]) },
    { type: 'IDAT', data: deflateSync(rows, { level: 1 }) },
    { type: 'IEND', data: new Uint8Array(0) },
  ]);
  return (await decodeShallow(png, limit)).data as Uint8Array;
}

function channelsOf({ channels }: { channels: number }): 3 | 4 {
  if (channels === 3 || channels === 4) return channels;
  throw new ImageError(`decoded to ${channels} channels; expected 3 or 4`);
}

/** sRGB of a sample whose light is its power of 1/gamma. */
const byGamma = (v: number, gamma: number): number => 255 * encodeSrgb((v / 255) ** (1 / gamma));

const encodeSrgb = (light: number): number => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

/** Rounds to 8 bits, over the background where there is opacity. */
function toRgb({ width, height, channels, data }: Samples, curve: (v: number) => number, background: number): RgbImage {
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    const opacity = channels === 4 ? data[from + 3] / 255 : 1;
    for (let c = 0; c < 3; c++) {
      rgb[to + c] = Math.round(background + opacity * (curve(data[from + c]) - background));
    }
  }
  return { width, height, data: rgb };
}
