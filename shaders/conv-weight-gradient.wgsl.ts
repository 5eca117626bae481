import type { Shader } from '../src/common/shader.js';
import { shader } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum, levelsOf } from './common/blocks.js';
import { operandType } from './common/operand.js';
import { unroll } from './common/unroll.js';
import { type WeightGradient, weightGradientBindings, weightGradientHead } from './common/weight-gradient.js';
import { wgsl } from './common/wgsl.js';

/** How the invocations of the register kernel share the work. */
export interface WeightGradientTile {
  /** Output channels an invocation accumulates (a multiple of 4). */
  tileChannels: number;
  /** Pixels taken at a time (needs that much slack in the input's rows when the width is no multiple). */
  pixels: number;
  workgroup: number;
  subgroup: number;
}

/**
 * Each invocation owns one tap and 4 input channels against tileChannels output channels, and walks over its part's
 * rows of pixels. Taps and channels are flattened into one axis, so 3-channel inputs fill the lanes as well as wide
 * ones. With subgroups the lanes share the loads of the output, as in the forward kernel.
 *
 * Bindings: input, output (its gradient), partial [splitK, kh, kw, Cin, Cout] (written).
 */
export function tapWeightGradientShader(g: WeightGradient, tile: WeightGradientTile): Shader {
  const { subgroup, pixels } = tile;
  const { width } = g.output;
  const vecs = tile.tileChannels / 4;
  const shares = subgroup && Math.ceil((pixels * vecs) / subgroup);
  const wholeWidth = width % pixels === 0;
  const rowsPerPart = Math.ceil((g.batch * g.output.height) / g.splitK);
  const levels = levelsOf(rowsPerPart * width);
  // What a block of the sums is: some rows, or some pixels of a long one.
  const blockEnd = levels === 1 ? 'never' : width < 2 * BLOCK ? 'rows' : 'pixels';
  const output = (m: number): string =>
    subgroup
      ? `subgroupBroadcast(part${m % shares}, ${m}u / SHARES)`
      : `loadPixel(yb + outputOffset(${m}, vec0), ${Math.floor(m / vecs)} + w)`;
  return shader(
    weightGradientBindings(g),
    (declarations) => wgsl`
#if ${subgroup}
enable subgroups;
#endif
${operandType(g.precision)}
${declarations}
${weightGradientHead(g)}
const PIXELS = ${pixels}; // taken at a time
const VECS = ${vecs}; // vectors of output channels of an invocation
const THREADS = TAPS * INPUT_VECS;
const ROWS_PER_PART = ${rowsPerPart};
const BLOCK_ROWS = ${Math.max(1, Math.round(BLOCK / width))}; // a block of the sums
const BLOCK_WIDTH = ${BLOCK}; // of a long row
const SHARES = ${shares}; // vectors of the output that a lane loads in a step

/** Where vector m of the PIXELS·VECS of a step lies, from the first pixel's first on. */
fn outputOffset(m: i32, vec0: i32) -> i32 {
  return m / VECS * OUTPUT_VECS + min(vec0 + m % VECS, OUTPUT_VECS - 1);
}

/** A vector of the pixel in that column, or zeros where the row ends before. */
fn loadPixel(at: i32, column: i32) -> vec4f {
#if ${wholeWidth}
  return loadOutput(at);
#else
  return select(vec4f(), loadOutput(min(at, ROWS * OUTPUT_WIDTH * OUTPUT_VECS - 1)), column < OUTPUT_WIDTH);
#endif
}

/** The same for the input: values after the last column may be anything, even NaN. */
fn loadWindow(at: i32, column: i32) -> vec4f {
#if ${wholeWidth}
  return loadInput(at);
#else
  return select(vec4f(), loadInput(at), column < OUTPUT_WIDTH);
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
  let thread = i32(wid.x) * ${tile.workgroup} + i32(lid);
  let m = min(thread, THREADS - 1); // spare lanes repeat the last one without storing
  let tap = m / INPUT_VECS;
  let inputVec = m % INPUT_VECS;
  let vec0 = i32(wid.y) * VECS;
  let start = tapOffset(tap) + inputVec;
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let width = min(OUTPUT_WIDTH, i32(arrayLength(&output)));
  ${unroll(
    shares,
    (r) => wgsl`
  let m${r} = min(i32(lane) * SHARES + ${r}, PIXELS * VECS - 1);
  let share${r} = outputOffset(m${r}, vec0);`,
  )}
  ${declareSums(levels, 4, vecs)}
  let row0 = i32(wid.z) * ROWS_PER_PART;
  let rowEnd = min(row0 + ROWS_PER_PART, ROWS);
#if ${blockEnd === 'rows'}
  for (var blockRow = row0; blockRow < rowEnd; blockRow += BLOCK_ROWS) {
    for (var row = blockRow; row < min(blockRow + BLOCK_ROWS, rowEnd); row++) {
#else
    for (var row = row0; row < rowEnd; row++) {
#endif
      let xb0 = start + windowStart(row / OUTPUT_HEIGHT, row % OUTPUT_HEIGHT, 0);
      let yb0 = row * OUTPUT_WIDTH * OUTPUT_VECS;
#if ${blockEnd === 'pixels'}
      for (var blockW = 0; blockW < width; blockW += BLOCK_WIDTH) {
      for (var w = blockW; w < min(blockW + BLOCK_WIDTH, width); w += PIXELS) {
#else
      for (var w = 0; w < width; w += PIXELS) {
#endif
        let xb = xb0 + w * STRIDE_W * INPUT_VECS;
        let yb = yb0 + w * OUTPUT_VECS;
        ${unroll(shares, (r) => `let part${r} = loadPixel(yb + share${r}, w + m${r} / VECS);`)}
        ${unroll(
          pixels,
          (p) => wgsl`
        let x${p} = loadWindow(xb + ${p} * STRIDE_W * INPUT_VECS, w + ${p});
        ${unroll(
          vecs,
          (j) => wgsl`
        let y${p}_${j} = ${output(p * vecs + j)};
        ${unroll(4, (e) => `sum${e}_${j} = fma(vec4f(x${p}[${e}]), y${p}_${j}, sum${e}_${j});`)}`,
        )}`,
        )}
      }
#if ${blockEnd === 'pixels'}
      ${endBlock(levels, 4, vecs, '((row - row0) * OUTPUT_WIDTH + blockW) / BLOCK_WIDTH')}
      }
#endif
    }
#if ${blockEnd === 'rows'}
    ${endBlock(levels, 4, vecs, '(blockRow - row0) / BLOCK_ROWS')}
  }
#endif
  if (thread >= THREADS) { return; }
  ${unroll(4, (e) => unroll(vecs, (j) => `storeGradients(wid.z, tap, 4 * inputVec + ${e}, vec0 + ${j}, ${finalSum(levels, e, j)});`))}
}`,
  );
}
