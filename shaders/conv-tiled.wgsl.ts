import { axisSteps } from '../src/common/conv-geometry.js';
import { applyEpilogue, type GatherConv, loadEpilogue, phaseValue } from './common/gather.js';
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

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * Implicit GEMM for GPUs: the rows of the product are the destination pixels of one phase (`workgroup_id.z`), the columns
 * its channels, the inner axis runs over taps and source channels as one, so that 3-channel sources waste nothing. A
 * workgroup gathers a tile of source pixels and one of weights into its memory and multiplies them in registers; where
 * each row of the tile begins in the padded source is worked out once.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function tiledConvShader(conv: GatherConv, tile: Tile): string {
  const { rows, columns, source, dest } = conv;
  const sourceVecs = source.channels / 4;
  const destVecs = Math.ceil(dest.channels / 4);
  const qh = axisSteps(rows);
  const qw = axisSteps(columns);
  const positions = conv.batch * qh * qw;
  const vec4Dest = dest.channels % 4 === 0;
  const hasEpilogue = conv.epilogue !== 'none';
  const [aVecs, bVecs] = [tileRows(tile) / 4, tileColumns(tile) / 4];
  const innerVecs = TILE_INNER / 4;
  const threads = tileThreads(tile);

  const weightsTile = (e: number): string => `bTile[(4 * part + ${e}) * ${bVecs} + columnVec]`;
  const loadWeights = conv.transposed
    ? [
        ...range(4).map(
          (r) => `let row${r} = tap * ${dest.channels} + min(4 * channelVec + ${r}, ${dest.channels - 1});`,
        ),
        ...range(4).map((r) => `let v${r} = select(Operand(), weights[row${r} * ${sourceVecs} + c], inside);`),
        ...range(4).map((e) => `${weightsTile(e)} = Operand(v0[${e}], v1[${e}], v2[${e}], v3[${e}]);`),
      ].join('\n        ')
    : [
        `let at = (tap * ${source.channels} + 4 * c) * ${destVecs} + channelVec;`,
        ...range(4).map((e) => `${weightsTile(e)} = select(Operand(), weights[at + ${e * destVecs}], inside);`),
      ].join('\n        ');

  const store = forEachRow(tile, (row, sums) => {
    const writes = sums.flatMap(({ sum, columnVec }, h) => {
      const vec = `i32(wid.y) * ${bVecs} + ${columnVec}`;
      const value = applyEpilogue(conv.epilogue, sum, `${h}`);
      if (vec4Dest) return [`if (${vec} < ${destVecs}) { dest[at + ${vec}] = ${value}; }`];
      return range(4).map((k) => {
        const channel = `4 * (${vec}) + ${k}`;
        return `if (${channel} < ${dest.channels}) { dest[at + ${channel}] = (${value})[${k}]; }`;
      });
    });
    return `  {
    let position = i32(wid.x) * ${tileRows(tile)} + ${row};
    let qw = position % ${qw};
    let qh = (position / ${qw}) % ${qh};
    if (position < ${positions} && qh < countH && qw < countW) {
      let n = position / ${qw * qh};
      let at = ((n * ${dest.height} + ${rows.destStep} * qh + startH) * ${dest.width} + ${columns.destStep} * qw + startW) * ${vec4Dest ? destVecs : dest.channels};
      ${writes.join('\n      ')}
    }
  }`;
  });

  return `${operandType(conv.precision)}
@group(0) @binding(0) var<storage, read> source: array<${storedVector(source.stored)}>;
@group(0) @binding(1) var<storage, read> weights: array<Operand>;
${hasEpilogue ? '@group(0) @binding(2) var<storage, read> epilogue: array<f32>;' : ''}
@group(0) @binding(${hasEpilogue ? 3 : 2}) var<storage, read_write> dest: array<${vec4Dest ? 'vec4f' : 'f32'}>;
${declareTiles(tile, 'Operand')}
var<workgroup> firstVec: array<vec4i, ${aVecs}>; // where the rows of the tile begin in the source, 4 rows a vector

/** Where the window of a position begins in the source, before its taps. */
fn begin(position: i32) -> i32 {
  let p = min(position, ${positions - 1}); // rows past the end repeat the last one; they are not stored
  let n = p / ${qw * qh};
  let row = n * ${source.height} + ((p / ${qw}) % ${qh}) * ${rows.sourceStep};
  return (row * ${source.width} + (p % ${qw}) * ${columns.sourceStep}) * ${sourceVecs};
}

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
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
  for (var vec = i32(lid); vec < ${aVecs}; vec += ${threads}) {
    let position = i32(wid.x) * ${tileRows(tile)} + 4 * vec;
    firstVec[vec] = vec4i(begin(position), begin(position + 1), begin(position + 2), begin(position + 3));
  }
  ${declareSums(tile)}
  workgroupBarrier();
  let innerEnd = tapsH * tapsW * ${sourceVecs}; // in vectors
  for (var k = 0; k < innerEnd; k += ${innerVecs}) {
    for (var id = i32(lid); id < ${innerVecs * (aVecs + bVecs)}; id += ${threads}) {
      let vec = id / ${innerVecs};
      let part = id % ${innerVecs};
      let inner = min(k + part, innerEnd - 1);
      let inside = k + part < innerEnd;
      let i = inner / ${sourceVecs} / tapsW;
      let j = inner / ${sourceVecs} % tapsW;
      let c = inner % ${sourceVecs};
      if (vec < ${aVecs}) {
        let row = firstOffsetH + i * ${rows.offsetStep};
        let column = firstOffsetW + j * ${columns.offsetStep};
        let at = firstVec[vec] + (row * ${source.width} + column) * ${sourceVecs} + c;
        ${range(4)
          .map((r) => `let v${r} = select(Operand(), Operand(source[at[${r}]]), inside);`)
          .join('\n        ')}
        ${range(4)
          .map((e) => `aTile[(4 * part + ${e}) * ${aVecs} + vec] = Operand(v0[${e}], v1[${e}], v2[${e}], v3[${e}]);`)
          .join('\n        ')}
      } else {
        let tap = (firstTapH + i * ${rows.tapStep}) * ${conv.kernelWidth} + firstTapW + j * ${columns.tapStep};
        let columnVec = vec - ${aVecs};
        let channelVec = min(i32(wid.y) * ${bVecs} + columnVec, ${destVecs - 1});
        ${loadWeights}
      }
    }
    ${multiplyTiles(tile)}
  }
  ${range(tile.columnVecs)
    .map((h) =>
      loadEpilogue(conv.epilogue, dest.channels, `4 * (i32(wid.y) * ${bVecs} + ${tile.threadsX * h} + tx)`, `${h}`),
    )
    .join('\n  ')}
${store}
}`;
}
