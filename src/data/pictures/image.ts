import type { Metadata } from 'sharp';
import { ImageError } from '../../common/errors.js';
import { checkImage, MAX_PIXELS, type RgbImage } from '../../common/rgb-image.js';
import { FileError, writeFileAtomic } from '../files/atomic-file.js';
import { readRegularFile } from '../files/read-file.js';
import { decodePicture } from './decode-picture.js';
import { markPng } from './own-files.js';
import { checkFormat } from './picture-format.js';
import sharp from './sharp.js';

export { checkImage, MAX_PIXELS, type RgbImage } from '../../common/rgb-image.js';

/** Files larger than this are refused before they are read; an uncompressed picture of MAX_PIXELS with 8 bits needs this much. */
export const MAX_PICTURE_BYTES = 400_000_000;

export interface ReadImageOptions {
  /** Name of the picture in errors; when absent, the path, or 'the picture' for bytes. */
  name?: string;
  /** Colour behind transparent pixels; black when absent. */
  background?: 'black' | 'white';
  /** Refuse a picture of any other size (after EXIF orientation) without decoding it. */
  exactly?: { width: number; height: number };
}

/**
 * Reads a picture (PICTURE_FORMATS; of several frames or pages the first): turned upright by its EXIF orientation, colour profiles converted to sRGB,
 * 16-bit and grey expanded to 8-bit RGB, transparency laid over the background. Of an animation, the first frame.
 *
 * @param source path of a file, or the bytes of one
 * @throws ImageError for a file that is missing, empty, truncated, damaged, of another format, of 0×0 pixels, or of
 *   more than MAX_PIXELS; the one-line message starts with the picture's name
 */
export async function readImage(source: string | Uint8Array, options: ReadImageOptions = {}): Promise<RgbImage> {
  const name = options.name ?? (typeof source === 'string' ? source : 'the picture');
  const bytes = typeof source === 'string' ? await readPictureFile(source, name) : source;
  checkFormat(bytes, name);

  const metadata = await readMetadata(bytes, name);
  const { width, height } = metadata.autoOrient;
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

  try {
    return await decodePicture(bytes, metadata, options.background ?? 'black', MAX_PIXELS);
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`${name}: ${error.message}`, { cause: error });
    throw new ImageError(`${name}: the picture is truncated or damaged (${decoderReason(error)})`, { cause: error });
  }
}

/**
 * The picture as PNG bytes; the same picture gives the same bytes.
 * @throws ArgumentError when the data does not fit width and height
 */
export async function encodePng(image: RgbImage): Promise<Uint8Array> {
  checkImage(image);
  const { width, height, data } = image;
  // Level 9 takes two to five times as long, and saves only a hundredth of the bytes.
  const png = await sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 7, adaptiveFiltering: true })
    .toBuffer();
  return new Uint8Array(png.buffer, png.byteOffset, png.length);
}

/** A picture made larger by a whole factor, with cubic interpolation, as PNG bytes. */
export async function enlargedPicture({ width, height, data }: RgbImage, factor: number): Promise<Uint8Array> {
  const size = { width: width * factor, height: height * factor, fit: 'fill', kernel: 'cubic' } as const;
  const png = sharp(data, { raw: { width, height, channels: 3 } })
    .resize(size)
    .png({ compressionLevel: 0 });
  return new Uint8Array(await png.toBuffer());
}

/**
 * Writes a picture as PNG, completely or not at all.
 * @param mark text that says that Cameo made it, so that folders of pictures are read without it
 * @throws ArgumentError when the data does not fit width and height; FileError when it cannot be written
 */
export async function writePng(path: string, image: RgbImage, mark?: string): Promise<void> {
  const png = await encodePng(image);
  await writeFileAtomic(path, mark === undefined ? png : markPng(png, mark));
}

/**
 * The bytes of a picture's file, not decoded.
 * @param name what errors call it
 * @throws ImageError for a file that cannot be read, or that is larger than MAX_PICTURE_BYTES
 */
export async function readPictureFile(path: string, name: string): Promise<Uint8Array> {
  return readRegularFile(path, MAX_PICTURE_BYTES).catch((error: unknown) => {
    if (!(error instanceof FileError)) throw error;
    throw new ImageError(
      error.message.replace(path, () => name),
      { cause: error },
    );
  });
}

async function readMetadata(bytes: Uint8Array, name: string): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw new ImageError(`${name}: the picture's header is truncated or damaged (${decoderReason(error)})`, {
      cause: error,
    });
  }
}

/** libvips gives one line for each of its layers, with prefixes; the first line with text is the cause. */
function decoderReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text
    .replace(/^Input (buffer|file) (has corrupt header:|contains)?/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*(Vips\w+|vips\w+|webp|pngload\w*):\s*/, '').trim())
    .filter((line) => line !== '');
  return lines[0] ?? 'the decoder gives no reason';
}
