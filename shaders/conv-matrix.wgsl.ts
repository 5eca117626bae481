import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import { type GatherConv, gatherBindings, gatherHead, gatherPositions } from './common/gather.js';
import {
  declareMatrixSums,
  enableMatrices,
  type MatrixTile,
  matrixTileHead,
  multiplyMatrixTiles,
  storeMatrixSums,
} from './common/matrix-tile.js';
import { wgsl } from './common/wgsl.js';

/**
 * Implicit GEMM by subgroup matrices (tensor cores), as `tiledConvShader` gathers it: rows are the destination pixels of
 * one phase, columns its channels, the inner axis runs over taps and source channels. Operands are halves, packed, and
 * sums f32.
 *
 * This has not run on an adapter with such matrices. Tests compile it (Dawn's null backend validates it) and run its text with
 * the matrices written out in plain WGSL. On an adapter with such matrices, tuning compares it with the naive kernel.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function matrixConvShader(conv: GatherConv, tile: MatrixTile): Shader {
  return shader(
    gatherBindings(conv),
    (declarations) => wgsl`
${enableMatrices}
${declarations}
${gatherHead(conv)}
${gatherPositions}
${matrixTileHead(tile)}
const INNER_VECS = INNER / 4;
var<workgroup> firstVec: array<i32, TILE_ROWS>; // where the rows of the tile begin in the source

fn storeSums(wid: vec3u, row: i32, columnVec: i32, sums: vec4f) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  let vec = i32(wid.y) * COLUMN_VECS + columnVec;
  storePosition(h, w, i32(wid.x) * TILE_ROWS + row, vec, applyEpilogue(sums, loadEpilogue(vec)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroupIndex: u32) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  for (var row = i32(lid); row < TILE_ROWS; row += THREADS) {
    firstVec[row] = windowOf(i32(wid.x) * TILE_ROWS + row);
  }
  ${declareMatrixSums}
  workgroupBarrier();
  let innerEnd = h.taps * w.taps * SOURCE_VECS; // in vectors
  for (var k = 0; k < innerEnd; k += INNER_VECS) {
    for (var id = i32(lid); id < INNER_VECS * (TILE_ROWS + COLUMN_VECS); id += THREADS) {
      let line = id / INNER_VECS; // a row of the source, or past those, a vector of columns of the weights
      let part = id % INNER_VECS;
      let inner = min(k + part, innerEnd - 1);
      let inside = k + part < innerEnd;
      let i = inner / SOURCE_VECS / w.taps;
      let j = inner / SOURCE_VECS % w.taps;
      let c = inner % SOURCE_VECS;
      if (line < TILE_ROWS) {
        let at = firstVec[line] + tapOffset(h, w, i, j) + c;
        let v = select(Operand(), Operand(source[at]), inside);
        for (var e = 0; e < 4; e++) { aTile[line * INNER + 4 * part + e] = v[e]; }
      } else {
        let columnVec = line - TILE_ROWS;
        let channelVec = min(i32(wid.y) * COLUMN_VECS + columnVec, DEST_VECS - 1);
        let at = (tapIndex(h, w, i, j) * 4 * SOURCE_VECS + 4 * c) * DEST_VECS + channelVec;
        for (var r = 0; r < 4; r++) {
          let v = select(Operand(), weights[at + r * DEST_VECS], inside);
          for (var e = 0; e < 4; e++) { bTile[(4 * part + r) * TILE_COLUMNS + 4 * columnVec + e] = v[e]; }
        }
      }
    }
    ${multiplyMatrixTiles}
  }
  ${storeMatrixSums}
}`,
  );
}
