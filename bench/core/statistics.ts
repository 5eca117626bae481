/** Median and quartiles of several samples of one quantity. */
export interface Spread {
  median: number;
  /** Lower and upper quartile. */
  low: number;
  high: number;
  samples: number;
}

/** The value below which the fraction `q` of the values lies, by linear interpolation between neighbours. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError('quantile: got no values');
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    samples: values.length,
  };
}

/** The geometric mean: exp of the mean of the logarithms. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('geometricMean: got no values');
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
