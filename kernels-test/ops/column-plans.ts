import { chooseColumns, naiveColumns } from '../../src/kernels/columns.js';
import type { ColumnChoice } from '../../src/ops/batch-norm/batch-norm.js';

/** Every plan: the plain loop, the one for this adapter, and the one for GPUs, with its tree. */
export const PLANS: Record<string, ColumnChoice> = {
  naive: naiveColumns,
  chosen: chooseColumns,
  hardware: (rows, channels, limits, purpose) => chooseColumns(rows, channels, { ...limits, software: false }, purpose),
};

/** One row a slot, odd widths, fewer rows than slots; only long columns make a tree. */
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
