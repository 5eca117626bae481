@group(0) @binding(0) var<storage, read> source: array<vec2f>;
@group(0) @binding(1) var<storage, read> weights: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> dest: array<vec2f>;
alias V = vec2f; // the adjacent channels of an invocation
const BATCH = 4;
const UNITS = 32; // of adjacent channels
const SOURCE_H = 28;
const SOURCE_W = 24;
const DEST_H = 28;
const DEST_W = 24;
const KERNEL_W = 3;

struct Epilogue { scale: vec2f, shift: vec2f, slope: vec2f }

fn loadEpilogue(unit: i32) -> Epilogue { return Epilogue(); }

fn applyEpilogue(sum: vec2f, numbers: Epilogue) -> vec2f {
  return sum;
}

fn storeDest(n: i32, h: i32, w: i32, unit: i32, value: V) { dest[((n * DEST_H + h) * DEST_W + w) * UNITS + unit] = value; }
const STEPS_H = 28;
const STRIP_STEPS = 28;
const STRIP_PIXELS = 4;
const STRIPS_H = 1;
const STRIPS_W = 6;
const OLDEST = 2; // steps until the window has passed

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid;
  if (i >= u32(BATCH * STRIPS_H * STRIPS_W * UNITS)) { return; }
  let unit = i32(i) % UNITS;
  let strip = i32(i) / UNITS % STRIPS_W * STRIP_PIXELS;
  let first = i32(i) / UNITS / STRIPS_W % STRIPS_H * STRIP_STEPS;
  let n = i32(i) / UNITS / STRIPS_W / STRIPS_H;
  let numbers = loadEpilogue(unit);
  let w0_0 = weights[(0 * KERNEL_W + 0) * UNITS + unit];
  let w0_1 = weights[(0 * KERNEL_W + 1) * UNITS + unit];
  let w0_2 = weights[(0 * KERNEL_W + 2) * UNITS + unit];
  let w1_0 = weights[(1 * KERNEL_W + 0) * UNITS + unit];
  let w1_1 = weights[(1 * KERNEL_W + 1) * UNITS + unit];
  let w1_2 = weights[(1 * KERNEL_W + 2) * UNITS + unit];
  let w2_0 = weights[(2 * KERNEL_W + 0) * UNITS + unit];
  let w2_1 = weights[(2 * KERNEL_W + 1) * UNITS + unit];
  let w2_2 = weights[(2 * KERNEL_W + 2) * UNITS + unit];
  let column0 = strip * 1 + -1;
  let inside0 = column0 >= 0 && column0 < SOURCE_W;
  let at0 = clamp(column0, 0, SOURCE_W - 1) * UNITS + unit;
  let column1 = strip * 1 + 0;
  let inside1 = true;
  let at1 = column1 * UNITS + unit;
  let column2 = strip * 1 + 1;
  let inside2 = true;
  let at2 = column2 * UNITS + unit;
  let column3 = strip * 1 + 2;
  let inside3 = true;
  let at3 = column3 * UNITS + unit;
  let column4 = strip * 1 + 3;
  let inside4 = true;
  let at4 = column4 * UNITS + unit;
  let column5 = strip * 1 + 4;
  let inside5 = column5 >= 0 && column5 < SOURCE_W;
  let at5 = clamp(column5, 0, SOURCE_W - 1) * UNITS + unit;
  var sum0_0_0 = V();
  var sum0_0_1 = V();
  var sum0_0_2 = V();
  var sum0_0_3 = V();
  var sum1_0_0 = V();
  var sum1_0_1 = V();
  var sum1_0_2 = V();
  var sum1_0_3 = V();
  var sum2_0_0 = V();
  var sum2_0_1 = V();
  var sum2_0_2 = V();
  var sum2_0_3 = V();
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let end = min(min(STRIP_STEPS, STEPS_H - first), i32(arrayLength(&dest))) + OLDEST;
  for (var step = 0; step < end; step++) {
    {
      let h = (first + step) * 1 + -1;
      let insideRow = h >= 0 && h < SOURCE_H;
      let row = (n * SOURCE_H + clamp(h, 0, SOURCE_H - 1)) * SOURCE_W * UNITS;
      let x0 = select(V(), source[row + at0], insideRow && inside0);
      let x1 = select(V(), source[row + at1], insideRow && inside1);
      let x2 = select(V(), source[row + at2], insideRow && inside2);
      let x3 = select(V(), source[row + at3], insideRow && inside3);
      let x4 = select(V(), source[row + at4], insideRow && inside4);
      let x5 = select(V(), source[row + at5], insideRow && inside5);
      sum0_0_0 = fma(x0, w0_0, sum0_0_0);
      sum1_0_0 = fma(x0, w1_0, sum1_0_0);
      sum2_0_0 = fma(x0, w2_0, sum2_0_0);
      sum0_0_0 = fma(x1, w0_1, sum0_0_0);
      sum1_0_0 = fma(x1, w1_1, sum1_0_0);
      sum2_0_0 = fma(x1, w2_1, sum2_0_0);
      sum0_0_0 = fma(x2, w0_2, sum0_0_0);
      sum1_0_0 = fma(x2, w1_2, sum1_0_0);
      sum2_0_0 = fma(x2, w2_2, sum2_0_0);
      sum0_0_1 = fma(x1, w0_0, sum0_0_1);
      sum1_0_1 = fma(x1, w1_0, sum1_0_1);
      sum2_0_1 = fma(x1, w2_0, sum2_0_1);
      sum0_0_1 = fma(x2, w0_1, sum0_0_1);
      sum1_0_1 = fma(x2, w1_1, sum1_0_1);
      sum2_0_1 = fma(x2, w2_1, sum2_0_1);
      sum0_0_1 = fma(x3, w0_2, sum0_0_1);
      sum1_0_1 = fma(x3, w1_2, sum1_0_1);
      sum2_0_1 = fma(x3, w2_2, sum2_0_1);
      sum0_0_2 = fma(x2, w0_0, sum0_0_2);
      sum1_0_2 = fma(x2, w1_0, sum1_0_2);
      sum2_0_2 = fma(x2, w2_0, sum2_0_2);
      sum0_0_2 = fma(x3, w0_1, sum0_0_2);
      sum1_0_2 = fma(x3, w1_1, sum1_0_2);
      sum2_0_2 = fma(x3, w2_1, sum2_0_2);
      sum0_0_2 = fma(x4, w0_2, sum0_0_2);
      sum1_0_2 = fma(x4, w1_2, sum1_0_2);
      sum2_0_2 = fma(x4, w2_2, sum2_0_2);
      sum0_0_3 = fma(x3, w0_0, sum0_0_3);
      sum1_0_3 = fma(x3, w1_0, sum1_0_3);
      sum2_0_3 = fma(x3, w2_0, sum2_0_3);
      sum0_0_3 = fma(x4, w0_1, sum0_0_3);
      sum1_0_3 = fma(x4, w1_1, sum1_0_3);
      sum2_0_3 = fma(x4, w2_1, sum2_0_3);
      sum0_0_3 = fma(x5, w0_2, sum0_0_3);
      sum1_0_3 = fma(x5, w1_2, sum1_0_3);
      sum2_0_3 = fma(x5, w2_2, sum2_0_3);
    }
    if (step >= OLDEST) {
      let destRow = (first + step - OLDEST) * 1;
      let destColumn = strip * 1;
      { storeDest(n, destRow + 0, destColumn + 0, unit, applyEpilogue(sum2_0_0, numbers)); }
      { storeDest(n, destRow + 0, destColumn + 1, unit, applyEpilogue(sum2_0_1, numbers)); }
      { storeDest(n, destRow + 0, destColumn + 2, unit, applyEpilogue(sum2_0_2, numbers)); }
      { storeDest(n, destRow + 0, destColumn + 3, unit, applyEpilogue(sum2_0_3, numbers)); }
    }
    sum2_0_0 = sum1_0_0;
    sum2_0_1 = sum1_0_1;
    sum2_0_2 = sum1_0_2;
    sum2_0_3 = sum1_0_3;
    sum1_0_0 = sum0_0_0;
    sum1_0_1 = sum0_0_1;
    sum1_0_2 = sum0_0_2;
    sum1_0_3 = sum0_0_3;
    sum0_0_0 = V();
    sum0_0_1 = V();
    sum0_0_2 = V();
    sum0_0_3 = V();
  }
}
