import type { RgbImage } from './rgb-image.js';

/**
 * The picture made smaller by a whole factor: each pixel is the mean of factor × factor pixels; at the right and bottom border of
 * those that there are.
 */
export function reducePicture(image: RgbImage, factor: number): RgbImage {
  if (factor <= 1) return image;
  const width = Math.ceil(image.width / factor);
  const height = Math.ceil(image.height / factor);
  const data = new Uint8Array(width * height * 3);
  const sums = new Float64Array(width * 3);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * factor, image.height);
    sums.fill(0);
    for (let row = y * factor; row < bottom; row++) addRow(image, row, factor, sums);
    for (let x = 0; x < width; x++) {
      const pixels = (Math.min((x + 1) * factor, image.width) - x * factor) * (bottom - y * factor);
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = Math.round(sums[3 * x + c] / pixels);
    }
  }
  return { width, height, data };
}

/** Adds each pixel of a row to the sums of the pixel that it goes into. */
function addRow({ width, data }: RgbImage, row: number, factor: number, sums: Float64Array): void {
  let at = row * width * 3;
  for (let x = 0, into = 0; x < width; into += 3) {
    const end = Math.min(x + factor, width);
    for (; x < end; x++, at += 3) {
      sums[into] += data[at];
      sums[into + 1] += data[at + 1];
      sums[into + 2] += data[at + 2];
    }
  }
}
