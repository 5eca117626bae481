/** Outputs of a tile along an axis; its sources are two more, the window of 3 reaching that much further. */
export type WinogradOutputs = 2 | 4;

/** Sources along an axis of a tile, and products that stand for it. */
export const winogradPoints = (outputs: WinogradOutputs): number => outputs + 2;

/**
 * The transforms of F(m, 3) along an axis: y = Aᵀ[(G·g) ⊙ (Bᵀ·d)] are the m outputs of the window g over the m + 2
 * sources d, in m + 2 products instead of 3m (Lavin & Gray 2016, arXiv 1509.09308).
 */
export interface WinogradTransforms {
  /** Bᵀ, G and Aᵀ, row by row. */
  source: readonly (readonly number[])[];
  weights: readonly (readonly number[])[];
  dest: readonly (readonly number[])[];
}

/**
 * The points where polynomials are multiplied, besides infinity. ±1 and ±2, which are usual for four outputs, round more
 * coarsely: powers of points far from 1 spread the sizes of the terms.
 */
const POINTS: Record<WinogradOutputs, readonly number[]> = {
  2: [0, 1, -1],
  4: [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2],
};

/** Coefficients of Π (x − root), the constant first. */
function polynomial(roots: readonly number[]): number[] {
  return roots.reduce(
    (product, root) => product.concat(0).map((_, k) => (product[k - 1] ?? 0) - root * (product[k] ?? 0)),
    [1],
  );
}

/** Toom and Cook's construction: rows of G and columns of Aᵀ evaluate at a point, rows of Bᵀ interpolate. */
function transforms(outputs: WinogradOutputs): WinogradTransforms {
  const points = POINTS[outputs];
  const powers = (point: number, count: number): number[] => Array.from({ length: count }, (_, k) => point ** k);
  const last = (count: number): number[] => [...new Array<number>(count - 1).fill(0), 1];
  const others = (point: number): number[] => points.filter((other) => other !== point);
  const spread = (point: number): number => others(point).reduce((product, other) => product * (point - other), 1);
  const columns = [...points.map((point) => powers(point, outputs)), last(outputs)];
  return {
    source: [...points.map((point) => [...polynomial(others(point)), 0]), polynomial(points)],
    weights: [...points.map((point) => powers(point, 3).map((power) => power / spread(point))), last(3)],
    dest: powers(0, outputs).map((_, row) => columns.map((column) => column[row])),
  };
}

export const WINOGRAD: Record<WinogradOutputs, WinogradTransforms> = {
  2: /* @__PURE__ */ transforms(2),
  4: /* @__PURE__ */ transforms(4),
};
