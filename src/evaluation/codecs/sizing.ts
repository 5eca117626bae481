import { ArgumentError } from '../../common/errors.js';
import { checkImage, type RgbImage } from '../../data/pictures/image.js';
import { resampleRgb } from './resample.js';

/**
 * Sides of the coded picture by those of the original. With few bytes, it is often better to code a small picture and
 * enlarge it. Every codec here may do so, as any of its users could.
 */
export const SCALES = [1, 5 / 6, 2 / 3, 1 / 2, 1 / 3] as const;

/** The picture in another size; itself when it has that size. */
export function resized(image: RgbImage, width: number, height: number): RgbImage {
  if (image.width === width && image.height === height) return image;
  return { width, height, data: resampleRgb(image.data, image.width, image.height, width, height) };
}

/** The picture scaled, at least a pixel wide and high. */
export function scaled(image: RgbImage, scale: number): RgbImage {
  const side = (length: number): number => Math.max(1, Math.round(length * scale));
  return resized(image, side(image.width), side(image.height));
}

/** @throws ArgumentError when the samples do not fit width and height, or for a budget that is not a positive integer */
export function checkRequest(rgb: Uint8Array, width: number, height: number, maxBytes: number): RgbImage {
  const image = { width, height, data: rgb };
  checkImage(image);
  if (!Number.isInteger(maxBytes) || maxBytes < 1) {
    throw new ArgumentError(`the budget is ${maxBytes} bytes; expected a positive integer`);
  }
  return image;
}

/** Addition to the settings in reports for a picture that was coded smaller. */
export const scaleSetting = (scale: number): string => (scale === 1 ? '' : `, scale ${scale.toFixed(2)}`);
