import type { MatrixShape } from '../../src/common/precision.js';
import { TILE_INNER } from './tile.js';
import { unroll } from './unroll.js';

/** A tile of a product by subgroup matrices: 2 × 2 subgroups, each with 2 × 2 results. */
export interface MatrixTile extends MatrixShape {
  /** Invocations in a subgroup, one fixed number. */
  subgroup: number;
}

const SUBGROUPS = 4;

export const matrixTileRows = ({ m }: MatrixShape): number => 4 * m;
export const matrixTileColumns = ({ n }: MatrixShape): number => 4 * n;
export const matrixTileThreads = ({ subgroup }: MatrixTile): number => SUBGROUPS * subgroup;

/** Bytes of workgroup memory: both operands as halves, where the rows lie, and one result of each subgroup. */
export const matrixTileBytes = (tile: MatrixShape): number =>
  2 * TILE_INNER * (matrixTileRows(tile) + matrixTileColumns(tile)) +
  4 * matrixTileRows(tile) +
  4 * SUBGROUPS * tile.m * tile.n;

/** Begins a shader: what it enables, and the type of operands. */
export const enableMatrices = `enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
alias Operand = vec4<f16>;`;

/** WGSL of the tile: its sizes, the types of the matrices, and workgroup memory: aTile as [row][inner], bTile as [inner][column]. */
export function matrixTileHead(tile: MatrixTile): string {
  const { m, n, k } = tile;
  return `
const M = ${m}; // rows, columns and inner elements that a subgroup multiplies at once
const N = ${n};
const K = ${k};
const THREADS = ${matrixTileThreads(tile)};
const TILE_ROWS = 4 * M;
const TILE_COLUMNS = 4 * N;
const ROW_VECS = TILE_ROWS / 4;
const COLUMN_VECS = TILE_COLUMNS / 4;
const INNER = ${TILE_INNER}; // inner elements in workgroup memory at a time
alias Left = subgroup_matrix_left<f16, K, M>; // columns, rows
alias Right = subgroup_matrix_right<f16, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;
var<workgroup> aTile: array<f16, INNER * TILE_ROWS>;
var<workgroup> bTile: array<f16, INNER * TILE_COLUMNS>;
var<workgroup> results: array<f32, ${SUBGROUPS} * M * N>; // one of each subgroup at a time, on its way to be stored`;
}

/** WGSL of the sums of this subgroup, sum{row}{column}; `subgroupIndex` is a builtin. */
export const declareMatrixSums = `
  let rowHalf = subgroupIndex / 2;
  let columnHalf = subgroupIndex % 2;
  var sum00 = Result();
  var sum01 = Result();
  var sum10 = Result();
  var sum11 = Result();`;

/** WGSL that multiplies what the workgroup memory holds, between two barriers. */
export const multiplyMatrixTiles = `
    workgroupBarrier();
    for (var inner = 0u; inner < INNER; inner += K) {
      let a = 2 * rowHalf * M * INNER + inner;
      let a0 = subgroupMatrixLoad<Left, row_major>(&aTile, a, INNER);
      let a1 = subgroupMatrixLoad<Left, row_major>(&aTile, a + M * INNER, INNER);
      let b = inner * TILE_COLUMNS + 2 * columnHalf * N;
      let b0 = subgroupMatrixLoad<Right, row_major>(&bTile, b, TILE_COLUMNS);
      let b1 = subgroupMatrixLoad<Right, row_major>(&bTile, b + N, TILE_COLUMNS);
      sum00 = subgroupMatrixMultiplyAccumulate(a0, b0, sum00);
      sum01 = subgroupMatrixMultiplyAccumulate(a0, b1, sum01);
      sum10 = subgroupMatrixMultiplyAccumulate(a1, b0, sum10);
      sum11 = subgroupMatrixMultiplyAccumulate(a1, b1, sum11);
    }
    workgroupBarrier();`;

/**
 * WGSL that stores all sums, through workgroup memory: calls the shader's `storeSums(wid, row, columnVec, sums)` for each
 * vector of 4 columns. A builtin takes no index of a sum, so that the four stand one after the other.
 */
export const storeMatrixSums = /* @__PURE__ */ (() =>
  unroll(2, (row) =>
    unroll(
      2,
      (column) => `
  subgroupMatrixStore<row_major>(&results, subgroupIndex * M * N, sum${row}${column}, N);
  workgroupBarrier();
  for (var id = i32(lid); id < M * N; id += THREADS) { // in vectors, of all ${SUBGROUPS} subgroups
    let owner = id / (M * N / 4); // the subgroup whose sums these are
    let row = (2 * (owner / 2) + ${row}) * M + id % (M * N / 4) / (N / 4);
    let columnVec = (2 * (owner % 2) + ${column}) * (N / 4) + id % (N / 4);
    storeSums(wid, row, columnVec, vec4f(results[4 * id], results[4 * id + 1], results[4 * id + 2], results[4 * id + 3]));
  }
  workgroupBarrier();`,
    ),
  ))();
