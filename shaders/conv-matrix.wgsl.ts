import { axisSteps } from '../src/common/conv-geometry.js';
import { applyEpilogue, type GatherConv, loadEpilogue, phaseValue } from './common/gather.js';
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

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * Implicit GEMM by subgroup matrices (tensor cores), as `tiledConvShader` gathers it: rows are the destination pixels of
 * one phase, columns its channels, the inner axis runs over taps and source channels. Operands are halves, arranged, and
 * sums f32.
 *
 * No adapter that has them was there to run this on. Tests compile it (Dawn's null backend validates it) and run its
 * text with the matrices written out in plain WGSL; on an adapter that has them, tuning holds it to the naive kernel.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function matrixConvShader(conv: GatherConv, tile: MatrixTile): string {
  const { rows, columns, source, dest } = conv;
  const sourceVecs = source.channels / 4;
  const destVecs = Math.ceil(dest.channels / 4);
  const qh = axisSteps(rows);
  const qw = axisSteps(columns);
  const positions = conv.batch * qh * qw;
  const vec4Dest = dest.channels % 4 === 0;
  const hasEpilogue = conv.epilogue !== 'none';
  const [tileRows, tileColumns] = [matrixTileRows(tile), matrixTileColumns(tile)];
  const columnVecs = tileColumns / 4;
  const innerVecs = TILE_INNER / 4;
  const threads = matrixTileThreads(tile);

  const value = applyEpilogue(conv.epilogue, 'sums', '0');
  const write = vec4Dest
    ? `dest[at + vec] = ${value};`
    : `let value = ${value};
      ${range(4)
        .map((k) => `if (4 * vec + ${k} < ${dest.channels}) { dest[at + 4 * vec + ${k}] = value[${k}]; }`)
        .join('\n      ')}`;
  const store = `let position = i32(wid.x) * ${tileRows} + row;
    let vec = i32(wid.y) * ${columnVecs} + columnVec;
    let qw = position % ${qw};
    let qh = (position / ${qw}) % ${qh};
    if (position < ${positions} && qh < countH && qw < countW && vec < ${destVecs}) {
      let n = position / ${qw * qh};
      let at = ((n * ${dest.height} + ${rows.destStep} * qh + startH) * ${dest.width} + ${columns.destStep} * qw + startW) * ${vec4Dest ? destVecs : dest.channels};
      ${loadEpilogue(conv.epilogue, dest.channels, '4 * vec', '0')}
      ${write}
    }`;

  return `${enableMatrices}
alias Operand = vec4<f16>;
@group(0) @binding(0) var<storage, read> source: array<${storedVector(source.stored)}>;
@group(0) @binding(1) var<storage, read> weights: array<Operand>;
${hasEpilogue ? '@group(0) @binding(2) var<storage, read> epilogue: array<f32>;' : ''}
@group(0) @binding(${hasEpilogue ? 3 : 2}) var<storage, read_write> dest: array<${vec4Dest ? 'vec4f' : 'f32'}>;
${declareMatrixTiles(tile)}
var<workgroup> firstVec: array<i32, ${tileRows}>; // where the rows of the tile begin in the source

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroupIndex: u32) {
  let phaseH = i32(wid.z) / ${columns.phases.length};
  let phaseW = i32(wid.z) % ${columns.phases.length};
  let startH = ${phaseValue(rows, 'phaseH', 'start')};
  let startW = ${phaseValue(columns, 'phaseW', 'start')};
  let countH = ${phaseValue(rows, 'phaseH', 'count')};
  let countW = ${phaseValue(columns, 'phaseW', 'count')};
  let tapsH = ${phaseValue(rows, 'phaseH', 'taps')};
  let tapsW = ${phaseValue(columns, 'phaseW', 'taps')};
  let firstTapH = ${phaseValue(rows, 'phaseH', 'firstTap')};
  let firstTapW = ${phaseValue(columns, 'phaseW', 'firstTap')};
  let firstOffsetH = ${phaseValue(rows, 'phaseH', 'firstOffset')} + ${source.top};
  let firstOffsetW = ${phaseValue(columns, 'phaseW', 'firstOffset')} + ${source.left};
  for (var row = i32(lid); row < ${tileRows}; row += ${threads}) {
    let p = min(i32(wid.x) * ${tileRows} + row, ${positions - 1}); // rows past the end repeat the last one, unstored
    let n = p / ${qw * qh};
    let sourceRow = n * ${source.height} + ((p / ${qw}) % ${qh}) * ${rows.sourceStep};
    firstVec[row] = (sourceRow * ${source.width} + (p % ${qw}) * ${columns.sourceStep}) * ${sourceVecs};
  }
  ${declareMatrixSums}
  workgroupBarrier();
  let innerEnd = tapsH * tapsW * ${sourceVecs}; // in vectors
  for (var k = 0; k < innerEnd; k += ${innerVecs}) {
    for (var id = i32(lid); id < ${innerVecs * (tileRows + columnVecs)}; id += ${threads}) {
      let line = id / ${innerVecs}; // a row of the source, or past those, a vector of columns of the weights
      let part = id % ${innerVecs};
      let inner = min(k + part, innerEnd - 1);
      let inside = k + part < innerEnd;
      let i = inner / ${sourceVecs} / tapsW;
      let j = inner / ${sourceVecs} % tapsW;
      let c = inner % ${sourceVecs};
      if (line < ${tileRows}) {
        let row = firstOffsetH + i * ${rows.offsetStep};
        let column = firstOffsetW + j * ${columns.offsetStep};
        let at = firstVec[line] + (row * ${source.width} + column) * ${sourceVecs} + c;
        let v = select(Operand(), Operand(source[at]), inside);
        ${range(4)
          .map((e) => `aTile[line * ${TILE_INNER} + 4 * part + ${e}] = v[${e}];`)
          .join('\n        ')}
      } else {
        let tap = (firstTapH + i * ${rows.tapStep}) * ${conv.kernelWidth} + firstTapW + j * ${columns.tapStep};
        let columnVec = line - ${tileRows};
        let channelVec = min(i32(wid.y) * ${columnVecs} + columnVec, ${destVecs - 1});
        let at = (tap * ${source.channels} + 4 * c) * ${destVecs} + channelVec;
        ${range(4)
          .map(
            (r) => `let v${r} = select(Operand(), weights[at + ${r * destVecs}], inside);
        ${range(4)
          .map((e) => `bTile[(4 * part + ${r}) * ${tileColumns} + 4 * columnVec + ${e}] = v${r}[${e}];`)
          .join('\n        ')}`,
          )
          .join('\n        ')}
      }
    }
    ${multiplyMatrixTiles(tile)}
  }
  ${storeMatrixSums(tile, store)}
}`;
}
