enable subgroups;
alias Operand = vec4f;
@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read> output: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;
const INPUT_HEIGHT = 30;
const INPUT_WIDTH = 26;
const INPUT_VECS = 16; // vectors of 4 channels
const OUTPUT_HEIGHT = 28;
const OUTPUT_WIDTH = 24;
const OUTPUT_VECS = 16;
const ROWS = 4 * OUTPUT_HEIGHT; // rows of pixels of all pictures
const CIN = 64;
const COUT = 64;
const KERNEL_WIDTH = 3;
const TAPS = 3 * KERNEL_WIDTH;
const STRIDE_H = 1;
const STRIDE_W = 1;
const SPLIT_K = 1;

fn loadInput(at: i32) -> vec4f { return vec4f(input[at]); }

fn loadOutput(at: i32) -> vec4f { return vec4f(output[at]); }

/** How far into the input a tap of output (0, 0) reaches, in vectors. */
fn tapOffset(tap: i32) -> i32 {
  let row = 0 + tap / KERNEL_WIDTH * 1;
  let column = 0 + tap % KERNEL_WIDTH * 1;
  return (row * INPUT_WIDTH + column) * INPUT_VECS;
}

/** Where the window of output (h, w) of picture n begins in the input, before its taps. */
fn windowStart(n: i32, h: i32, w: i32) -> i32 {
  return ((n * INPUT_HEIGHT + h * STRIDE_H) * INPUT_WIDTH + w * STRIDE_W) * INPUT_VECS;
}

/** Stores the gradients of the weights of a tap and an input channel, for the 4 output channels from 4·vec on. */
fn storeGradients(part: u32, tap: i32, ci: i32, vec: i32, value: vec4f) {
  if (tap >= TAPS || ci >= CIN) { return; }
  let at = ((i32(part) * TAPS + tap) * CIN + ci) * COUT;
  if (vec < OUTPUT_VECS) { partial[at / 4 + vec] = value; }
}
const PIXELS = 2; // taken at a time
const VECS = 4; // vectors of output channels of an invocation
const THREADS = TAPS * INPUT_VECS;
const ROWS_PER_PART = 112;
const BLOCK_ROWS = 11; // a block of the sums
const BLOCK_WIDTH = 256; // of a long row
const SHARES = 1; // vectors of the output that a lane loads in a step

/** Where vector m of the PIXELS·VECS of a step lies, from the first pixel's first on. */
fn outputOffset(m: i32, vec0: i32) -> i32 {
  return m / VECS * OUTPUT_VECS + min(vec0 + m % VECS, OUTPUT_VECS - 1);
}

/** A vector of the pixel in that column, or zeros where the row ends before. */
fn loadPixel(at: i32, column: i32) -> vec4f {
  return loadOutput(at);
}

/** The same for the input: values after the last column may be anything, even NaN. */
fn loadWindow(at: i32, column: i32) -> vec4f {
  return loadInput(at);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let thread = i32(wid.x) * 8 + i32(lid);
  let m = min(thread, THREADS - 1); // spare lanes repeat the last one without storing
  let tap = m / INPUT_VECS;
  let inputVec = m % INPUT_VECS;
  let vec0 = i32(wid.y) * VECS;
  let start = tapOffset(tap) + inputVec;
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let width = min(OUTPUT_WIDTH, i32(arrayLength(&output)));
  let m0 = min(i32(lane) * SHARES + 0, PIXELS * VECS - 1);
  let share0 = outputOffset(m0, vec0);
  var sum0_0 = vec4f();
  var total0_0 = vec4f();
  var sum0_1 = vec4f();
  var total0_1 = vec4f();
  var sum0_2 = vec4f();
  var total0_2 = vec4f();
  var sum0_3 = vec4f();
  var total0_3 = vec4f();
  var sum1_0 = vec4f();
  var total1_0 = vec4f();
  var sum1_1 = vec4f();
  var total1_1 = vec4f();
  var sum1_2 = vec4f();
  var total1_2 = vec4f();
  var sum1_3 = vec4f();
  var total1_3 = vec4f();
  var sum2_0 = vec4f();
  var total2_0 = vec4f();
  var sum2_1 = vec4f();
  var total2_1 = vec4f();
  var sum2_2 = vec4f();
  var total2_2 = vec4f();
  var sum2_3 = vec4f();
  var total2_3 = vec4f();
  var sum3_0 = vec4f();
  var total3_0 = vec4f();
  var sum3_1 = vec4f();
  var total3_1 = vec4f();
  var sum3_2 = vec4f();
  var total3_2 = vec4f();
  var sum3_3 = vec4f();
  var total3_3 = vec4f();
  let row0 = i32(wid.z) * ROWS_PER_PART;
  let rowEnd = min(row0 + ROWS_PER_PART, ROWS);
  for (var blockRow = row0; blockRow < rowEnd; blockRow += BLOCK_ROWS) {
    for (var row = blockRow; row < min(blockRow + BLOCK_ROWS, rowEnd); row++) {
      let xb0 = start + windowStart(row / OUTPUT_HEIGHT, row % OUTPUT_HEIGHT, 0);
      let yb0 = row * OUTPUT_WIDTH * OUTPUT_VECS;
      for (var w = 0; w < width; w += PIXELS) {
        let xb = xb0 + w * STRIDE_W * INPUT_VECS;
        let yb = yb0 + w * OUTPUT_VECS;
        let part0 = loadPixel(yb + share0, w + m0 / VECS);
        let x0 = loadWindow(xb + 0 * STRIDE_W * INPUT_VECS, w + 0);
        let y0_0 = subgroupBroadcast(part0, 0u / SHARES);
        sum0_0 = fma(vec4f(x0[0]), y0_0, sum0_0);
        sum1_0 = fma(vec4f(x0[1]), y0_0, sum1_0);
        sum2_0 = fma(vec4f(x0[2]), y0_0, sum2_0);
        sum3_0 = fma(vec4f(x0[3]), y0_0, sum3_0);
        let y0_1 = subgroupBroadcast(part0, 1u / SHARES);
        sum0_1 = fma(vec4f(x0[0]), y0_1, sum0_1);
        sum1_1 = fma(vec4f(x0[1]), y0_1, sum1_1);
        sum2_1 = fma(vec4f(x0[2]), y0_1, sum2_1);
        sum3_1 = fma(vec4f(x0[3]), y0_1, sum3_1);
        let y0_2 = subgroupBroadcast(part0, 2u / SHARES);
        sum0_2 = fma(vec4f(x0[0]), y0_2, sum0_2);
        sum1_2 = fma(vec4f(x0[1]), y0_2, sum1_2);
        sum2_2 = fma(vec4f(x0[2]), y0_2, sum2_2);
        sum3_2 = fma(vec4f(x0[3]), y0_2, sum3_2);
        let y0_3 = subgroupBroadcast(part0, 3u / SHARES);
        sum0_3 = fma(vec4f(x0[0]), y0_3, sum0_3);
        sum1_3 = fma(vec4f(x0[1]), y0_3, sum1_3);
        sum2_3 = fma(vec4f(x0[2]), y0_3, sum2_3);
        sum3_3 = fma(vec4f(x0[3]), y0_3, sum3_3);
        let x1 = loadWindow(xb + 1 * STRIDE_W * INPUT_VECS, w + 1);
        let y1_0 = subgroupBroadcast(part0, 4u / SHARES);
        sum0_0 = fma(vec4f(x1[0]), y1_0, sum0_0);
        sum1_0 = fma(vec4f(x1[1]), y1_0, sum1_0);
        sum2_0 = fma(vec4f(x1[2]), y1_0, sum2_0);
        sum3_0 = fma(vec4f(x1[3]), y1_0, sum3_0);
        let y1_1 = subgroupBroadcast(part0, 5u / SHARES);
        sum0_1 = fma(vec4f(x1[0]), y1_1, sum0_1);
        sum1_1 = fma(vec4f(x1[1]), y1_1, sum1_1);
        sum2_1 = fma(vec4f(x1[2]), y1_1, sum2_1);
        sum3_1 = fma(vec4f(x1[3]), y1_1, sum3_1);
        let y1_2 = subgroupBroadcast(part0, 6u / SHARES);
        sum0_2 = fma(vec4f(x1[0]), y1_2, sum0_2);
        sum1_2 = fma(vec4f(x1[1]), y1_2, sum1_2);
        sum2_2 = fma(vec4f(x1[2]), y1_2, sum2_2);
        sum3_2 = fma(vec4f(x1[3]), y1_2, sum3_2);
        let y1_3 = subgroupBroadcast(part0, 7u / SHARES);
        sum0_3 = fma(vec4f(x1[0]), y1_3, sum0_3);
        sum1_3 = fma(vec4f(x1[1]), y1_3, sum1_3);
        sum2_3 = fma(vec4f(x1[2]), y1_3, sum2_3);
        sum3_3 = fma(vec4f(x1[3]), y1_3, sum3_3);
      }
    }
    total0_0 += sum0_0; sum0_0 = vec4f();
    total0_1 += sum0_1; sum0_1 = vec4f();
    total0_2 += sum0_2; sum0_2 = vec4f();
    total0_3 += sum0_3; sum0_3 = vec4f();
    total1_0 += sum1_0; sum1_0 = vec4f();
    total1_1 += sum1_1; sum1_1 = vec4f();
    total1_2 += sum1_2; sum1_2 = vec4f();
    total1_3 += sum1_3; sum1_3 = vec4f();
    total2_0 += sum2_0; sum2_0 = vec4f();
    total2_1 += sum2_1; sum2_1 = vec4f();
    total2_2 += sum2_2; sum2_2 = vec4f();
    total2_3 += sum2_3; sum2_3 = vec4f();
    total3_0 += sum3_0; sum3_0 = vec4f();
    total3_1 += sum3_1; sum3_1 = vec4f();
    total3_2 += sum3_2; sum3_2 = vec4f();
    total3_3 += sum3_3; sum3_3 = vec4f();
  }
  if (thread >= THREADS) { return; }
  storeGradients(wid.z, tap, 4 * inputVec + 0, vec0 + 0, total0_0);
  storeGradients(wid.z, tap, 4 * inputVec + 0, vec0 + 1, total0_1);
  storeGradients(wid.z, tap, 4 * inputVec + 0, vec0 + 2, total0_2);
  storeGradients(wid.z, tap, 4 * inputVec + 0, vec0 + 3, total0_3);
  storeGradients(wid.z, tap, 4 * inputVec + 1, vec0 + 0, total1_0);
  storeGradients(wid.z, tap, 4 * inputVec + 1, vec0 + 1, total1_1);
  storeGradients(wid.z, tap, 4 * inputVec + 1, vec0 + 2, total1_2);
  storeGradients(wid.z, tap, 4 * inputVec + 1, vec0 + 3, total1_3);
  storeGradients(wid.z, tap, 4 * inputVec + 2, vec0 + 0, total2_0);
  storeGradients(wid.z, tap, 4 * inputVec + 2, vec0 + 1, total2_1);
  storeGradients(wid.z, tap, 4 * inputVec + 2, vec0 + 2, total2_2);
  storeGradients(wid.z, tap, 4 * inputVec + 2, vec0 + 3, total2_3);
  storeGradients(wid.z, tap, 4 * inputVec + 3, vec0 + 0, total3_0);
  storeGradients(wid.z, tap, 4 * inputVec + 3, vec0 + 1, total3_1);
  storeGradients(wid.z, tap, 4 * inputVec + 3, vec0 + 2, total3_2);
  storeGradients(wid.z, tap, 4 * inputVec + 3, vec0 + 3, total3_3);
}
