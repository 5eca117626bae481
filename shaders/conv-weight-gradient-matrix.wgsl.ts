import {
  declareMatrixSums,
  declareMatrixTiles,
  enableMatrices,
  type MatrixTile,
  matrixTileColumns,
  matrixTileRows,
  matrixTileThreads,
  multiplyMatrixTiles,
  storeMatrixSums,
} from './common/matrix-tile.js';
import { storedVector } from './common/operand.js';
import { TILE_INNER } from './common/tile.js';
import type { WeightGradient } from './conv-weight-gradient.wgsl.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * The weight gradient by subgroup matrices (tensor cores), with the rows, columns and slots of
 * `tiledWeightGradientShader`. Both pictures are halves, sums f32. Of testing, the same holds as for `matrixConvShader`:
 * compiled, run with the matrices written out, never run on an adapter that has them.
 *
 * Bindings: big, small, partial [slots, kh, kw, Cin, Cout] (written).
 */
export function matrixWeightGradientShader(g: WeightGradient, tile: MatrixTile): string {
  const bigVecs = g.big.channels / 4;
  const smallVecs = g.small.channels / 4;
  const [tileRows, tileColumns] = [matrixTileRows(tile), matrixTileColumns(tile)];
  const [rowVecs, columnVecs] = [tileRows / 4, tileColumns / 4];
  const [kh, kw] = g.kernel;
  const pixels = g.batch * g.small.height * g.small.width;
  const perSlot = Math.ceil(pixels / g.slots);
  const threads = matrixTileThreads(tile);
  const vec4Output = g.cout % 4 === 0;

  const store = `let m = i32(wid.x) * ${tileRows} + row;
    let vec = i32(wid.y) * ${columnVecs} + columnVec;
    let tap = m / ${g.big.channels};
    let ci = m % ${g.big.channels};
    if (tap < ${kh * kw} && ci < ${g.cin} && vec < ${smallVecs}) {
      let at = ((i32(wid.z) * ${kh * kw} + tap) * ${g.cin} + ci) * ${g.cout};
      ${
        vec4Output
          ? 'partial[at / 4 + vec] = sums;'
          : range(4)
              .map((k) => `if (4 * vec + ${k} < ${g.cout}) { partial[at + 4 * vec + ${k}] = sums[${k}]; }`)
              .join('\n      ')
      }
    }`;

  return `${enableMatrices}
alias Operand = vec4<f16>;
@group(0) @binding(0) var<storage, read> big: array<${storedVector(g.big.stored)}>;
@group(0) @binding(1) var<storage, read> small: array<${storedVector(g.small.stored)}>;
@group(0) @binding(2) var<storage, read_write> partial: array<${vec4Output ? 'vec4f' : 'f32'}>;
${declareMatrixTiles(tile)}
var<workgroup> tapVec: array<i32, ${rowVecs}>; // where 4 rows of the tile lie in big, from the first tap's first channel

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroupIndex: u32) {
  for (var vec = i32(lid); vec < ${rowVecs}; vec += ${threads}) {
    let m = min(i32(wid.x) * ${rowVecs} + vec, ${kh * kw * bigVecs - 1});
    let tap = m / ${bigVecs};
    let row = ${g.big.firstRow} + (tap / ${kw}) * ${g.dilation[0]};
    let column = ${g.big.firstColumn} + (tap % ${kw}) * ${g.dilation[1]};
    tapVec[vec] = (row * ${g.big.width} + column) * ${bigVecs} + m % ${bigVecs};
  }
  ${declareMatrixSums}
  workgroupBarrier();
  let begin = i32(wid.z) * ${perSlot};
  let end = min(begin + ${perSlot}, ${pixels});
  for (var k = begin; k < end; k += ${TILE_INNER}) {
    for (var id = i32(lid); id < ${TILE_INNER * (rowVecs + columnVecs)}; id += ${threads}) {
      // Neighbouring threads read neighbouring channels.
      let vec = id % ${rowVecs + columnVecs};
      let inner = id / ${rowVecs + columnVecs};
      let pixel = min(k + inner, ${pixels - 1});
      let inside = k + inner < end;
      if (vec < ${rowVecs}) {
        let ow = pixel % ${g.small.width};
        let oh = pixel / ${g.small.width} % ${g.small.height};
        let n = pixel / ${g.small.width * g.small.height};
        let first = ((n * ${g.big.height} + oh * ${g.stride[0]}) * ${g.big.width} + ow * ${g.stride[1]}) * ${bigVecs};
        let v = select(Operand(), Operand(big[first + tapVec[vec]]), inside);
        ${range(4)
          .map((e) => `aTile[(4 * vec + ${e}) * ${TILE_INNER} + inner] = v[${e}];`)
          .join('\n        ')}
      } else {
        let columnVec = vec - ${rowVecs};
        let channelVec = min(i32(wid.y) * ${columnVecs} + columnVec, ${smallVecs - 1});
        let v = select(Operand(), Operand(small[pixel * ${smallVecs} + channelVec]), inside);
        ${range(4)
          .map((e) => `bTile[inner * ${tileColumns} + 4 * columnVec + ${e}] = v[${e}];`)
          .join('\n        ')}
      }
    }
    ${multiplyMatrixTiles(tile)}
  }
  ${storeMatrixSums(tile, store)}
}`;
}
