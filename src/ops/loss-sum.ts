import type { Tensor } from '../tensor/tensor.js';
import { type SumChoice, sumOver } from './reduce.js';

/** Most terms of one sequential sum. */
const LONGEST = 32;

/**
 * Passes of short sums. The terms of a loss are all of one sign and often alike: in a long sequential sum they are
 * rounded in one direction, and the errors add up instead of cancelling.
 */
const shortSums: SumChoice = (batches, rows, columns, limits) => {
  const slots = Math.ceil(rows / LONGEST);
  const pass = { batches, rows, columns, slots, width: 1 } as const;
  return slots === 1 ? [pass] : [pass, ...shortSums(batches, slots, columns, limits)];
};

/** The sum of all elements times `scale`, a scalar, to within a few roundings. Not recorded on a tape. */
export function lossSum(partials: Tensor, scale: number): Tensor {
  return sumOver(partials, () => true, [], scale, shortSums);
}
