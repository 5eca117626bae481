import { unroll } from './unroll.js';
import { wgsl } from './wgsl.js';

/*
 * Long sums are added in blocks, in a fixed order: the numbers of a block one after the other, then the sums of the blocks,
 * and where there are many, groups of those. So the error grows with the length of a block and the number of levels, and
 * not with the length of the sum.
 */

/**
 * Most numbers of a block. Of equal numbers, which round alike, 256 lose at most 4.4e-6 of their sum; an end of a block costs
 * lavapipe as much as two steps of the register kernels, of which a block has 64.
 */
export const BLOCK = 256;

/** Most sums that a level above adds up. */
export const GROUP = 64;

/** 1 where the whole sum is one block, 2 where there are several, 3 where their sums are added up in groups. */
export type Levels = 1 | 2 | 3;

/** Levels of a sum of `length` numbers. A rest of a quarter of a block is not worth a level. */
export function levelsOf(length: number): Levels {
  if (4 * length <= 5 * BLOCK) return 1;
  return length > BLOCK * GROUP ? 3 : 2;
}

/** WGSL that declares rows × columns sums of vectors: sum{row}_{column}, and above the blocks' sums total… and group…. */
export function declareSums(levels: Levels, rows: number, columns: number, type = 'vec4f'): string {
  return unroll(rows, (r) =>
    unroll(
      columns,
      (c) => wgsl`
  var sum${r}_${c} = ${type}();
#if ${levels > 1}
  var total${r}_${c} = ${type}();
#endif
#if ${levels === 3}
  var group${r}_${c} = ${type}();
#endif`,
    ),
  );
}

/**
 * WGSL that begins a block with sums of its own, in place of those that the last block left at zero. On lavapipe that makes
 * the register matmul 10 % faster, and the register convolutions 20 % slower, which go without it.
 */
export function freshSums(rows: number, columns: number): string {
  return unroll(rows, (r) => unroll(columns, (c) => `var sum${r}_${c} = vec4f();`));
}

/** WGSL that ends a block; `block` is the expression of its number. */
export function endBlock(levels: Levels, rows: number, columns: number, block: string, type = 'vec4f'): string {
  return wgsl`
#if ${levels === 2}
  ${unroll(rows, (r) => unroll(columns, (c) => `total${r}_${c} += sum${r}_${c}; sum${r}_${c} = ${type}();`))}
#elif ${levels === 3}
  ${unroll(rows, (r) => unroll(columns, (c) => `group${r}_${c} += sum${r}_${c}; sum${r}_${c} = ${type}();`))}
  if ((${block}) % ${GROUP} == ${GROUP - 1}) {
    ${unroll(rows, (r) => unroll(columns, (c) => `total${r}_${c} += group${r}_${c}; group${r}_${c} = ${type}();`))}
  }
#endif`;
}

/** WGSL of a finished sum. */
export function finalSum(levels: Levels, row: number, column: number): string {
  if (levels === 1) return `sum${row}_${column}`;
  return levels === 2 ? `total${row}_${column}` : `(total${row}_${column} + group${row}_${column})`;
}
