enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
alias Operand = vec4<f16>;
@group(0) @binding(0) var<storage, read> source: array<vec4<f16>>;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f16>>;
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
const M = 16; // rows, columns and inner elements that a subgroup multiplies at once
const N = 16;
const K = 16;
const THREADS = 128;
const TILE_ROWS = 4 * M;
const TILE_COLUMNS = 4 * N;
const ROW_VECS = TILE_ROWS / 4;
const COLUMN_VECS = TILE_COLUMNS / 4;
const INNER = 16; // inner elements in workgroup memory at a time
alias Left = subgroup_matrix_left<f16, K, M>; // columns, rows
alias Right = subgroup_matrix_right<f16, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;
var<workgroup> aTile: array<f16, INNER * TILE_ROWS>;
var<workgroup> bTile: array<f16, INNER * TILE_COLUMNS>;
var<workgroup> results: array<f32, 4 * M * N>; // one of each subgroup at a time, on its way to be stored
const INNER_VECS = INNER / 4;
var<workgroup> firstVec: array<i32, TILE_ROWS>; // where the rows of the tile begin in the source

fn storeSums(wid: vec3u, row: i32, columnVec: i32, sums: vec4f) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  let vec = i32(wid.y) * COLUMN_VECS + columnVec;
  storePosition(h, w, i32(wid.x) * TILE_ROWS + row, vec, applyEpilogue(sums, loadEpilogue(vec)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroupIndex: u32) {
  let h = PHASES_H[i32(wid.z) / PHASES_ACROSS];
  let w = PHASES_W[i32(wid.z) % PHASES_ACROSS];
  for (var row = i32(lid); row < TILE_ROWS; row += THREADS) {
    firstVec[row] = windowOf(i32(wid.x) * TILE_ROWS + row);
  }
  let rowHalf = subgroupIndex / 2;
  let columnHalf = subgroupIndex % 2;
  var sum00 = Result();
  var sum01 = Result();
  var sum10 = Result();
  var sum11 = Result();
  workgroupBarrier();
  let innerEnd = h.taps * w.taps * SOURCE_VECS; // in vectors
  for (var k = 0; k < innerEnd; k += INNER_VECS) {
    for (var id = i32(lid); id < INNER_VECS * (TILE_ROWS + COLUMN_VECS); id += THREADS) {
      let line = id / INNER_VECS; // a row of the source, or past those, a vector of columns of the weights
      let part = id % INNER_VECS;
      let inner = min(k + part, innerEnd - 1);
      let inside = k + part < innerEnd;
      let i = inner / SOURCE_VECS / w.taps;
      let j = inner / SOURCE_VECS % w.taps;
      let c = inner % SOURCE_VECS;
      if (line < TILE_ROWS) {
        let at = firstVec[line] + tapOffset(h, w, i, j) + c;
        let v = select(Operand(), Operand(source[at]), inside);
        for (var e = 0; e < 4; e++) { aTile[line * INNER + 4 * part + e] = v[e]; }
      } else {
        let columnVec = line - TILE_ROWS;
        let channelVec = min(i32(wid.y) * COLUMN_VECS + columnVec, DEST_VECS - 1);
        let at = (tapIndex(h, w, i, j) * 4 * SOURCE_VECS + 4 * c) * DEST_VECS + channelVec;
        for (var r = 0; r < 4; r++) {
          let v = select(Operand(), weights[at + r * DEST_VECS], inside);
          for (var e = 0; e < 4; e++) { bTile[(4 * part + r) * TILE_COLUMNS + 4 * columnVec + e] = v[e]; }
        }
      }
    }
    workgroupBarrier();
    for (var inner = 0u; inner < INNER; inner += K) {
      let a = 2 * rowHalf * M * INNER + inner;
      let a0 = subgroupMatrixLoad<Left, row_major>(&aTile, a, INNER);
      let a1 = subgroupMatrixLoad<Left, row_major>(&aTile, a + M * INNER, INNER);
      let b = inner * TILE_COLUMNS + 2 * columnHalf * N;
      let b0 = subgroupMatrixLoad<Right, row_major>(&bTile, b, TILE_COLUMNS);
      let b1 = subgroupMatrixLoad<Right, row_major>(&bTile, b + N, TILE_COLUMNS);
      sum00 = subgroupMatrixMultiplyAccumulate(a0, b0, sum00);
      sum01 = subgroupMatrixMultiplyAccumulate(a0, b1, sum01);
      sum10 = subgroupMatrixMultiplyAccumulate(a1, b0, sum10);
      sum11 = subgroupMatrixMultiplyAccumulate(a1, b1, sum11);
    }
    workgroupBarrier();
  }
  subgroupMatrixStore<row_major>(&results, subgroupIndex * M * N, sum00, N);
  workgroupBarrier();
  for (var id = i32(lid); id < M * N; id += THREADS) { // in vectors, of all 4 subgroups
    let owner = id / (M * N / 4); // the subgroup whose sums these are
    let row = (2 * (owner / 2) + 0) * M + id % (M * N / 4) / (N / 4);
    let columnVec = (2 * (owner % 2) + 0) * (N / 4) + id % (N / 4);
    storeSums(wid, row, columnVec, vec4f(results[4 * id], results[4 * id + 1], results[4 * id + 2], results[4 * id + 3]));
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&results, subgroupIndex * M * N, sum01, N);
  workgroupBarrier();
  for (var id = i32(lid); id < M * N; id += THREADS) { // in vectors, of all 4 subgroups
    let owner = id / (M * N / 4); // the subgroup whose sums these are
    let row = (2 * (owner / 2) + 0) * M + id % (M * N / 4) / (N / 4);
    let columnVec = (2 * (owner % 2) + 1) * (N / 4) + id % (N / 4);
    storeSums(wid, row, columnVec, vec4f(results[4 * id], results[4 * id + 1], results[4 * id + 2], results[4 * id + 3]));
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&results, subgroupIndex * M * N, sum10, N);
  workgroupBarrier();
  for (var id = i32(lid); id < M * N; id += THREADS) { // in vectors, of all 4 subgroups
    let owner = id / (M * N / 4); // the subgroup whose sums these are
    let row = (2 * (owner / 2) + 1) * M + id % (M * N / 4) / (N / 4);
    let columnVec = (2 * (owner % 2) + 0) * (N / 4) + id % (N / 4);
    storeSums(wid, row, columnVec, vec4f(results[4 * id], results[4 * id + 1], results[4 * id + 2], results[4 * id + 3]));
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&results, subgroupIndex * M * N, sum11, N);
  workgroupBarrier();
  for (var id = i32(lid); id < M * N; id += THREADS) { // in vectors, of all 4 subgroups
    let owner = id / (M * N / 4); // the subgroup whose sums these are
    let row = (2 * (owner / 2) + 1) * M + id % (M * N / 4) / (N / 4);
    let columnVec = (2 * (owner % 2) + 1) * (N / 4) + id % (N / 4);
    storeSums(wid, row, columnVec, vec4f(results[4 * id], results[4 * id + 1], results[4 * id + 2], results[4 * id + 3]));
  }
  workgroupBarrier();
}
