/**
 * Terms of a sum that are added one after the other. A long sum in float32 drifts: each addition rounds by as much as the sum
 * so far is large. So sums are taken in blocks, and then over the blocks: the error of n² terms is that of 2·n.
 * A power of two.
 */
export const SUM_BLOCK = 32;
