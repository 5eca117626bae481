import { ArgumentError } from './errors.js';

/** A picture in sRGB: rows from the top, pixels from the left, three bytes (red, green, blue) each. */
export interface RgbImage {
  width: number;
  height: number;
  /** width·height·3 bytes */
  data: Uint8Array;
}

/**
 * Pictures with more pixels than this are refused before they are decoded. Medium-format and telephone cameras make up to 108 megapixels;
 * a picture is held whole, three bytes a pixel, and its decoder takes once or twice as much: `results/detection-time.md`.
 */
export const MAX_PIXELS = 120_000_000;

/** @throws ArgumentError when width, height and data of a picture do not fit together */
export function checkImage(image: RgbImage): void {
  const { width, height, data } = image;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new ArgumentError(`a picture of ${width}×${height}; expected positive integers`);
  }
  if (data.length !== width * height * 3) {
    throw new ArgumentError(
      `a picture of ${width}×${height} with ${data.length} bytes; expected ${width * height * 3} (RGB)`,
    );
  }
}
