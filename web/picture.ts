import { ImageError } from '../src/common/errors.js';
import { MAX_PIXELS, type RgbImage } from '../src/common/rgb-image.js';

/** Files larger than this are refused before they are read. */
const MAX_FILE_BYTES = 100_000_000;
/** Larger pictures are scaled down to this side: a face of 96×112 needs no more, and a telephone's memory is small. */
const MAX_SIDE = 3000;

/**
 * Reads a picture in any format that the browser knows. It is turned upright and converted to sRGB; transparent parts become black.
 * @throws ImageError with the name, if the file is empty, not a picture, damaged or too large
 */
export async function readPicture(blob: Blob, name: string): Promise<RgbImage> {
  if (blob.size === 0) throw new ImageError(`${name}: the file is empty`);
  if (blob.size > MAX_FILE_BYTES) {
    throw new ImageError(
      `${name}: the file has ${megabytes(blob.size)}; at most ${megabytes(MAX_FILE_BYTES)} are read`,
    );
  }
  const { width, height } = await sizeOf(blob, name);
  if (width * height > MAX_PIXELS) {
    const megapixels = `${Math.round((width * height) / 1e6)} megapixels`;
    throw new ImageError(
      `${name}: the picture is ${width}×${height}, ${megapixels}; at most ${MAX_PIXELS / 1e6} are accepted`,
    );
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const size = {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
  };
  const bitmap = await createImageBitmap(blob, { ...size, resizeQuality: 'high' }).catch((cause: unknown) => {
    throw new ImageError(`${name}: the picture is damaged, or too large for this browser`, { cause });
  });
  try {
    return fromSource(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** The size of a picture, without decoding all of it: browsers decode when they draw. */
async function sizeOf(blob: Blob, name: string): Promise<{ width: number; height: number }> {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
  } catch (cause) {
    throw new ImageError(`${name}: no picture that this browser can read, or a damaged one`, { cause });
  } finally {
    URL.revokeObjectURL(image.src);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width === 0 || height === 0) throw new ImageError(`${name}: the picture has no size in pixels`);
  return { width, height };
}

/** The pixels of something that can be drawn, such as a frame of a video. */
export function fromSource(source: CanvasImageSource, width: number, height: number): RgbImage {
  const context = contextOf(new OffscreenCanvas(width, height));
  context.drawImage(source, 0, 0, width, height);
  return { width, height, data: withoutAlpha(context.getImageData(0, 0, width, height).data) };
}

/** Puts a picture on a canvas, which takes its size. */
export function show(canvas: HTMLCanvasElement | OffscreenCanvas, { width, height, data }: RgbImage): void {
  canvas.width = width;
  canvas.height = height;
  contextOf(canvas).putImageData(new ImageData(withAlpha(data), width, height), 0, 0);
}

function contextOf(canvas: HTMLCanvasElement | OffscreenCanvas) {
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  // Browsers return null if a canvas is too large for them.
  if (!context) throw new ImageError(`the browser cannot make a canvas of ${canvas.width}×${canvas.height}`);
  return context as CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
}

function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}

export function withAlpha(rgb: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from];
    rgba[to + 1] = rgb[from + 1];
    rgba[to + 2] = rgb[from + 2];
  }
  return rgba;
}

/** Writes a picture as a file with the browser's encoder. */
export function toFile(image: RgbImage, type: string, quality?: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(image.width, image.height);
  show(canvas, image);
  return canvas.convertToBlob({ type, quality });
}
