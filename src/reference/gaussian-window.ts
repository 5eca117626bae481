/** Weights of a Gaussian window along one axis; they sum to 1. */
export function gaussianWindow(size: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, v) => sum + v, 0);
  return weights.map((v) => v / total);
}
