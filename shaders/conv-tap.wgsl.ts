import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum, type Levels, levelsOf } from './common/blocks.js';
import { axisSteps, axisTaps } from './common/conv-geometry.js';
import { type GatherConv, gatherBindings, gatherHead } from './common/gather.js';
import { operandType } from './common/operand.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** How the invocations of the register kernel share the work. */
export interface RegisterTile {
  /** Destination pixels (along a row) and channels (a multiple of 4) that one invocation accumulates in registers. */
  tilePixels: number;
  tileChannels: number;
  workgroup: number;
  /** Subgroup size when weights are loaded once a subgroup and broadcast; 0 without subgroups. */
  subgroup: number;
}

/** The part of the kernel that is left out, to measure its cost: see `bench/core/ablation.ts`. Its results are then wrong. */
export interface TapConvWithout {
  sourceLoads?: boolean;
  weightLoads?: boolean;
  sharing?: boolean;
  multiplyAdds?: boolean;
}

/** Where a block of the sums ends: after rows of taps, taps, or blocks of channels, whichever is as long as a block. */
function blockEndOf(levels: Levels, tapsW: number, channels: number): 'never' | 'row' | 'tap' | 'channels' {
  if (levels === 1) return 'never';
  if (levelsOf(tapsW * channels) === 1) return 'row';
  return levelsOf(channels) === 1 ? 'tap' : 'channels';
}

/**
 * Barrier-free implicit GEMM for adapters where barriers are slow: each invocation keeps tilePixels × tileChannels sums
 * in registers, the taps of its phase come from `workgroup_id.z`, the channel block from `workgroup_id.y`.
 *
 * A storage load costs about as much as 30 multiply-adds on lavapipe, whether its address is uniform or not. So with
 * subgroups, the lanes share the loading of the weights (each loads a part, which `subgroupBroadcast` gives to the others):
 * 3 to 4 times faster than every lane loading all of them.
 *
 * Bindings: source, weights, what the epilogue needs, dest.
 */
export function tapConvShader(conv: GatherConv, tile: RegisterTile, without: TapConvWithout = {}): Shader {
  const { transposed } = conv;
  const { tilePixels: pixels, subgroup } = tile;
  const vecs = tile.tileChannels / 4;
  const shares = subgroup && Math.ceil((4 * vecs) / subgroup);
  const [tapsH, tapsW] = [axisTaps(conv.vertical), axisTaps(conv.horizontal)];
  const { channels } = conv.source;
  const levels = levelsOf(tapsH * tapsW * channels);
  const blockEnd = blockEndOf(levels, tapsW, channels);
  const weight = (m: number): string =>
    subgroup && without.sharing
      ? `part${m % shares}`
      : subgroup
        ? `subgroupBroadcast(part${m % shares}, ${m}u / SHARES)`
        : `loadWeights(wb + weightOffset(${m}, vec0))`;
  return shader(
    gatherBindings(conv),
    (declarations) => wgsl`
#if ${subgroup}
enable subgroups;
#endif
${operandType(conv.precision)}
${declarations}
${gatherHead(conv)}
const PIXELS = ${pixels}; // the tile of an invocation: dest pixels along a row, and vectors of channels
const VECS = ${vecs};
const TILES_W = ${Math.ceil(axisSteps(conv.horizontal) / pixels)};
const TILES = ${conv.batch} * STEPS_H * TILES_W;
const BLOCK_VECS = ${BLOCK / 4}; // source vectors of a block of the sums, where it is no whole tap
const SHARES = ${shares}; // weight vectors that a lane loads in a step

fn loadWeights(at: i32) -> vec4f {
#if ${without.weightLoads}
  return vec4f(f32(at)) + vec4f(0, 1, 2, 3); // numbers that differ, or the compiler would make one sum of four
#else
  return vec4f(weights[at]);
#endif
}

fn loadPixel(at: i32) -> vec4f {
#if ${without.sourceLoads}
  return vec4f(f32(at)) + vec4f(0, 1, 2, 3);
#else
  return loadSource(at);
#endif
}

/**
 * Where weight vector m of the 4·VECS of a step lies, from the first on: that of source channel m / VECS, or transposed, the
 * 4 source channels of dest channel m.
 */
fn weightOffset(m: i32, vec0: i32) -> i32 {
#if ${transposed}
  return min(4 * vec0 + m, DEST_CHANNELS - 1) * SOURCE_VECS;
#else
  return m / VECS * DEST_VECS + m % VECS;
#endif
}

@compute @workgroup_size(${tile.workgroup})
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(local_invocation_index) lid: u32,
#if ${subgroup}
  @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  // Past the last tile, lanes repeat it without storing: broadcasts need every lane.
  let tile = i32(wid.x) * ${tile.workgroup} + i32(lid);
  let t = min(tile, TILES - 1);
  let stepW = t % TILES_W * PIXELS;
  let stepH = t / TILES_W % STEPS_H;
  let n = t / TILES_W / STEPS_H;
  let vec0 = i32(wid.y) * VECS;
  let start = windowStart(n, stepH, stepW);
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take seconds over the result.
  let most = i32(arrayLength(&weights));
  let tapsH = min(h.taps, most);
  let tapsW = min(w.taps, most);
  let sourceVecs = min(SOURCE_VECS, most);

  ${unroll(shares, (r) => wgsl`let share${r} = weightOffset(min(i32(lane) * SHARES + ${r}, 4 * VECS - 1), vec0);`)}
  ${declareSums(levels, pixels, vecs)}
  for (var i = 0; i < tapsH; i++) {
    for (var j = 0; j < tapsW; j++) {
      let xb0 = start + tapOffset(h, w, i, j);
#if ${transposed}
      let wb0 = tapIndex(h, w, i, j) * DEST_CHANNELS * SOURCE_VECS;
#else
      let wb0 = tapIndex(h, w, i, j) * 4 * SOURCE_VECS * DEST_VECS + vec0;
#endif
#if ${blockEnd === 'channels'}
      for (var c0 = 0; c0 < sourceVecs; c0 += BLOCK_VECS) {
      for (var c = c0; c < min(c0 + BLOCK_VECS, sourceVecs); c++) {
#else
      for (var c = 0; c < sourceVecs; c++) {
#endif
          let xb = xb0 + c;
#if ${transposed}
          let wb = wb0 + c;
#else
          let wb = wb0 + 4 * DEST_VECS * c;
#endif
          ${unroll(shares, (r) => `let part${r} = loadWeights(wb + share${r});`)}
          ${unroll(pixels, (p) => `let x${p} = loadPixel(xb + ${p} * SOURCE_STRIDE_W * SOURCE_VECS);`)}
#if ${transposed}
          ${unroll(4 * vecs, (m) => `let t${m} = ${weight(m)};`)}
#endif
          ${unroll(without.multiplyAdds ? 1 : 4, (e) =>
            unroll(
              vecs,
              (j) => wgsl`
#if ${transposed}
          let w${e}_${j} = vec4f(t${4 * j}[${e}], t${4 * j + 1}[${e}], t${4 * j + 2}[${e}], t${4 * j + 3}[${e}]);
#else
          let w${e}_${j} = ${weight(e * vecs + j)};
#endif
          ${unroll(pixels, (p) => `sum${p}_${j} = fma(vec4f(x${p}[${e}]), w${e}_${j}, sum${p}_${j});`)}`,
            ),
          )}
      }
#if ${blockEnd === 'channels'}
      ${endBlock(levels, pixels, vecs, '(i * tapsW + j) * (SOURCE_VECS / BLOCK_VECS) + c0 / BLOCK_VECS')}
      }
#elif ${blockEnd === 'tap'}
      ${endBlock(levels, pixels, vecs, 'i * tapsW + j')}
#endif
    }
#if ${blockEnd === 'row'}
    ${endBlock(levels, pixels, vecs, 'i')}
#endif
  }
  if (tile >= TILES || stepH >= h.count) { return; }
  let destH = stepH * DEST_STRIDE_H + h.start;
  ${unroll(vecs, (j) => `let numbers${j} = loadEpilogue(vec0 + ${j});`)}
  ${unroll(
    pixels,
    (p) => wgsl`
  if (stepW + ${p} < w.count) {
    let at = destStart(n, destH, (stepW + ${p}) * DEST_STRIDE_W + w.start);
    ${unroll(vecs, (j) => `storeDest(at, vec0 + ${j}, applyEpilogue(${finalSum(levels, p, j)}, numbers${j}));`)}
  }`,
  )}
}`,
  );
}
