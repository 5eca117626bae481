import type { MatrixShape } from '../../src/common/precision.js';
import { TILE_INNER } from './tile.js';

/** A tile of a product by subgroup matrices: 2 × 2 subgroups, each with 2 × 2 results. */
export interface MatrixTile extends MatrixShape {
  /** Invocations in a subgroup, one fixed number. */
  subgroup: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

const SUBGROUPS = 4;
/** The results of a subgroup, by row and column. */
const RESULTS = [
  { row: 0, column: 0 },
  { row: 0, column: 1 },
  { row: 1, column: 0 },
  { row: 1, column: 1 },
];

export const matrixTileRows = ({ m }: MatrixShape): number => 4 * m;
export const matrixTileColumns = ({ n }: MatrixShape): number => 4 * n;
export const matrixTileThreads = ({ subgroup }: MatrixTile): number => SUBGROUPS * subgroup;

/** Bytes of workgroup memory: both operands as halves, and one result of each subgroup. */
export const matrixTileBytes = (tile: MatrixShape): number =>
  2 * TILE_INNER * (matrixTileRows(tile) + matrixTileColumns(tile)) + 4 * SUBGROUPS * tile.m * tile.n;

/** Begins a shader: what it enables. */
export const enableMatrices = 'enable f16;\nenable subgroups;\nenable chromium_experimental_subgroup_matrix;';

/** Types of the matrices, and workgroup memory: aTile as [row][inner], bTile as [inner][column]. */
export function declareMatrixTiles(tile: MatrixTile): string {
  const { m, n, k } = tile;
  return `alias Left = subgroup_matrix_left<f16, ${k}, ${m}>; // columns, rows
alias Right = subgroup_matrix_right<f16, ${n}, ${k}>;
alias Result = subgroup_matrix_result<f32, ${n}, ${m}>;
var<workgroup> aTile: array<f16, ${TILE_INNER * matrixTileRows(tile)}>;
var<workgroup> bTile: array<f16, ${TILE_INNER * matrixTileColumns(tile)}>;
var<workgroup> results: array<f32, ${SUBGROUPS * m * n}>; // one of each subgroup at a time, on its way to be stored`;
}

/** The sums of this subgroup, named sum{row}{column}; `subgroupIndex` is a builtin. */
export const declareMatrixSums = /* @__PURE__ */ (() => `let rowHalf = subgroupIndex / 2u;
  let columnHalf = subgroupIndex % 2u;
  ${RESULTS.map(({ row, column }) => `var sum${row}${column} = Result();`).join('\n  ')}`)();

/** Multiplies what the workgroup memory holds, between two barriers. */
export function multiplyMatrixTiles(tile: MatrixTile): string {
  const { m, n, k } = tile;
  const columns = matrixTileColumns(tile);
  return `workgroupBarrier();
    for (var inner = 0u; inner < ${TILE_INNER}u; inner += ${k}u) {
      ${[
        ...[0, 1].map(
          (row) =>
            `let a${row} = subgroupMatrixLoad<Left, row_major>(&aTile, (2u * rowHalf + ${row}u) * ${m * TILE_INNER}u + inner, ${TILE_INNER}u);`,
        ),
        ...[0, 1].map(
          (column) =>
            `let b${column} = subgroupMatrixLoad<Right, row_major>(&bTile, inner * ${columns}u + (2u * columnHalf + ${column}u) * ${n}u, ${columns}u);`,
        ),
        ...RESULTS.map(
          ({ row, column }) =>
            `sum${row}${column} = subgroupMatrixMultiplyAccumulate(a${row}, b${column}, sum${row}${column});`,
        ),
      ].join('\n      ')}
    }
    workgroupBarrier();`;
}

/**
 * Stores all sums, through workgroup memory. `text` handles one vector of 4 columns: `row` and `columnVec` (in
 * vectors) are its place in the tile, `sums` its value.
 */
export function storeMatrixSums(tile: MatrixTile, text: string): string {
  const { m, n } = tile;
  const vecs = (m * n) / 4;
  return RESULTS.map(
    ({
      row,
      column,
    }) => `subgroupMatrixStore<row_major>(&results, subgroupIndex * ${m * n}u, sum${row}${column}, ${n}u);
  workgroupBarrier();
  for (var id = i32(lid); id < ${SUBGROUPS * vecs}; id += ${matrixTileThreads(tile)}) {
    let owner = id / ${vecs}; // the subgroup whose sums these are
    let row = (2 * (owner / 2) + ${row}) * ${m} + id % ${vecs} / ${n / 4};
    let columnVec = (2 * (owner % 2) + ${column}) * ${n / 4} + id % ${n / 4};
    let sums = vec4f(${range(4)
      .map((e) => `results[4 * id + ${e}]`)
      .join(', ')});
    ${text}
  }
  workgroupBarrier();`,
  ).join('\n  ');
}
