import { chooseWalk, naiveWalk } from '../../src/kernels/channel-walk.js';
import type { WalkChoice } from '../../src/ops/batch-norm/batch-norm.js';

/** The plans to test: the plain loop, the one for this adapter, and the one for GPUs, which adds by a tree. */
export const PLANS: Record<string, WalkChoice> = {
  naive: naiveWalk,
  chosen: chooseWalk,
  hardware: (rows, channels, limits, purpose) => chooseWalk(rows, channels, { ...limits, software: false }, purpose),
};

/** Shapes with one row per part, odd widths, and fewer rows than parts. Only long columns use a tree. */
export const SHAPES: Record<string, number[][]> = {
  naive: [
    [3, 5],
    [2, 7, 5, 6],
  ],
  chosen: [
    [2, 1],
    [3, 5],
    [2, 7, 5, 6],
    [1, 33, 31, 3],
    [4, 13, 11, 16],
    [2, 3, 3, 260],
    [5000, 8],
  ],
  hardware: [[4, 13, 11, 16]],
};
