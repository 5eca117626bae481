enable subgroups;
alias Operand = vec4f;
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> epilogue: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dest: array<vec4f>;
const SOURCE_HEIGHT = 30;
const SOURCE_WIDTH = 26;
const SOURCE_VECS = 16; // vectors of 4 channels
const DEST_HEIGHT = 28;
const DEST_WIDTH = 24;
const DEST_CHANNELS = 64;
const DEST_VECS = 16;
const KERNEL_WIDTH = 3;
const SOURCE_STRIDE_H = 1;
const SOURCE_STRIDE_W = 1;
const DEST_STRIDE_H = 1;
const DEST_STRIDE_W = 1;
const STEPS_H = 28; // dest rows of a phase; the last phases may have one less
const STEPS_W = 24;
const POSITIONS = 4 * STEPS_H * STEPS_W; // dest pixels of a phase

struct Epilogue { scale: vec4f, shift: vec4f, slope: vec4f }

fn epilogueRow(row: i32, unit: i32) -> vec4f { return epilogue[row * 16 + unit % 16]; }

fn loadEpilogue(unit: i32) -> Epilogue {
  var numbers = Epilogue();
  numbers.shift = epilogueRow(0, unit);
  return numbers;
}

fn applyEpilogue(sum: vec4f, numbers: Epilogue) -> vec4f {
  return sum + numbers.shift;
}

/** The dest positions stride·step + start (step < count) of one axis, which use the same taps: see AxisPhase. */
struct Phase { start: i32, count: i32, firstTap: i32, taps: i32, firstOffset: i32 }
const PHASES_H = array(Phase(0, 28, 0, 3, 0),);
const PHASES_W = array(Phase(0, 24, 0, 3, 0),);
const PHASES_ACROSS = 1;

/** Where tap (i, j) of a phase stands in the kernel. */
fn tapIndex(h: Phase, w: Phase, i: i32, j: i32) -> i32 {
  return (h.firstTap + i * 1) * KERNEL_WIDTH + w.firstTap + j * 1;
}

/** How far into the source tap (i, j) reaches from where a position begins, in vectors. */
fn tapOffset(h: Phase, w: Phase, i: i32, j: i32) -> i32 {
  let row = h.firstOffset + i * 1;
  return (row * SOURCE_WIDTH + w.firstOffset + j * 1) * SOURCE_VECS;
}

/** Where the window of the position at step (h, w) of picture n begins in the source, before its taps. */
fn windowStart(n: i32, h: i32, w: i32) -> i32 {
  return ((n * SOURCE_HEIGHT + h * SOURCE_STRIDE_H) * SOURCE_WIDTH + w * SOURCE_STRIDE_W) * SOURCE_VECS;
}

fn loadSource(at: i32) -> vec4f { return vec4f(source[at]); }

/** Where the dest pixel at step (h, w) of picture n begins, in elements of dest. */
fn destStart(n: i32, h: i32, w: i32) -> i32 {
  let pixel = (n * DEST_HEIGHT + h) * DEST_WIDTH + w;
  return pixel * DEST_VECS;
}

/** Stores the 4 channels from 4·vec on of the pixel that begins at `start`. */
fn storeDest(start: i32, vec: i32, value: vec4f) {
  if (vec < DEST_VECS) { dest[start + vec] = value; }
}
const PIXELS = 3; // the tile of an invocation: dest pixels along a row, and vectors of channels
const VECS = 4;
const TILES_W = 8;
const TILES = 4 * STEPS_H * TILES_W;
const BLOCK_VECS = 64; // source vectors of a block of the sums, where it is no whole tap
const SHARES = 2; // weight vectors that a lane loads in a step

fn loadWeights(at: i32) -> vec4f {
  return vec4f(weights[at]);
}

fn loadPixel(at: i32) -> vec4f {
  return loadSource(at);
}

/**
 * Where weight vector m of the 4·VECS of a step lies, from the first on: that of source channel m / VECS, or transposed, the
 * 4 source channels of dest channel m.
 */
fn weightOffset(m: i32, vec0: i32) -> i32 {
  return m / VECS * DEST_VECS + m % VECS;
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  // Past the last tile, lanes repeat it without storing: broadcasts need every lane.
  let tile = i32(wid.x) * 8 + i32(lid);
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
  let share0 = weightOffset(min(i32(lane) * SHARES + 0, 4 * VECS - 1), vec0);
  let share1 = weightOffset(min(i32(lane) * SHARES + 1, 4 * VECS - 1), vec0);
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
  for (var i = 0; i < tapsH; i++) {
    for (var j = 0; j < tapsW; j++) {
      let xb0 = start + tapOffset(h, w, i, j);
      let wb0 = tapIndex(h, w, i, j) * 4 * SOURCE_VECS * DEST_VECS + vec0;
      for (var c = 0; c < sourceVecs; c++) {
        let xb = xb0 + c;
        let wb = wb0 + 4 * DEST_VECS * c;
        let part0 = loadWeights(wb + share0);
        let part1 = loadWeights(wb + share1);
        let x0 = loadPixel(xb + 0 * SOURCE_STRIDE_W * SOURCE_VECS);
        let x1 = loadPixel(xb + 1 * SOURCE_STRIDE_W * SOURCE_VECS);
        let x2 = loadPixel(xb + 2 * SOURCE_STRIDE_W * SOURCE_VECS);
        let w0_0 = subgroupBroadcast(part0, 0u / SHARES);
        sum0_0 = fma(vec4f(x0[0]), w0_0, sum0_0);
        sum1_0 = fma(vec4f(x1[0]), w0_0, sum1_0);
        sum2_0 = fma(vec4f(x2[0]), w0_0, sum2_0);
        let w0_1 = subgroupBroadcast(part1, 1u / SHARES);
        sum0_1 = fma(vec4f(x0[0]), w0_1, sum0_1);
        sum1_1 = fma(vec4f(x1[0]), w0_1, sum1_1);
        sum2_1 = fma(vec4f(x2[0]), w0_1, sum2_1);
        let w0_2 = subgroupBroadcast(part0, 2u / SHARES);
        sum0_2 = fma(vec4f(x0[0]), w0_2, sum0_2);
        sum1_2 = fma(vec4f(x1[0]), w0_2, sum1_2);
        sum2_2 = fma(vec4f(x2[0]), w0_2, sum2_2);
        let w0_3 = subgroupBroadcast(part1, 3u / SHARES);
        sum0_3 = fma(vec4f(x0[0]), w0_3, sum0_3);
        sum1_3 = fma(vec4f(x1[0]), w0_3, sum1_3);
        sum2_3 = fma(vec4f(x2[0]), w0_3, sum2_3);
        let w1_0 = subgroupBroadcast(part0, 4u / SHARES);
        sum0_0 = fma(vec4f(x0[1]), w1_0, sum0_0);
        sum1_0 = fma(vec4f(x1[1]), w1_0, sum1_0);
        sum2_0 = fma(vec4f(x2[1]), w1_0, sum2_0);
        let w1_1 = subgroupBroadcast(part1, 5u / SHARES);
        sum0_1 = fma(vec4f(x0[1]), w1_1, sum0_1);
        sum1_1 = fma(vec4f(x1[1]), w1_1, sum1_1);
        sum2_1 = fma(vec4f(x2[1]), w1_1, sum2_1);
        let w1_2 = subgroupBroadcast(part0, 6u / SHARES);
        sum0_2 = fma(vec4f(x0[1]), w1_2, sum0_2);
        sum1_2 = fma(vec4f(x1[1]), w1_2, sum1_2);
        sum2_2 = fma(vec4f(x2[1]), w1_2, sum2_2);
        let w1_3 = subgroupBroadcast(part1, 7u / SHARES);
        sum0_3 = fma(vec4f(x0[1]), w1_3, sum0_3);
        sum1_3 = fma(vec4f(x1[1]), w1_3, sum1_3);
        sum2_3 = fma(vec4f(x2[1]), w1_3, sum2_3);
        let w2_0 = subgroupBroadcast(part0, 8u / SHARES);
        sum0_0 = fma(vec4f(x0[2]), w2_0, sum0_0);
        sum1_0 = fma(vec4f(x1[2]), w2_0, sum1_0);
        sum2_0 = fma(vec4f(x2[2]), w2_0, sum2_0);
        let w2_1 = subgroupBroadcast(part1, 9u / SHARES);
        sum0_1 = fma(vec4f(x0[2]), w2_1, sum0_1);
        sum1_1 = fma(vec4f(x1[2]), w2_1, sum1_1);
        sum2_1 = fma(vec4f(x2[2]), w2_1, sum2_1);
        let w2_2 = subgroupBroadcast(part0, 10u / SHARES);
        sum0_2 = fma(vec4f(x0[2]), w2_2, sum0_2);
        sum1_2 = fma(vec4f(x1[2]), w2_2, sum1_2);
        sum2_2 = fma(vec4f(x2[2]), w2_2, sum2_2);
        let w2_3 = subgroupBroadcast(part1, 11u / SHARES);
        sum0_3 = fma(vec4f(x0[2]), w2_3, sum0_3);
        sum1_3 = fma(vec4f(x1[2]), w2_3, sum1_3);
        sum2_3 = fma(vec4f(x2[2]), w2_3, sum2_3);
        let w3_0 = subgroupBroadcast(part0, 12u / SHARES);
        sum0_0 = fma(vec4f(x0[3]), w3_0, sum0_0);
        sum1_0 = fma(vec4f(x1[3]), w3_0, sum1_0);
        sum2_0 = fma(vec4f(x2[3]), w3_0, sum2_0);
        let w3_1 = subgroupBroadcast(part1, 13u / SHARES);
        sum0_1 = fma(vec4f(x0[3]), w3_1, sum0_1);
        sum1_1 = fma(vec4f(x1[3]), w3_1, sum1_1);
        sum2_1 = fma(vec4f(x2[3]), w3_1, sum2_1);
        let w3_2 = subgroupBroadcast(part0, 14u / SHARES);
        sum0_2 = fma(vec4f(x0[3]), w3_2, sum0_2);
        sum1_2 = fma(vec4f(x1[3]), w3_2, sum1_2);
        sum2_2 = fma(vec4f(x2[3]), w3_2, sum2_2);
        let w3_3 = subgroupBroadcast(part1, 15u / SHARES);
        sum0_3 = fma(vec4f(x0[3]), w3_3, sum0_3);
        sum1_3 = fma(vec4f(x1[3]), w3_3, sum1_3);
        sum2_3 = fma(vec4f(x2[3]), w3_3, sum2_3);
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
  }
  if (tile >= TILES || stepH >= h.count) { return; }
  let destH = stepH * DEST_STRIDE_H + h.start;
  let numbers0 = loadEpilogue(vec0 + 0);
  let numbers1 = loadEpilogue(vec0 + 1);
  let numbers2 = loadEpilogue(vec0 + 2);
  let numbers3 = loadEpilogue(vec0 + 3);
  if (stepW + 0 < w.count) {
    let at = destStart(n, destH, (stepW + 0) * DEST_STRIDE_W + w.start);
    storeDest(at, vec0 + 0, applyEpilogue(total0_0, numbers0));
    storeDest(at, vec0 + 1, applyEpilogue(total0_1, numbers1));
    storeDest(at, vec0 + 2, applyEpilogue(total0_2, numbers2));
    storeDest(at, vec0 + 3, applyEpilogue(total0_3, numbers3));
  }
  if (stepW + 1 < w.count) {
    let at = destStart(n, destH, (stepW + 1) * DEST_STRIDE_W + w.start);
    storeDest(at, vec0 + 0, applyEpilogue(total1_0, numbers0));
    storeDest(at, vec0 + 1, applyEpilogue(total1_1, numbers1));
    storeDest(at, vec0 + 2, applyEpilogue(total1_2, numbers2));
    storeDest(at, vec0 + 3, applyEpilogue(total1_3, numbers3));
  }
  if (stepW + 2 < w.count) {
    let at = destStart(n, destH, (stepW + 2) * DEST_STRIDE_W + w.start);
    storeDest(at, vec0 + 0, applyEpilogue(total2_0, numbers0));
    storeDest(at, vec0 + 1, applyEpilogue(total2_1, numbers1));
    storeDest(at, vec0 + 2, applyEpilogue(total2_2, numbers2));
    storeDest(at, vec0 + 3, applyEpilogue(total2_3, numbers3));
  }
}
