import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum, levelsOf } from './common/blocks.js';
import { operandType } from './common/operand.js';
import { multiplyTiles, type Tile, tileHead } from './common/tile.js';
import { unroll } from './common/unroll.js';
import {
  type WeightGradient,
  weightGradientBindings,
  weightGradientHead,
  weightGradientTileHead,
} from './common/weight-gradient.js';
import { wgsl } from './common/wgsl.js';

/**
 * The weight gradient as a tiled product for GPUs: rows are taps and input channels as one axis, columns the output
 * channels, and the inner axis the output's pixels, split into parts (`workgroup_id.z`) that a second pass adds up.
 * Both operands lie with their outer axis contiguous, so tiles are copied vector by vector.
 *
 * Bindings: input, output (its gradient), partial [splitK, kh, kw, Cin, Cout] (written).
 */
export function tiledWeightGradientShader(g: WeightGradient, tile: Tile): Shader {
  const { columnVecs } = tile;
  const rows = 4 * tile.rowVecs;
  const levels = levelsOf(Math.ceil((g.batch * g.output.height * g.output.width) / g.splitK));
  return shader(
    weightGradientBindings(g),
    (declarations) => wgsl`
${operandType(g.precision)}
${declarations}
${weightGradientHead(g)}
${tileHead(tile)}
${weightGradientTileHead}
const BLOCK = ${BLOCK};

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let tx = i32(lid) % THREADS_X;
  let ty = i32(lid) / THREADS_X;
  let vec0 = i32(wid.y) * COLUMN_VECS;
  for (var vec = i32(lid); vec < ROW_VECS; vec += THREADS) {
    rowOffset[vec] = offsetOfRow(i32(wid.x) * ROW_VECS + vec);
  }
  ${declareSums(levels, rows, columnVecs)}
  workgroupBarrier();
  let begin = i32(wid.z) * PIXELS_PER_PART;
  let end = min(begin + PIXELS_PER_PART, PIXELS);
  for (var k0 = begin; k0 < end; k0 += BLOCK) {
    for (var k = k0; k < min(k0 + BLOCK, end); k += INNER) {
      for (var id = i32(lid); id < INNER * (ROW_VECS + COLUMN_VECS); id += THREADS) {
        // Neighbouring threads read neighbouring channels.
        let vec = id % (ROW_VECS + COLUMN_VECS);
        let inner = id / (ROW_VECS + COLUMN_VECS);
        let pixel = min(k + inner, PIXELS - 1);
        let inside = k + inner < end;
        if (vec < ROW_VECS) {
          let at = windowOf(pixel) + rowOffset[vec];
          aTile[inner * ROW_VECS + vec] = select(Operand(), Operand(input[at]), inside);
        } else {
          let at = pixel * OUTPUT_VECS + min(vec0 + vec - ROW_VECS, OUTPUT_VECS - 1);
          bTile[inner * COLUMN_VECS + vec - ROW_VECS] = select(Operand(), Operand(output[at]), inside);
        }
      }
      ${multiplyTiles(tile)}
    }
    ${endBlock(levels, rows, columnVecs, '(k0 - begin) / BLOCK')}
  }
  ${unroll(
    rows,
    (r) => wgsl`
  let m${r} = i32(wid.x) * TILE_ROWS + tileRow(ty, ${r});
  ${unroll(columnVecs, (c) => `storeGradients(wid.z, m${r} / (4 * INPUT_VECS), m${r} % (4 * INPUT_VECS), vec0 + tileColumnVec(tx, ${c}), ${finalSum(levels, r, c)});`)}`,
  )}
}`,
  );
}
