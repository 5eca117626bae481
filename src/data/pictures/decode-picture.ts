import { deflateSync } from 'node:zlib';
import type { Metadata } from 'sharp';
import { joinPngChunks } from '../../codec/png/chunks.js';
import { ImageError } from '../../common/errors.js';
import type { RgbImage } from '../../common/rgb-image.js';
import { pngGamma } from './picture-format.js';
import sharp from './sharp.js';

/** Samples turned upright, in sRGB: of 8 bits, or of 16. */
interface Samples {
  width: number;
  height: number;
  /** RGB, or RGB and opacity. */
  channels: 3 | 4;
  data: Uint8Array | Uint16Array;
}

/** Pixels that are converted at a time: what a conversion takes beside the picture does not grow with it. */
const BAND_PIXELS = 1 << 18;
/** Width of the pictures that a profile is applied to. */
const ROW_PIXELS = 512;

/**
 * Decodes a picture (its first frame or page), turned upright, to 8-bit sRGB, by its colour profile if it has one. The result
 * is the same for 8 and 16 bits, and for grey and colour.
 * @param background colour behind transparent pixels
 * @param limit maximum number of pixels
 * @throws ImageError for samples of other than 8 or 16 bits; the decoder's errors
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
  const curve = (v: number): number => (gamma === undefined ? v : byGamma(v, gamma));
  // In the same memory: no band ends behind the samples that it is made of.
  const rgb = new Uint8Array(data.buffer, data.byteOffset, 3 * width * height);
  for (let first = 0; first < width * height; first += BAND_PIXELS) {
    const band = data.subarray(channels * first, channels * (first + BAND_PIXELS));
    const values = band instanceof Uint8Array ? band : await deepValues(band, channels, metadata);
    toRgb(values, channels, curve, background === 'white' ? 255 : 0, rgb.subarray(3 * first));
  }
  return { width, height, data: rgb };
}

const open = (bytes: Uint8Array, limit: number, ignoreIcc = false) =>
  sharp(bytes, { limitInputPixels: limit, failOn: 'error', ignoreIcc }).autoOrient();

/** Of 8 bits, which sharp takes from any profile to sRGB. */
async function decodeShallow(bytes: Uint8Array, limit: number): Promise<Samples> {
  const picture = open(bytes, limit).toColourspace('srgb').raw({ depth: 'uchar' });
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  return { ...info, channels: channelsOf(info), data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

/** Of 16 bits, which no profile has been applied to where the file has one. */
async function decodeDeep(bytes: Uint8Array, { icc }: Metadata, limit: number): Promise<Samples> {
  const picture = open(bytes, limit, icc !== undefined)
    .toColourspace('rgb16')
    .raw({ depth: 'ushort' });
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  const even = data.byteOffset % 2 === 0 ? data : new Uint8Array(data);
  return { ...info, channels: channelsOf(info), data: new Uint16Array(even.buffer, even.byteOffset, even.length / 2) };
}

/**
 * Some samples of 16 bits as sRGB from 0 to 255, not rounded. sharp takes colours of that depth by their profile to Display P3, clipped, and greys
 * nowhere; so each sample is put between its two neighbours of 8 bits, which go by the profile as any picture of 8 bits does.
 */
async function deepValues(
  samples: Uint16Array,
  channels: 3 | 4,
  { space, icc }: Pick<Metadata, 'space' | 'icc'>,
): Promise<Float32Array> {
  const data = new Float32Array(samples.length);
  for (let k = 0; k < data.length; k++) data[k] = samples[k] / 257;
  if (!icc) return data;
  const sizes = { channels, grey: space === 'grey16', icc };
  const below = await neighbours(samples, sizes, (v) => Math.floor(v / 257));
  const above = await neighbours(samples, sizes, (v) => Math.ceil(v / 257));
  for (let k = 0; k < data.length; k++) {
    if (k % channels === 3) continue;
    const at = Math.floor(k / channels) * 3 + (k % channels);
    data[k] = below[at] + (data[k] - Math.floor(data[k])) * (above[at] - below[at]);
  }
  return data;
}

/** RGB of a picture of 8 bits with these samples (without their opacity) and this profile. */
async function neighbours(
  samples: Uint16Array,
  { channels, grey, icc }: { channels: number; grey: boolean; icc: Uint8Array },
  round: (v: number) => number,
): Promise<Uint8Array> {
  const taken = grey ? 1 : 3;
  const pixels = samples.length / channels;
  const width = Math.min(pixels, ROW_PIXELS);
  const height = Math.ceil(pixels / width);
  const rows = new Uint8Array(height * (1 + width * taken)); // each begins with 0: no filter
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++, from += channels) {
      for (let c = 0; c < taken; c++) rows[to++] = round(samples[from + c] ?? 0);
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
  return (await decodeShallow(png, width * height)).data as Uint8Array;
}

function channelsOf({ channels }: { channels: number }): 3 | 4 {
  if (channels === 3 || channels === 4) return channels;
  throw new ImageError(`decoded to ${channels} channels; expected 3 or 4`);
}

/** sRGB of a sample whose light is its power of 1/gamma. */
const byGamma = (v: number, gamma: number): number => 255 * encodeSrgb((v / 255) ** (1 / gamma));

const encodeSrgb = (light: number): number => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

/** Rounds pixels to 8 bits, over the background where there is opacity. @param rgb where they go, 3 bytes a pixel; it may begin where `data` does */
function toRgb(
  data: Uint8Array | Float32Array,
  channels: 3 | 4,
  curve: (v: number) => number,
  background: number,
  rgb: Uint8Array,
): void {
  for (let from = 0, to = 0; from < data.length; from += channels, to += 3) {
    const opacity = channels === 4 ? data[from + 3] / 255 : 1;
    for (let c = 0; c < 3; c++) {
      rgb[to + c] = Math.round(background + opacity * (curve(data[from + c]) - background));
    }
  }
}
