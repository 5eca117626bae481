/** Samples of the orthonormal type-II cosine basis: row k holds basis vector k over `length` samples. */
export function cosineBasis(length: number, count: number): Float64Array[] {
  return Array.from({ length: count }, (_, k) =>
    Float64Array.from({ length }, (_, i) => {
      const scale = Math.sqrt((k === 0 ? 1 : 2) / length);
      return scale * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * length));
    }),
  );
}

/**
 * An orthonormal colour transform: grey, red − blue, and green against both. It nearly decorrelates the colours of faces, and is
 * orthonormal, so that squared errors of coefficients are squared errors of RGB samples.
 */
export const COLOUR_BASIS: readonly (readonly number[])[] = /* @__PURE__ */ (() => [
  [Math.sqrt(1 / 3), Math.sqrt(1 / 3), Math.sqrt(1 / 3)],
  [Math.sqrt(1 / 2), 0, -Math.sqrt(1 / 2)],
  [Math.sqrt(1 / 6), -2 * Math.sqrt(1 / 6), Math.sqrt(1 / 6)],
])();

/** Number of cosines that are kept on each axis: [rows, columns]. */
export interface Band {
  luma: readonly [number, number];
  chroma: readonly [number, number];
}

/**
 * The transform along a row and across colours as one matrix [width · 3, columns]: first the luma columns that are
 * symmetric about the middle of the face, then the antisymmetric ones, then both chroma planes in the same order. Even
 * cosines are symmetric, odd ones antisymmetric.
 */
export function rowTransform(width: number, { luma, chroma }: Band): Float32Array {
  const basis = cosineBasis(width, Math.max(luma[1], chroma[1]));
  const parity = (count: number, odd: number): number[] =>
    Array.from({ length: count }, (_, k) => k).filter((k) => k % 2 === odd);
  const columns = [
    ...[0, 1].flatMap((odd) => parity(luma[1], odd).map((k) => [0, k])),
    ...[0, 1].flatMap((odd) => [1, 2].flatMap((plane) => parity(chroma[1], odd).map((k) => [plane, k]))),
  ];
  const matrix = new Float32Array(width * 3 * columns.length);
  columns.forEach(([plane, k], column) => {
    for (let i = 0; i < width; i++) {
      for (let c = 0; c < 3; c++) {
        matrix[(i * 3 + c) * columns.length + column] = basis[k][i] * COLOUR_BASIS[plane][c];
      }
    }
  });
  return matrix;
}

/** The transform along a column, as a matrix [height, count]: one cosine a column of it. */
export function columnTransform(height: number, count: number): Float32Array {
  const basis = cosineBasis(height, count);
  return Float32Array.from({ length: height * count }, (_, at) => basis[at % count][Math.floor(at / count)]);
}
