/** Resamples of every bootstrap. */
export const RESAMPLES = 1000;

/** 95 % of the resamples, by the percentile method. */
export interface Interval {
  low: number;
  high: number;
}

/** @param values of the resamples, in any order */
export function intervalOf(values: Float64Array): Interval {
  const sorted = values.slice().sort();
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)];
  return { low: at(0.025), high: at(0.975) };
}

/** Two-sided: twice the smaller share of resamples on the other side of 0, at least 1 in their number. */
export function signProbability(differences: Float64Array): number {
  const below = differences.filter((value) => value <= 0).length;
  const above = differences.filter((value) => value >= 0).length;
  return Math.min(1, Math.max(2, 2 * Math.min(below, above)) / differences.length);
}
