import type { RgbImage } from './rgb-image.js';

/** A part of a picture, in pixels from its corner; within the picture. */
export interface PictureWindow {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The picture, or a part of it, reduced by a whole factor: each pixel is the mean of factor × factor pixels, or of fewer at the
 * right and bottom border.
 */
export function reducePicture(image: RgbImage, factor: number, window?: PictureWindow): RgbImage {
  if (factor <= 1 && !window) return image;
  const part = window ?? { left: 0, top: 0, width: image.width, height: image.height };
  const width = Math.ceil(part.width / factor);
  const height = Math.ceil(part.height / factor);
  const data = new Uint8Array(width * height * 3);
  const sums = new Float64Array(width * 3);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * factor, part.height);
    sums.fill(0);
    for (let row = y * factor; row < bottom; row++) {
      const from = (part.top + row) * image.width + part.left;
      addRow(image.data.subarray(3 * from, 3 * (from + part.width)), factor, sums);
    }
    for (let x = 0; x < width; x++) {
      const pixels = (Math.min((x + 1) * factor, part.width) - x * factor) * (bottom - y * factor);
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = Math.round(sums[3 * x + c] / pixels);
    }
  }
  return { width, height, data };
}

/** Adds each pixel of a row to the sums of the pixel that it goes into. */
function addRow(row: Uint8Array, factor: number, sums: Float64Array): void {
  for (let at = 0, into = 0; at < row.length; into += 3) {
    const end = Math.min(at + 3 * factor, row.length);
    for (; at < end; at += 3) {
      sums[into] += row[at];
      sums[into + 1] += row[at + 1];
      sums[into + 2] += row[at + 2];
    }
  }
}
