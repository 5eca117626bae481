import { FormatError } from '../../common/errors.js';

/** Filter types 0..4 of PNG (ISO/IEC 15948, clause 9): None, Sub, Up, Average, Paeth. */
const FILTERS = 5;

/** The predictor that a filter type subtracts; all samples are one byte, so left is the byte before. */
function predict(type: number, left: number, up: number, upLeft: number): number {
  switch (type) {
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const estimate = left + up - upLeft;
      const distLeft = Math.abs(estimate - left);
      const distUp = Math.abs(estimate - up);
      const distUpLeft = Math.abs(estimate - upLeft);
      if (distLeft <= distUp && distLeft <= distUpLeft) return left;
      return distUp <= distUpLeft ? up : upLeft;
    }
    default:
      return 0;
  }
}

function filterRow(
  pixels: Uint8Array,
  width: number,
  row: number,
  type: number,
  out: Uint8Array,
  outStart: number,
): void {
  const start = row * width;
  out[outStart] = type;
  for (let x = 0; x < width; x++) {
    const left = x > 0 ? pixels[start + x - 1] : 0;
    const up = row > 0 ? pixels[start + x - width] : 0;
    const upLeft = x > 0 && row > 0 ? pixels[start + x - width - 1] : 0;
    out[outStart + 1 + x] = pixels[start + x] - predict(type, left, up, upLeft);
  }
}

/**
 * Ways to filter an 8-bit grey picture, each as the bytes that go into deflate (a type byte before every row):
 * one type for all rows, and for several rows also the type of least absolute sum row by row.
 */
export function filterCandidates(pixels: Uint8Array, width: number): Uint8Array[] {
  const height = pixels.length / width;
  // Without a row above, Up is None, Average halves its left neighbour, and Paeth is Sub.
  const types = height === 1 ? [0, 1, 3] : [0, 1, 2, 3, 4];
  const candidates = types.map((type) => {
    const out = new Uint8Array(pixels.length + height);
    for (let row = 0; row < height; row++) filterRow(pixels, width, row, type, out, row * (width + 1));
    return out;
  });
  if (height === 1) return candidates;
  const mixed = new Uint8Array(pixels.length + height);
  for (let row = 0; row < height; row++) {
    const from = row * (width + 1);
    const rows = candidates.map((candidate) => candidate.subarray(from, from + width + 1));
    const sums = rows.map((bytes) => bytes.subarray(1).reduce((sum, byte) => sum + Math.min(byte, 256 - byte), 0));
    mixed.set(rows[sums.indexOf(Math.min(...sums))], from);
  }
  return [...candidates, mixed];
}

/** Undoes the filters: `filtered` holds height rows of 1 + width bytes. Throws {@link FormatError} for types above 4. */
export function unfilter(filtered: Uint8Array, width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const from = row * (width + 1);
    const type = filtered[from];
    if (type >= FILTERS) throw new FormatError(`row ${row} has filter type ${type}, PNG knows 0 to 4`);
    const start = row * width;
    for (let x = 0; x < width; x++) {
      const left = x > 0 ? pixels[start + x - 1] : 0;
      const up = row > 0 ? pixels[start + x - width] : 0;
      const upLeft = x > 0 && row > 0 ? pixels[start + x - width - 1] : 0;
      pixels[start + x] = filtered[from + 1 + x] + predict(type, left, up, upLeft);
    }
  }
  return pixels;
}
