import type { Precision } from '../../src/common/precision.js';
import { operandBytes } from './operand.js';

/**
 * A tile of a product's output: threadsX × threadsY invocations, each with 4·rowVecs rows by 4·columnVecs columns of
 * sums in registers. A thread's rows lie in runs of 4, one run for each row vec, 4·threadsY apart (columns likewise), so
 * that neighbouring threads read neighbouring vectors of workgroup memory.
 */
export interface Tile {
  threadsX: number;
  threadsY: number;
  rowVecs: 1 | 2;
  columnVecs: 1 | 2;
}

/** Inner elements that a workgroup holds of both operands at a time. */
export const TILE_INNER = 16;

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

export const tileRows = ({ threadsY, rowVecs }: Tile): number => 4 * threadsY * rowVecs;
export const tileColumns = ({ threadsX, columnVecs }: Tile): number => 4 * threadsX * columnVecs;
export const tileThreads = ({ threadsX, threadsY }: Tile): number => threadsX * threadsY;

/** Bytes of workgroup memory for both operands. */
export const tileBytes = (tile: Tile, precision: Precision = 'f32'): number =>
  operandBytes(precision) * TILE_INNER * (tileRows(tile) + tileColumns(tile));

/** Workgroup memory of both operands: vectors (`type`) along the outer axes, [inner][outer/4]. */
export function declareTiles(tile: Tile, type = 'vec4f'): string {
  return `var<workgroup> aTile: array<${type}, ${(TILE_INNER * tileRows(tile)) / 4}>;
var<workgroup> bTile: array<${type}, ${(TILE_INNER * tileColumns(tile)) / 4}>;`;
}

/** The rows of a thread: its row vec g, number c within it; their sums are `sum{4g + c}_{h}` for column vec h. */
const rowsOf = (tile: Tile): { g: number; c: number }[] =>
  range(tile.rowVecs).flatMap((g) => range(4).map((c) => ({ g, c })));

export function declareSums(tile: Tile): string {
  return `let tx = i32(lid) % ${tile.threadsX};
  let ty = i32(lid) / ${tile.threadsX};
  ${rowsOf(tile)
    .map(({ g, c }) =>
      range(tile.columnVecs)
        .map((h) => `var sum${4 * g + c}_${h} = vec4f();`)
        .join(' '),
    )
    .join('\n  ')}`;
}

/** Multiplies what the workgroup memory holds, between two barriers. */
export function multiplyTiles(tile: Tile): string {
  const { threadsX, threadsY, rowVecs, columnVecs } = tile;
  const x = range(rowVecs).map(
    (g) => `let x${g} = vec4f(aTile[inner * ${tileRows(tile) / 4} + ${threadsY * g} + ty]);`,
  );
  const w = range(columnVecs).map(
    (h) => `let w${h} = vec4f(bTile[inner * ${tileColumns(tile) / 4} + ${threadsX * h} + tx]);`,
  );
  const sums = rowsOf(tile).flatMap(({ g, c }) =>
    range(columnVecs).map((h) => `sum${4 * g + c}_${h} = fma(vec4f(x${g}[${c}]), w${h}, sum${4 * g + c}_${h});`),
  );
  return `workgroupBarrier();
    for (var inner = 0; inner < ${TILE_INNER}; inner++) {
      ${[...x, ...w, ...sums].join('\n      ')}
    }
    workgroupBarrier();`;
}

/** Text for every row of a thread: `row` is the row's index in the tile, `sums` its vectors with their column vecs. */
export function forEachRow(
  tile: Tile,
  text: (row: string, sums: { sum: string; columnVec: string }[]) => string,
): string {
  return rowsOf(tile)
    .map(({ g, c }) =>
      text(
        `${4 * tile.threadsY * g + c} + 4 * ty`,
        range(tile.columnVecs).map((h) => ({ sum: `sum${4 * g + c}_${h}`, columnVec: `${tile.threadsX * h} + tx` })),
      ),
    )
    .join('\n');
}
