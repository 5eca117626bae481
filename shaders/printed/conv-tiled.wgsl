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

fn windowOf(position: i32) -> i32 {
  let p = min(position, POSITIONS - 1);
  return windowStart(p / STEPS_W / STEPS_H, p / STEPS_W % STEPS_H, p % STEPS_W);
}

fn storePosition(h: Phase, w: Phase, position: i32, vec: i32, value: vec4f) {
  let stepW = position % STEPS_W;
  let stepH = position / STEPS_W % STEPS_H;
  if (position < POSITIONS && stepH < h.count && stepW < w.count) {
    let n = position / STEPS_W / STEPS_H;
    storeDest(destStart(n, stepH * DEST_STRIDE_H + h.start, stepW * DEST_STRIDE_W + w.start), vec, value);
  }
}
const THREADS = 64;
const THREADS_X = 8;
const THREADS_Y = 8;
const TILE_ROWS = 32;
const ROW_VECS = TILE_ROWS / 4;
const COLUMN_VECS = 8;
const INNER = 16; // inner elements in workgroup memory at a time
var<workgroup> aTile: array<Operand, INNER * ROW_VECS>;
var<workgroup> bTile: array<Operand, INNER * COLUMN_VECS>;

/** Row r of a thread in the tile. */
fn tileRow(ty: i32, r: i32) -> i32 { return 4 * (r / 4 * THREADS_Y + ty) + r % 4; }

/** Vector c of a thread's columns in the tile. */
fn tileColumnVec(tx: i32, c: i32) -> i32 { return c * THREADS_X + tx; }
const INNER_VECS = INNER / 4;
const BLOCK_VECS = 64;
var<workgroup> firstVec: array<vec4i, ROW_VECS>; // where the rows of the tile begin in the source, 4 rows a vector

/** Vector `vec` of 4 dest channels, for the source channel c of a tap; or transposed, 4 source channels of one of 4. */
fn loadWeights(tap: i32, c: i32, vec: i32, e: i32, inside: bool) -> Operand {
  let at = (tap * 4 * SOURCE_VECS + 4 * c + e) * DEST_VECS + vec;
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
  var sum0_0 = vec4f();
  var total0_0 = vec4f();
  var sum1_0 = vec4f();
  var total1_0 = vec4f();
  var sum2_0 = vec4f();
  var total2_0 = vec4f();
  var sum3_0 = vec4f();
  var total3_0 = vec4f();
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
          let v0 = select(Operand(), Operand(source[at[0]]), inside);
          let v1 = select(Operand(), Operand(source[at[1]]), inside);
          let v2 = select(Operand(), Operand(source[at[2]]), inside);
          let v3 = select(Operand(), Operand(source[at[3]]), inside);
          aTile[(4 * part + 0) * ROW_VECS + vec] = Operand(v0[0], v1[0], v2[0], v3[0]);
          aTile[(4 * part + 1) * ROW_VECS + vec] = Operand(v0[1], v1[1], v2[1], v3[1]);
          aTile[(4 * part + 2) * ROW_VECS + vec] = Operand(v0[2], v1[2], v2[2], v3[2]);
          aTile[(4 * part + 3) * ROW_VECS + vec] = Operand(v0[3], v1[3], v2[3], v3[3]);
        } else {
          let tap = tapIndex(h, w, i, j);
          let columnVec = vec - ROW_VECS;
          let channelVec = min(vec0 + columnVec, DEST_VECS - 1);
          let v0 = loadWeights(tap, c, channelVec, 0, inside);
          let v1 = loadWeights(tap, c, channelVec, 1, inside);
          let v2 = loadWeights(tap, c, channelVec, 2, inside);
          let v3 = loadWeights(tap, c, channelVec, 3, inside);
          let at = 4 * part * COLUMN_VECS + columnVec;
          bTile[at + 0 * COLUMN_VECS] = v0;
          bTile[at + 1 * COLUMN_VECS] = v1;
          bTile[at + 2 * COLUMN_VECS] = v2;
          bTile[at + 3 * COLUMN_VECS] = v3;
        }
      }
      workgroupBarrier();
      for (var inner = 0; inner < INNER; inner++) {
        let a0 = vec4f(aTile[inner * ROW_VECS + 0 * THREADS_Y + ty]);
        let b0 = vec4f(bTile[inner * COLUMN_VECS + 0 * THREADS_X + tx]);
        sum0_0 = fma(vec4f(a0[0]), b0, sum0_0);
        sum1_0 = fma(vec4f(a0[1]), b0, sum1_0);
        sum2_0 = fma(vec4f(a0[2]), b0, sum2_0);
        sum3_0 = fma(vec4f(a0[3]), b0, sum3_0);
      }
      workgroupBarrier();
    }
    total0_0 += sum0_0; sum0_0 = vec4f();
    total1_0 += sum1_0; sum1_0 = vec4f();
    total2_0 += sum2_0; sum2_0 = vec4f();
    total3_0 += sum3_0; sum3_0 = vec4f();
  }
  let channelVec0 = vec0 + tileColumnVec(tx, 0);
  let numbers0 = loadEpilogue(channelVec0);
  storePosition(h, w, row0 + tileRow(ty, 0), channelVec0, applyEpilogue(total0_0, numbers0));
  storePosition(h, w, row0 + tileRow(ty, 1), channelVec0, applyEpilogue(total1_0, numbers0));
  storePosition(h, w, row0 + tileRow(ty, 2), channelVec0, applyEpilogue(total2_0, numbers0));
  storePosition(h, w, row0 + tileRow(ty, 3), channelVec0, applyEpilogue(total3_0, numbers0));
}
