import { ArgumentError } from '../../common/errors.js';
import { checkImage, type RgbImage, readImage } from '../../data/pictures/image.js';
import sharp, { sharpVersions } from '../../data/pictures/sharp.js';
import { psnr } from '../metrics/picture-quality.js';
import type { ForeignCodec } from './foreign-codec.js';
import { resampleRgb } from './resample.js';
import { checkRequest, resized, SCALES, scaleSetting } from './sizing.js';

export type JpegColour = '4:2:0' | '4:4:4' | 'grey';

/** How a JPEG is written. Always baseline: progressive files are longer at this size by some ten bytes. */
export interface JpegSettings {
  colour: JpegColour;
  /** Number of one of mozjpeg's quantization tables. */
  table: number;
  /** Side of the coded picture by side of the original; the decoder enlarges it again. */
  scale: number;
}

export interface EncodedJpeg extends JpegSettings {
  bytes: Uint8Array;
  /** 1..100 */
  quality: number;
  /** Decoded, in the size of the original. */
  rgb: Uint8Array;
  /** dB, over all RGB samples. */
  psnr: number;
}

export interface JpegOptions {
  /** Scales to try; only 1 when absent. */
  scales?: readonly number[];
  /** Whether grey files are tried, too; yes when absent. */
  grey?: boolean;
}

/**
 * Of mozjpeg's nine tables, number 2 (tuned on MS-SSIM) gives the best mean PSNR of faces at 400 to 1000 bytes, 3 (by
 * N. Robidoux) is better for some; the others never gain 0.02 dB over these two.
 */
const FULL_SIZE: readonly Omit<JpegSettings, 'scale'>[] = [
  { colour: '4:2:0', table: 2 },
  { colour: '4:2:0', table: 3 },
  { colour: '4:4:4', table: 3 },
  { colour: 'grey', table: 3 },
];

/** For a smaller picture: with so few bytes, finer colour gains nothing, but grey may. */
const SCALED: readonly Omit<JpegSettings, 'scale'>[] = [
  { colour: '4:2:0', table: 2 },
  { colour: 'grey', table: 3 },
];

/** Of the files of one colour, table and scale that fit, this many of the highest quality are decoded. */
const DECODED_PER_SWEEP = 3;

function settingsToTry(scales: readonly number[], grey: boolean): JpegSettings[] {
  const all = scales.flatMap((scale) => {
    if (!(scale > 0 && scale <= 1)) throw new ArgumentError(`JPEG scale is ${scale}; expected above 0 and at most 1`);
    return (scale === 1 ? FULL_SIZE : SCALED).map((settings) => ({ ...settings, scale }));
  });
  return grey ? all : all.filter(({ colour }) => colour !== 'grey');
}

/** The picture as it enters the coder: scaled, and for grey one channel. */
function prepare(image: RgbImage, { colour, scale }: JpegSettings) {
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const rgb =
    width === image.width && height === image.height
      ? image.data
      : resampleRgb(image.data, image.width, image.height, width, height);
  return { width, height, data: colour === 'grey' ? greyOf(rgb) : rgb, channels: colour === 'grey' ? 1 : 3 } as const;
}

/** Mean of the three channels: of all grey pictures the one closest to the RGB picture, by mean squared error. */
export function greyOf(rgb: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: rgb.length / 3 }, (_, i) =>
    Math.round((rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2]) / 3),
  );
}

/** The same, as an RGB picture. */
export function greyAsRgb(rgb: Uint8Array): Uint8Array {
  const grey = greyOf(rgb);
  return Uint8Array.from({ length: rgb.length }, (_, i) => grey[Math.floor(i / 3)]);
}

async function encodeOnce(
  { width, height, data, channels }: ReturnType<typeof prepare>,
  { colour, table }: JpegSettings,
  quality: number,
): Promise<Uint8Array> {
  const picture = sharp(data, { raw: { width, height, channels } });
  if (colour === 'grey') picture.toColourspace('b-w');
  return await picture
    .jpeg({
      quality,
      chromaSubsampling: colour === '4:4:4' ? '4:4:4' : '4:2:0',
      // mozjpeg's preset `mozjpeg: true` would bring progressive scans along.
      progressive: false,
      optimiseScans: false,
      optimiseCoding: true,
      trellisQuantisation: true,
      overshootDeringing: true,
      quantisationTable: table,
    })
    .toBuffer();
}

async function finish(
  image: RgbImage,
  settings: JpegSettings,
  quality: number,
  bytes: Uint8Array,
): Promise<EncodedJpeg> {
  const decoded = await readImage(bytes, { name: 'the JPEG baseline' });
  const rgb =
    decoded.width === image.width && decoded.height === image.height
      ? decoded.data
      : resampleRgb(decoded.data, decoded.width, decoded.height, image.width, image.height);
  return { ...settings, bytes, quality, rgb, psnr: psnr(image.data, rgb) };
}

interface JpegOfQuality {
  quality: number;
  bytes: Uint8Array;
}

/**
 * The files of highest quality that fit, quality ascending. Size rises with quality except for a few bytes, so bisection finds
 * where files are too large by more than that, and below it each quality is tried.
 */
async function highestFitting(
  maxBytes: number,
  encode: (quality: number) => Promise<Uint8Array>,
): Promise<JpegOfQuality[]> {
  const files = new Map<number, Uint8Array>();
  const file = async (quality: number): Promise<Uint8Array> => {
    const bytes = files.get(quality) ?? (await encode(quality));
    files.set(quality, bytes);
    return bytes;
  };
  const farTooLarge = async (quality: number): Promise<boolean> => (await file(quality)).length > 1.1 * maxBytes + 32;
  let [below, above] = [0, 1];
  while (above <= 100 && !(await farTooLarge(above))) {
    below = above;
    above = above < 100 ? Math.min(2 * above, 100) : 101;
  }
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if (await farTooLarge(middle)) above = middle;
    else below = middle;
  }
  const fitting: JpegOfQuality[] = [];
  for (let quality = below; quality >= 1 && fitting.length < DECODED_PER_SWEEP; quality--) {
    const bytes = await file(quality);
    if (bytes.length <= maxBytes) fitting.unshift({ quality, bytes });
  }
  return fitting;
}

/**
 * The JPEG of best PSNR among those of at most `maxBytes`, over every quality 1..100, with optimised Huffman codes and
 * trellis quantization, in colour (4:2:0, 4:4:4) and grey; null when not even the smallest fits.
 *
 * @param rgb width·height·3 bytes
 * @throws ArgumentError when `rgb` does not fit width and height, or for a scale that is not in (0, 1]
 */
export async function encodeJpegAtMost(
  rgb: Uint8Array,
  width: number,
  height: number,
  maxBytes: number,
  { scales = [1], grey = true }: JpegOptions = {},
): Promise<EncodedJpeg | null> {
  const image = { width, height, data: rgb };
  checkImage(image);
  let best: EncodedJpeg | null = null;
  // No grey file is better than the grey picture itself; if a colour file is better than that, grey files need not be tried.
  const bestGrey = grey ? psnr(rgb, greyAsRgb(rgb)) : 0;
  const colourFirst = (a: JpegSettings, b: JpegSettings): number =>
    Number(a.colour === 'grey') - Number(b.colour === 'grey');
  for (const settings of settingsToTry(scales, grey).sort(colourFirst)) {
    if (settings.colour === 'grey' && best && best.psnr >= bestGrey) break;
    const picture = prepare(image, settings);
    const fitting = await highestFitting(maxBytes, (quality) => encodeOnce(picture, settings, quality));
    for (const { quality, bytes } of fitting) {
      const encoded = await finish(image, settings, quality, bytes);
      if (!best || encoded.psnr > best.psnr) best = encoded;
    }
  }
  return best;
}

/** The shortest JPEG with these settings, however bad it looks; it is shown if no JPEG fits a budget. */
export async function smallestJpeg(
  rgb: Uint8Array,
  width: number,
  height: number,
  { scales = [1], grey = true }: JpegOptions = {},
): Promise<EncodedJpeg> {
  const image = { width, height, data: rgb };
  checkImage(image);
  let best: { settings: JpegSettings; quality: number; bytes: Uint8Array } | undefined;
  for (const settings of settingsToTry(scales, grey)) {
    const picture = prepare(image, settings);
    for (let quality = 1; quality <= 10; quality++) {
      const bytes = await encodeOnce(picture, settings, quality);
      // Of equal sizes the higher quality.
      if (!best || bytes.length < best.bytes.length || (bytes.length === best.bytes.length && quality > best.quality)) {
        best = { settings, quality, bytes };
      }
    }
  }
  if (!best) throw new ArgumentError('smallestJpeg: no scales to try');
  return finish(image, best.settings, best.quality, best.bytes);
}

/** mozjpeg through sharp: every quality, several tables, colour and grey, each at several scales. */
export const JPEG: ForeignCodec = {
  name: 'jpeg',
  title: 'JPEG',
  get version() {
    const { mozjpeg, sharp } = sharpVersions();
    return `mozjpeg ${mozjpeg}, sharp ${sharp}, 2`;
  },
  async encode(rgb, width, height, maxBytes) {
    checkRequest(rgb, width, height, maxBytes);
    const encoded = await encodeJpegAtMost(rgb, width, height, maxBytes, { scales: SCALES });
    if (!encoded) return null;
    const { colour, table, quality, scale } = encoded;
    const bytes = new Uint8Array(encoded.bytes);
    const settings = `${colour}, table ${table}, quality ${quality}${scaleSetting(scale)}`;
    return { bytes, size: bytes.length, rgb: encoded.rgb, settings };
  },
  decode: async (bytes, width, height) =>
    resized(await readImage(bytes, { name: 'the JPEG baseline' }), width, height).data,
};
