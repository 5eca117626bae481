import { axisSteps } from '../src/common/conv-geometry.js';
import { applyEpilogue, type GatherConv, loadEpilogue, phaseValue } from './common/gather.js';
import { operandType, roundedVector, storedVector } from './common/operand.js';

/** How the invocations of the register kernel share the work. */
export interface RegisterTile {
  /** Destination pixels (along a row) and channels (a multiple of 4) that one invocation accumulates in registers. */
  tilePixels: number;
  tileChannels: number;
  workgroup: number;
  /** Subgroup size when weights are loaded once a subgroup and broadcast; 0 without subgroups. */
  subgroup: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * Barrier-free implicit GEMM for adapters where barriers are dear: each invocation keeps tilePixels × tileChannels sums
 * in registers, the taps of its phase come from `workgroup_id.z`, the channel block from `workgroup_id.y`.
 *
 * A storage load costs about as much as 30 multiply-adds on lavapipe, whether its address is uniform or not. So with
 * subgroups, the lanes share the loading of the weights (each loads a part, `subgroupBroadcast` hands it round):
 * 3 to 4 times faster than every lane loading all of them.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function tapConvShader(conv: GatherConv, tile: RegisterTile): string {
  const { rows, columns, source, dest } = conv;
  const { tilePixels, tileChannels, subgroup, workgroup } = tile;
  const sourceVecs = source.channels / 4;
  const destVecs = Math.ceil(dest.channels / 4);
  const tileVecs = tileChannels / 4;
  const qh = axisSteps(rows);
  const qw = axisSteps(columns);
  const tilesAcross = Math.ceil(qw / tilePixels);
  const tiles = conv.batch * qh * tilesAcross;
  const vec4Dest = dest.channels % 4 === 0;
  const hasEpilogue = conv.epilogue !== 'none';
  const pixels = range(tilePixels);
  const vecs = range(tileVecs);
  // The 4 × tileVecs weight vectors of one step (4 source channels) are dealt out to the lanes.
  const perLane = subgroup ? Math.ceil((4 * tileVecs) / subgroup) : 0;

  // Vector m is, of channel vec m % tileVecs, source channel m / tileVecs; transposed, all 4 source channels of channel m.
  const vector = (m: string): string =>
    conv.transposed
      ? `min(channel + ${m}, ${dest.channels - 1}) * ${sourceVecs}`
      : `${m} / ${tileVecs} * ${destVecs} + ${m} % ${tileVecs}`;
  const laneLoads = range(perLane)
    .map((r) => `  let part${r} = ${vector(`(min(lane * ${perLane} + ${r}, ${4 * tileVecs - 1}))`)};`)
    .join('\n');
  const share = (m: number): string =>
    subgroup
      ? `subgroupBroadcast(q${m % perLane}, ${Math.floor(m / perLane)}u)`
      : `vec4f(weights[wb + ${vector(`${m}`)}])`;

  const step = [
    ...range(perLane).map((r) => `let q${r} = vec4f(weights[wb + part${r}]);`),
    ...pixels.map(
      (p) =>
        `let x${p} = ${roundedVector(`source[xb + ${p * columns.sourceStep * sourceVecs}]`, source.stored, conv.precision)};`,
    ),
    ...(conv.transposed ? range(4 * tileVecs).map((m) => `let t${m} = ${share(m)};`) : []),
    ...range(4).flatMap((c) =>
      vecs.flatMap((j) => {
        const weight = conv.transposed
          ? `vec4f(${range(4)
              .map((k) => `t${4 * j + k}.${'xyzw'[c]}`)
              .join(', ')})`
          : share(c * tileVecs + j);
        return [
          `let w${c}_${j} = ${weight};`,
          ...pixels.map((p) => `a${p}_${j} = fma(vec4f(x${p}.${'xyzw'[c]}), w${c}_${j}, a${p}_${j});`),
        ];
      }),
    ),
  ].join('\n        ');

  const store = pixels
    .map((p) => {
      const column = `${columns.destStep} * (qw0 + ${p}) + startW`;
      const lines = vecs.map((j) => {
        const at = `out${p} + ${vec4Dest ? j : 4 * j}`;
        const value = applyEpilogue(conv.epilogue, `a${p}_${j}`, `${j}`);
        if (vec4Dest) {
          const write = `dest[${at}] = ${value};`;
          return destVecs % tileVecs === 0 ? write : `if (channel + ${4 * j} < ${dest.channels}) { ${write} }`;
        }
        return range(4)
          .map((k) => `if (channel + ${4 * j + k} < ${dest.channels}) { dest[${at} + ${k}] = (${value})[${k}]; }`)
          .join(' ');
      });
      const scale = vec4Dest ? destVecs : dest.channels;
      return `  if (qw0 + ${p} < countW) {
    let out${p} = ((n * ${dest.height} + ${rows.destStep} * qh + startH) * ${dest.width} + ${column}) * ${scale} + ${vec4Dest ? 'channel / 4' : 'channel'};
    ${lines.join('\n    ')}
  }`;
    })
    .join('\n');

  return `${subgroup ? 'enable subgroups;' : ''}
${operandType(conv.precision)}
@group(0) @binding(0) var<storage, read> source: array<${storedVector(source.stored)}>;
@group(0) @binding(1) var<storage, read> weights: array<Operand>;
${hasEpilogue ? '@group(0) @binding(2) var<storage, read> epilogue: array<f32>;' : ''}
@group(0) @binding(${hasEpilogue ? 3 : 2}) var<storage, read_write> dest: array<${vec4Dest ? 'vec4f' : 'f32'}>;

@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32${
    subgroup ? ', @builtin(subgroup_invocation_id) laneIndex: u32' : ''
  }) {
  let phaseH = i32(wid.z) / ${columns.phases.length};
  let phaseW = i32(wid.z) % ${columns.phases.length};
  let startH = ${phaseValue(rows, 'phaseH', 'start')};
  let startW = ${phaseValue(columns, 'phaseW', 'start')};
  let countH = ${phaseValue(rows, 'phaseH', 'count')};
  let countW = ${phaseValue(columns, 'phaseW', 'count')};
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take seconds over the result.
  let most = i32(arrayLength(&weights));
  let tapsH = min(${phaseValue(rows, 'phaseH', 'taps')}, most);
  let tapsW = min(${phaseValue(columns, 'phaseW', 'taps')}, most);
  let firstTapH = ${phaseValue(rows, 'phaseH', 'firstTap')};
  let firstTapW = ${phaseValue(columns, 'phaseW', 'firstTap')};
  let firstOffsetH = ${phaseValue(rows, 'phaseH', 'firstOffset')} + ${source.top};
  let firstOffsetW = ${phaseValue(columns, 'phaseW', 'firstOffset')} + ${source.left};
  // Past the last tile, lanes repeat it without storing: broadcasts need every lane.
  let tile = i32(wid.x) * ${workgroup} + i32(lid);
  let t = min(tile, ${tiles - 1});
  let qw0 = (t % ${tilesAcross}) * ${tilePixels};
  let qh = (t / ${tilesAcross}) % ${qh};
  let n = t / ${tilesAcross * qh};
  let channel = i32(wid.y) * ${tileChannels};
  let steps = i32(min(${sourceVecs}u, arrayLength(&source)));
${subgroup ? '  let lane = i32(laneIndex);' : ''}
${laneLoads}
  ${pixels.flatMap((p) => vecs.map((j) => `var a${p}_${j} = vec4f();`)).join('\n  ')}
  for (var i = 0; i < tapsH; i++) {
    for (var j = 0; j < tapsW; j++) {
      let row = n * ${source.height} + qh * ${rows.sourceStep} + firstOffsetH + i * ${rows.offsetStep};
      let column = qw0 * ${columns.sourceStep} + firstOffsetW + j * ${columns.offsetStep};
      let tap = (firstTapH + i * ${rows.tapStep}) * ${conv.kernelWidth} + firstTapW + j * ${columns.tapStep};
      let xb0 = (row * ${source.width} + column) * ${sourceVecs};
      let wb0 = tap * ${conv.transposed ? dest.channels * sourceVecs : `${source.channels * destVecs} + channel / 4`};
      for (var c = 0; c < steps; c++) {
        let xb = xb0 + c;
        let wb = wb0 + c${conv.transposed ? '' : ` * ${4 * destVecs}`};
        ${step}
      }
    }
  }
  if (tile >= ${tiles} || qh >= countH) { return; }
  ${vecs.map((j) => loadEpilogue(conv.epilogue, dest.channels, `channel + ${4 * j}`, `${j}`)).join('\n  ')}
${store}
}`;
}
