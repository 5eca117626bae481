import { operandType, storedVector } from './common/operand.js';
import {
  declareSums,
  declareTiles,
  forEachRow,
  multiplyTiles,
  TILE_INNER,
  type Tile,
  tileColumns,
  tileRows,
  tileThreads,
} from './common/tile.js';
import type { WeightGradient } from './conv-weight-gradient.wgsl.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * The weight gradient as a tiled product for GPUs: rows are taps and input channels as one axis, columns the output
 * channels, and the inner axis the pixels of `small`, split into slots (`workgroup_id.z`) that a second pass adds up.
 * Both operands lie with their outer axis contiguous, so tiles are copied vector by vector.
 *
 * Bindings: big, small, partial [slots, kh, kw, Cin, Cout] (written).
 */
export function tiledWeightGradientShader(g: WeightGradient, tile: Tile): string {
  const bigVecs = g.big.channels / 4;
  const smallVecs = g.small.channels / 4;
  const [aVecs, bVecs] = [tileRows(tile) / 4, tileColumns(tile) / 4];
  const [kh, kw] = g.kernel;
  const pixels = g.batch * g.small.height * g.small.width;
  const perSlot = Math.ceil(pixels / g.slots);
  const threads = tileThreads(tile);
  const vec4Output = g.cout % 4 === 0;

  const store = forEachRow(tile, (row, sums) => {
    const writes = sums.flatMap(({ sum, columnVec }) => {
      const vec = `i32(wid.y) * ${bVecs} + ${columnVec}`;
      if (vec4Output) return [`if (${vec} < ${smallVecs}) { partial[at / 4 + ${vec}] = ${sum}; }`];
      return range(4).map(
        (k) => `if (4 * (${vec}) + ${k} < ${g.cout}) { partial[at + 4 * (${vec}) + ${k}] = ${sum}[${k}]; }`,
      );
    });
    return `  {
    let m = i32(wid.x) * ${tileRows(tile)} + ${row};
    let tap = m / ${g.big.channels};
    let ci = m % ${g.big.channels};
    if (tap < ${kh * kw} && ci < ${g.cin}) {
      let at = ((i32(wid.z) * ${kh * kw} + tap) * ${g.cin} + ci) * ${g.cout};
      ${writes.join('\n      ')}
    }
  }`;
  });

  return `${operandType(g.precision)}
@group(0) @binding(0) var<storage, read> big: array<${storedVector(g.big.stored)}>;
@group(0) @binding(1) var<storage, read> small: array<${storedVector(g.small.stored)}>;
@group(0) @binding(2) var<storage, read_write> partial: array<${vec4Output ? 'vec4f' : 'f32'}>;
${declareTiles(tile, 'Operand')}
var<workgroup> tapVec: array<i32, ${aVecs}>; // where a row of the tile lies in big, from the first tap's first channel

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  for (var vec = i32(lid); vec < ${aVecs}; vec += ${threads}) {
    let m = min(i32(wid.x) * ${aVecs} + vec, ${kh * kw * bigVecs - 1});
    let tap = m / ${bigVecs};
    let row = ${g.big.firstRow} + (tap / ${kw}) * ${g.dilation[0]};
    let column = ${g.big.firstColumn} + (tap % ${kw}) * ${g.dilation[1]};
    tapVec[vec] = (row * ${g.big.width} + column) * ${bigVecs} + m % ${bigVecs};
  }
  ${declareSums(tile)}
  workgroupBarrier();
  let begin = i32(wid.z) * ${perSlot};
  let end = min(begin + ${perSlot}, ${pixels});
  for (var k = begin; k < end; k += ${TILE_INNER}) {
    for (var id = i32(lid); id < ${TILE_INNER * (aVecs + bVecs)}; id += ${threads}) {
      // Neighbouring threads read neighbouring channels.
      let vec = id % ${aVecs + bVecs};
      let inner = id / ${aVecs + bVecs};
      let pixel = min(k + inner, ${pixels - 1});
      let inside = k + inner < end;
      if (vec < ${aVecs}) {
        let ow = pixel % ${g.small.width};
        let oh = pixel / ${g.small.width} % ${g.small.height};
        let n = pixel / ${g.small.width * g.small.height};
        let first = ((n * ${g.big.height} + oh * ${g.stride[0]}) * ${g.big.width} + ow * ${g.stride[1]}) * ${bigVecs};
        aTile[inner * ${aVecs} + vec] = select(Operand(), Operand(big[first + tapVec[vec]]), inside);
      } else {
        let columnVec = vec - ${aVecs};
        let channelVec = min(i32(wid.y) * ${bVecs} + columnVec, ${smallVecs - 1});
        bTile[inner * ${bVecs} + columnVec] = select(Operand(), Operand(small[pixel * ${smallVecs} + channelVec]), inside);
      }
    }
    ${multiplyTiles(tile)}
  }
${store}
}`;
}
