import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import {
  declareMatrixSums,
  enableMatrices,
  type MatrixTile,
  matrixTileHead,
  multiplyMatrixTiles,
  storeMatrixSums,
} from './common/matrix-tile.js';
import {
  type WeightGradient,
  weightGradientBindings,
  weightGradientHead,
  weightGradientTileHead,
} from './common/weight-gradient.js';
import { wgsl } from './common/wgsl.js';

/**
 * The weight gradient by subgroup matrices (tensor cores), with the rows, columns and parts of
 * `tiledWeightGradientShader`. Both pictures are halves, sums f32. It is tested as `matrixConvShader` is:
 * compiled, and run with the matrices written out, but never on an adapter with such matrices.
 *
 * Bindings: input, output (its gradient), partial [splitK, kh, kw, Cin, Cout] (written).
 */
export function matrixWeightGradientShader(g: WeightGradient, tile: MatrixTile): Shader {
  return shader(
    weightGradientBindings(g),
    (declarations) => wgsl`
${enableMatrices}
${declarations}
${weightGradientHead(g)}
${matrixTileHead(tile)}
${weightGradientTileHead}

fn storeSums(wid: vec3u, row: i32, columnVec: i32, sums: vec4f) {
  let m = i32(wid.x) * TILE_ROWS + row;
  storeGradients(wid.z, m / (4 * INPUT_VECS), m % (4 * INPUT_VECS), i32(wid.y) * COLUMN_VECS + columnVec, sums);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroupIndex: u32) {
  let vec0 = i32(wid.y) * COLUMN_VECS;
  for (var vec = i32(lid); vec < ROW_VECS; vec += THREADS) {
    rowOffset[vec] = offsetOfRow(i32(wid.x) * ROW_VECS + vec);
  }
  ${declareMatrixSums}
  workgroupBarrier();
  let begin = i32(wid.z) * PIXELS_PER_PART;
  let end = min(begin + PIXELS_PER_PART, PIXELS);
  for (var k = begin; k < end; k += INNER) {
    for (var id = i32(lid); id < INNER * (ROW_VECS + COLUMN_VECS); id += THREADS) {
      // Neighbouring threads read neighbouring channels.
      let vec = id % (ROW_VECS + COLUMN_VECS);
      let inner = id / (ROW_VECS + COLUMN_VECS);
      let pixel = min(k + inner, PIXELS - 1);
      let inside = k + inner < end;
      if (vec < ROW_VECS) {
        let v = select(Operand(), Operand(input[windowOf(pixel) + rowOffset[vec]]), inside);
        for (var e = 0; e < 4; e++) { aTile[(4 * vec + e) * INNER + inner] = v[e]; }
      } else {
        let columnVec = vec - ROW_VECS;
        let at = pixel * OUTPUT_VECS + min(vec0 + columnVec, OUTPUT_VECS - 1);
        let v = select(Operand(), Operand(output[at]), inside);
        for (var e = 0; e < 4; e++) { bTile[inner * TILE_COLUMNS + 4 * columnVec + e] = v[e]; }
      }
    }
    ${multiplyMatrixTiles}
  }
  ${storeMatrixSums}
}`,
  );
}
