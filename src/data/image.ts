import sharp from 'sharp';
import { ImageError } from '../common/errors.js';
import { FileError, writeFileAtomic } from './atomic-file.js';
import { readRegularFile } from './read-file.js';
import { checkImage, MAX_PIXELS, type RgbImage } from './rgb-image.js';

export { checkImage, MAX_PIXELS, type RgbImage } from './rgb-image.js';

/** Files larger than this are refused before they are read: no picture of MAX_PIXELS needs as much. */
export const MAX_FILE_BYTES = 400_000_000;

export interface ReadImageOptions {
  /** What errors call the picture; the path, or 'the picture' for bytes, when absent. */
  name?: string;
  /** What shows through transparent pixels; black when absent. */
  background?: 'black' | 'white';
  /** Refuse a picture of any other size (after EXIF orientation) without decoding it. */
  exactly?: { width: number; height: number };
}

/**
 * Reads a JPEG, PNG or WebP picture: turned upright by its EXIF orientation, colour profiles converted to sRGB,
 * 16-bit and grey expanded to 8-bit RGB, transparency laid over the background. Of an animation, the first frame.
 *
 * @param source path of a file, or the bytes of one
 * @throws ImageError for a file that is missing, empty, truncated, damaged, of another format, of 0×0 pixels, or of
 *   more than MAX_PIXELS; the one-line message starts with the picture's name
 */
export async function readImage(source: string | Uint8Array, options: ReadImageOptions = {}): Promise<RgbImage> {
  const name = options.name ?? (typeof source === 'string' ? source : 'the picture');
  const bytes = typeof source === 'string' ? await readLimited(source, name) : source;
  checkFormat(bytes, name);

  const { width, height } = await readSize(bytes, name);
  if (!(width > 0) || !(height > 0)) throw new ImageError(`${name}: the picture is ${width}×${height} pixels`);
  if (width * height > MAX_PIXELS) {
    throw new ImageError(
      `${name}: the picture is ${width}×${height}, ${(width * height) / 1e6} megapixels; at most ${MAX_PIXELS / 1e6} are accepted`,
    );
  }
  const { exactly } = options;
  if (exactly && (width !== exactly.width || height !== exactly.height)) {
    throw new ImageError(
      `${name}: the picture is ${width}×${height}; expected ${exactly.width}×${exactly.height} (width×height)`,
    );
  }

  let decoded: Awaited<ReturnType<typeof decode>>;
  try {
    decoded = await decode(bytes, options.background ?? 'black');
  } catch (error) {
    throw new ImageError(`${name}: the picture is truncated or damaged (${decoderReason(error)})`, { cause: error });
  }
  const { data, info } = decoded;
  if (info.channels !== 3) throw new ImageError(`${name}: decoded to ${info.channels} channels; expected 3`);
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

/**
 * The picture as PNG bytes; the same picture gives the same bytes.
 * @throws ArgumentError when the data does not fit width and height
 */
export async function encodePng(image: RgbImage): Promise<Uint8Array> {
  checkImage(image);
  const { width, height, data } = image;
  const png = await sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 9, adaptiveFiltering: true })
    .toBuffer();
  return new Uint8Array(png.buffer, png.byteOffset, png.length);
}

/**
 * Writes a picture as PNG, whole or not at all.
 * @throws ArgumentError when the data does not fit width and height; FileError when it cannot be written
 */
export async function writePng(path: string, image: RgbImage): Promise<void> {
  await writeFileAtomic(path, await encodePng(image));
}

async function readLimited(path: string, name: string): Promise<Uint8Array> {
  return readRegularFile(path, MAX_FILE_BYTES).catch((error: unknown) => {
    if (!(error instanceof FileError)) throw error;
    throw new ImageError(
      error.message.replace(path, () => name),
      { cause: error },
    );
  });
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** By content, as a name may lie; nothing else reaches the decoders, of which libvips has many more. */
function checkFormat(bytes: Uint8Array, name: string): void {
  if (bytes.length === 0) throw new ImageError(`${name}: the file is empty`);
  const ascii = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));
  const png = PNG_SIGNATURE.every((byte, i) => bytes[i] === byte);
  const jpeg = bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
  const webp = ascii(0, 4) === 'RIFF' && ascii(8, 12) === 'WEBP';
  if (!png && !jpeg && !webp) throw new ImageError(`${name}: not a JPEG, PNG or WebP picture`);
  if (png && bytes.length >= 24) {
    // libvips calls this a damaged header without saying what is wrong.
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const width = view.getUint32(16);
    const height = view.getUint32(20);
    if (width === 0 || height === 0) throw new ImageError(`${name}: the picture is ${width}×${height} pixels`);
  }
}

async function readSize(bytes: Uint8Array, name: string): Promise<{ width: number; height: number }> {
  try {
    const { autoOrient } = await sharp(bytes, { limitInputPixels: false }).metadata();
    return autoOrient;
  } catch (error) {
    throw new ImageError(`${name}: the picture's header is truncated or damaged (${decoderReason(error)})`, {
      cause: error,
    });
  }
}

function decode(bytes: Uint8Array, background: 'black' | 'white') {
  return sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
    .autoOrient()
    .flatten({ background })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
}

/** libvips gives one line for each layer it passed, with prefixes; the first that says something is the cause. */
function decoderReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text
    .replace(/^Input (buffer|file) (has corrupt header:|contains)?/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*(Vips\w+|vips\w+|webp|pngload\w*):\s*/, '').trim())
    .filter((line) => line !== '');
  return lines[0] ?? 'the decoder gives no reason';
}
