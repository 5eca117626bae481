import { BLOCK } from '../../shaders/common/block-sums.js';
import { type SumWidth, sumPlan, sumRowsShader } from '../../shaders/reduce.wgsl.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** One pass of a sum: [batches, rows, columns] becomes [batches, slots, columns]; see `shaders/reduce.wgsl.ts`. */
export interface SumPass {
  readonly batches: number;
  readonly rows: number;
  readonly columns: number;
  readonly slots: number;
  /** Adjacent columns of an invocation; divides `columns`. */
  readonly width: SumWidth;
}

const widthOf = (columns: number): SumWidth => (columns % 4 === 0 ? 4 : columns % 2 === 0 ? 2 : 1);

/**
 * Rows to lay side by side, so that `columns` becomes a multiple of 4 and every load brings 4 numbers:
 * [rows, columns] is also [rows/k, k·columns], whose column sums [k·columns] = [k, columns] the next pass adds up.
 */
function rowsSideBySide(batches: number, rows: number, columns: number): number {
  const wanted = 4 / widthOf(columns);
  // It costs a pass more, which a short sum would not win back.
  return rows % wanted === 0 && rows >= 4 * wanted && batches * rows * columns >= 2 ** 14 ? wanted : 1;
}

/** Most rows of a sum: blocks of blocks. */
const LONGEST = BLOCK ** 3;

/** Into how many sums the rows of a pass go: enough to fill the device, few enough that the next pass is short. */
function slotsFor(batches: number, rows: number, groups: number, limits: KernelLimits): number {
  const threads = batches * groups;
  // A CPU runs a long loop as fast as a short one; on a GPU the loop of a lonely thread is the time of the kernel.
  if (rows <= LONGEST && (limits.software ? rows * threads <= 2 ** 14 : rows <= 64)) return 1;
  const wanted = limits.software ? 2 ** 11 : 2 ** 16;
  const shortest = limits.software ? 16 : 64;
  const busy = Math.min(Math.ceil(wanted / threads), Math.floor(rows / shortest));
  return Math.max(busy, Math.ceil(rows / LONGEST));
}

/**
 * The passes that add up the rows of [batches, rows, columns] to [batches, columns], in a fixed order; mostly two.
 * Pure: the same numbers give the same passes.
 */
export function chooseSumPasses(batches: number, rows: number, columns: number, limits: KernelLimits): SumPass[] {
  const beside = rowsSideBySide(batches, rows, columns);
  const width = widthOf(columns * beside);
  const slots = slotsFor(batches, rows / beside, (columns * beside) / width, limits);
  const pass: SumPass = { batches, rows: rows / beside, columns: columns * beside, slots, width };
  return slots * beside === 1 ? [pass] : [pass, ...chooseSumPasses(batches, slots * beside, columns, limits)];
}

/** The plainest way: one invocation a sum, which visits all rows in order. */
export function naiveSumPasses(batches: number, rows: number, columns: number): SumPass[] {
  return [{ batches, rows, columns, slots: 1, width: 1 }];
}

/** Bindings x [batches, rows, columns], y [batches, slots, columns], then the scalars of `sumPassScalars`. */
export function sumPassKernel({ batches, columns, slots, width }: SumPass): Kernel {
  return {
    label: 'sum rows',
    ...sumRowsShader(width),
    workgroups: elementGrid((batches * slots * columns) / width),
  };
}

/** The uniform of a pass; its sums are multiplied by `scale`. */
export function sumPassScalars({ batches, rows, columns, slots, width }: SumPass, scale = 1): ArrayBuffer {
  const groups = columns / width;
  return sumPlan.pack({ rows, groups, slots, threads: batches * slots * groups, scale });
}
