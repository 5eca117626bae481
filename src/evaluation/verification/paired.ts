import { ArgumentError } from '../../common/errors.js';

/** How two ways of deciding the same pairs differ. */
export interface PairedComparison {
  /** Pairs that only the first, and only the second, decides correctly. */
  onlyFirst: number;
  onlySecond: number;
  /** Two-sided mid-p value of McNemar's exact test: the probability of a split at least this uneven if both were equally good. */
  p: number;
}

/** Natural logarithms of 0!, 1!, … */
function logFactorials(max: number): Float64Array {
  const logs = new Float64Array(max + 1);
  for (let n = 2; n <= max; n++) logs[n] = logs[n - 1] + Math.log(n);
  return logs;
}

/**
 * McNemar's test on the same pairs, exact with mid-p. Fagerland, Lydersen, Laake 2013, "The McNemar test for binary
 * matched-pairs data".
 * @throws ArgumentError for lists of unequal length
 */
export function mcNemar(first: readonly boolean[], second: readonly boolean[]): PairedComparison {
  if (first.length !== second.length) {
    throw new ArgumentError(`mcNemar: ${first.length} and ${second.length} decisions; expected as many of each`);
  }
  let [onlyFirst, onlySecond] = [0, 0];
  first.forEach((right, k) => {
    if (right && !second[k]) onlyFirst++;
    if (!right && second[k]) onlySecond++;
  });
  const n = onlyFirst + onlySecond;
  if (n === 0) return { onlyFirst, onlySecond, p: 1 };
  const logs = logFactorials(n);
  const chance = (k: number): number => Math.exp(logs[n] - logs[k] - logs[n - k] - n * Math.LN2);
  const min = Math.min(onlyFirst, onlySecond);
  let below = 0;
  for (let k = 0; k < min; k++) below += chance(k);
  return { onlyFirst, onlySecond, p: Math.min(1, 2 * below + chance(min)) };
}
