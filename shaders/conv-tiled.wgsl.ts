import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum, levelsOf } from './common/blocks.js';
import { axisTaps } from './common/conv-geometry.js';
import { type GatherConv, gatherBindings, gatherHead, gatherPositions } from './common/gather.js';
import { operandType } from './common/operand.js';
import { multiplyTiles, type Tile, tileHead } from './common/tile.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/**
 * Implicit GEMM for GPUs: the rows of the product are the destination pixels of one phase (`workgroup_id.z`), the columns
 * its channels, the inner axis runs over taps and source channels as one, so that 3-channel sources waste nothing. A
 * workgroup gathers a tile of source pixels and one of weights into its memory and multiplies them in registers; where
 * each row of the tile begins in the padded source is worked out once.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function tiledConvShader(conv: GatherConv, tile: Tile): Shader {
  const { columnVecs } = tile;
  const rows = 4 * tile.rowVecs;
  const levels = levelsOf(axisTaps(conv.vertical) * axisTaps(conv.horizontal) * conv.source.channels);
  return shader(
    gatherBindings(conv),
    (declarations) => wgsl`
${operandType(conv.precision)}
${declarations}
${gatherHead(conv)}
${gatherPositions}
${tileHead(tile)}
const INNER_VECS = INNER / 4;
const BLOCK_VECS = ${BLOCK / 4};
var<workgroup> firstVec: array<vec4i, ROW_VECS>; // where the rows of the tile begin in the source, 4 rows a vector

/** Vector \`vec\` of 4 dest channels, for the source channel c of a tap; or transposed, 4 source channels of one of 4. */
fn loadWeights(tap: i32, c: i32, vec: i32, e: i32, inside: bool) -> Operand {
#if ${conv.transposed}
  let at = (tap * DEST_CHANNELS + min(4 * vec + e, DEST_CHANNELS - 1)) * SOURCE_VECS + c;
#else
  let at = (tap * 4 * SOURCE_VECS + 4 * c + e) * DEST_VECS + vec;
#endif
  return select(Operand(), weights[at], inside);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  let tx = i32(lid) % THREADS_X;
  let ty = i32(lid) / THREADS_X;
  let row0 = i32(wid.x) * TILE_ROWS;
  let vec0 = i32(wid.y) * COLUMN_VECS;
  for (var vec = i32(lid); vec < ROW_VECS; vec += THREADS) {
    let p = row0 + 4 * vec;
    firstVec[vec] = vec4i(windowOf(p), windowOf(p + 1), windowOf(p + 2), windowOf(p + 3));
  }
  ${declareSums(levels, rows, columnVecs)}
  workgroupBarrier();
  let innerEnd = h.taps * w.taps * SOURCE_VECS; // in vectors
  for (var k0 = 0; k0 < innerEnd; k0 += BLOCK_VECS) {
    for (var k = k0; k < min(k0 + BLOCK_VECS, innerEnd); k += INNER_VECS) {
      for (var id = i32(lid); id < INNER_VECS * (ROW_VECS + COLUMN_VECS); id += THREADS) {
        let vec = id / INNER_VECS;
        let part = id % INNER_VECS;
        let inner = min(k + part, innerEnd - 1);
        let inside = k + part < innerEnd;
        let i = inner / SOURCE_VECS / w.taps;
        let j = inner / SOURCE_VECS % w.taps;
        let c = inner % SOURCE_VECS;
        if (vec < ROW_VECS) {
          let at = firstVec[vec] + tapOffset(h, w, i, j) + c;
          ${unroll(4, (r) => `let v${r} = select(Operand(), Operand(source[at[${r}]]), inside);`)}
          ${unroll(4, (e) => `aTile[(4 * part + ${e}) * ROW_VECS + vec] = Operand(v0[${e}], v1[${e}], v2[${e}], v3[${e}]);`)}
        } else {
          let tap = tapIndex(h, w, i, j);
          let columnVec = vec - ROW_VECS;
          let channelVec = min(vec0 + columnVec, DEST_VECS - 1);
          ${unroll(4, (e) => `let v${e} = loadWeights(tap, c, channelVec, ${e}, inside);`)}
          let at = 4 * part * COLUMN_VECS + columnVec;
#if ${conv.transposed}
          ${unroll(4, (e) => `bTile[at + ${e} * COLUMN_VECS] = Operand(v0[${e}], v1[${e}], v2[${e}], v3[${e}]);`)}
#else
          ${unroll(4, (e) => `bTile[at + ${e} * COLUMN_VECS] = v${e};`)}
#endif
        }
      }
      ${multiplyTiles(tile)}
    }
    ${endBlock(levels, rows, columnVecs, 'k0 / BLOCK_VECS')}
  }
  ${unroll(
    columnVecs,
    (c) => wgsl`
  let channelVec${c} = vec0 + tileColumnVec(tx, ${c});
  let numbers${c} = loadEpilogue(channelVec${c});
  ${unroll(rows, (r) => `storePosition(h, w, row0 + tileRow(ty, ${r}), channelVec${c}, applyEpilogue(${finalSum(levels, r, c)}, numbers${c}));`)}`,
  )}
}`,
  );
}
