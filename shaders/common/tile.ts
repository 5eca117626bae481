import type { Precision } from '../../src/common/precision.js';
import { operandBytes } from './operand.js';
import { unroll } from './unroll.js';

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

export const tileRows = ({ threadsY, rowVecs }: Tile): number => 4 * threadsY * rowVecs;
export const tileColumns = ({ threadsX, columnVecs }: Tile): number => 4 * threadsX * columnVecs;
export const tileThreads = ({ threadsX, threadsY }: Tile): number => threadsX * threadsY;

/** Bytes of workgroup memory for both operands, and for where the rows of the tile lie. */
export const tileBytes = (tile: Tile, precision: Precision = 'f32'): number =>
  operandBytes(precision) * TILE_INNER * (tileRows(tile) + tileColumns(tile)) + 4 * tileRows(tile);

/** WGSL of the tile: its sizes, and workgroup memory of both operands as vectors along the outer axes, [inner][outer/4]. */
export function tileHead(tile: Tile, type = 'Operand'): string {
  return `
const THREADS = ${tileThreads(tile)};
const THREADS_X = ${tile.threadsX};
const THREADS_Y = ${tile.threadsY};
const TILE_ROWS = ${tileRows(tile)};
const ROW_VECS = TILE_ROWS / 4;
const COLUMN_VECS = ${tileColumns(tile) / 4};
const INNER = ${TILE_INNER}; // inner elements in workgroup memory at a time
var<workgroup> aTile: array<${type}, INNER * ROW_VECS>;
var<workgroup> bTile: array<${type}, INNER * COLUMN_VECS>;

/** Row r of a thread in the tile. */
fn tileRow(ty: i32, r: i32) -> i32 { return 4 * (r / 4 * THREADS_Y + ty) + r % 4; }

/** Vector c of a thread's columns in the tile. */
fn tileColumnVec(tx: i32, c: i32) -> i32 { return c * THREADS_X + tx; }`;
}

/**
 * WGSL that multiplies what the workgroup memory holds, between two barriers, into the sums of the thread (tx, ty):
 * sum{row}_{column vec}.
 */
export function multiplyTiles({ rowVecs, columnVecs }: Tile): string {
  return `
    workgroupBarrier();
    for (var inner = 0; inner < INNER; inner++) {
      ${unroll(rowVecs, (g) => `let a${g} = vec4f(aTile[inner * ROW_VECS + ${g} * THREADS_Y + ty]);`)}
      ${unroll(columnVecs, (c) => `let b${c} = vec4f(bTile[inner * COLUMN_VECS + ${c} * THREADS_X + tx]);`)}
      ${unroll(rowVecs, (g) =>
        unroll(4, (e) =>
          unroll(columnVecs, (c) => {
            const sum = `sum${4 * g + e}_${c}`;
            return `${sum} = fma(vec4f(a${g}[${e}]), b${c}, ${sum});`;
          }),
        ),
      )}
    }
    workgroupBarrier();`;
}
