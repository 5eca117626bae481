alias V = f32;
const OUTPUTS = 4; // along an axis of a tile
const POINTS = 6;
@group(0) @binding(0) var<storage, read> products: array<f32>;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> epilogue: array<f32>;
@group(0) @binding(4) var<storage, read_write> dest: array<f32>;

struct Plan { h: i32, w: i32, units: i32, unitsPadded: i32, down: i32, across: i32, count: i32, top: i32, left: i32, sourceH: i32, sourceW: i32, sourceChannels: i32, tap0: i32, tapStride: i32, sourceStride: i32, destStride: i32, }
@group(0) @binding(5) var<uniform> plan: Plan;

struct Epilogue { scale: f32, shift: f32, slope: f32 }

fn epilogueRow(row: i32, unit: i32) -> f32 { return epilogue[row * 64 + unit % 64]; }

fn loadEpilogue(unit: i32) -> Epilogue {
  var numbers = Epilogue();
  numbers.shift = epilogueRow(0, unit);
  return numbers;
}

fn applyEpilogue(sum: f32, numbers: Epilogue) -> f32 {
  return sum + numbers.shift;
}

struct Window { g0: V, g1: V, g2: V }

struct Points { p0: V, p1: V, p2: V, p3: V, p4: V, p5: V }
const A = 0.625;
const B = 1.5;
const AA = A * A;
const BB = B * B;

fn transformSource(d0: V, d1: V, d2: V, d3: V, d4: V, d5: V) -> Points {
  let evenA = d4 - BB * d2; // of ±A, without the factors of the other points
  let oddA = A * (d3 - BB * d1);
  let evenB = d4 - AA * d2;
  let oddB = B * (d3 - AA * d1);
  return Points(
    AA * BB * d0 - (AA + BB) * d2 + d4,
    evenA + oddA, evenA - oddA,
    evenB + oddB, evenB - oddB,
    AA * BB * d1 - (AA + BB) * d3 + d5,
  );
}

fn transformWeights(g0: V, g1: V, g2: V) -> Points {
  let evenA = (g0 + AA * g2) / (2.0 * AA * (AA - BB));
  let oddA = g1 * (A / (2.0 * AA * (AA - BB)));
  let evenB = (g0 + BB * g2) / (2.0 * BB * (BB - AA));
  let oddB = g1 * (B / (2.0 * BB * (BB - AA)));
  return Points(g0 / (AA * BB), evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, g2);
}

struct Outputs { y0: V, y1: V, y2: V, y3: V }

fn transformProducts(p0: V, p1: V, p2: V, p3: V, p4: V, p5: V) -> Outputs {
  let evenA = p1 + p2;
  let oddA = p1 - p2;
  let evenB = p3 + p4;
  let oddB = p3 - p4;
  return Outputs(
    p0 + evenA + evenB,
    A * oddA + B * oddB,
    AA * evenA + BB * evenB,
    A * AA * oddA + B * BB * oddB + p5,
  );
}

fn transformGradient(y0: V, y1: V, y2: V, y3: V) -> Points {
  let evenA = y0 + AA * y2;
  let oddA = A * (y1 + AA * y3);
  let evenB = y0 + BB * y2;
  let oddB = B * (y1 + BB * y3);
  return Points(y0, evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, y3);
}

fn transformWeightGradient(p0: V, p1: V, p2: V, p3: V, p4: V, p5: V) -> Window {
  let evenA = (p1 + p2) / (2.0 * AA * (AA - BB));
  let oddA = (p1 - p2) * (A / (2.0 * AA * (AA - BB)));
  let evenB = (p3 + p4) / (2.0 * BB * (BB - AA));
  let oddB = (p3 - p4) * (B / (2.0 * BB * (BB - AA)));
  return Window(p0 / (AA * BB) + evenA + evenB, oddA + oddB, AA * evenA + BB * evenB + p5);
}

fn storeDest(n: i32, row: i32, column: i32, unit: i32, value: V) {
  if (row < plan.h && column < plan.w) { dest[((n * plan.h + row) * plan.w + column) * plan.units + unit] = value; }
}

/** The result for one pixel and channel, tap by tap. */
fn convolve(n: i32, row: i32, column: i32, channel: i32) -> f32 {
  var total = 0.0;
  for (var tap = 0; tap < 9; tap++) {
    let h = row - plan.top + tap / 3;
    let w = column - plan.left + tap % 3;
    if (h < 0 || h >= plan.sourceH || w < 0 || w >= plan.sourceW) { continue; }
    let at = ((n * plan.sourceH + h) * plan.sourceW + w) * plan.sourceChannels;
    let weight = plan.tap0 + tap * plan.tapStride + channel * plan.destStride;
    var sum = 0.0;
    for (var c = 0; c < plan.sourceChannels; c++) {
      sum = fma(source[at + c], weights[weight + c * plan.sourceStride], sum);
    }
    total += sum;
  }
  return total;
}

fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u); }

fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & u32(0x7f800000u)) != u32(0x7f800000u); }

fn keepNan(value: f32, x: f32) -> f32 { return select(value, x, isNan(x)); }

fn magnitude(x: f32) -> u32 { return bitcast<u32>(x) & u32(0x7fffffffu); }

fn keepNanOf(value: f32, largest: u32) -> f32 {
  return select(value, bitcast<f32>(largest), largest > u32(0x7f800000u));
}

fn nanOf(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) | u32(0x7fc00000u)); }

fn expOf(x: f32) -> f32 { return keepNan(exp(x), x); }

fn logOf(x: f32) -> f32 {
  let all = bitcast<u32>(x);
  // Of 0 it is −∞, of anything negative NaN, of NaN NaN; negative numbers have the largest bits.
  let special = select(u32(0x7fc00000u), u32(0xff800000u), (all & u32(0x7fffffffu)) == u32());
  return select(log(x), bitcast<f32>(special), (all > u32(0x7f800000u)) | (all == u32()));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid;
  if (i >= u32(plan.count)) { return; }
  let unit = i32(i) % plan.unitsPadded;
  let tile = i32(i) / plan.unitsPadded;
  let row = tile / plan.across % plan.down * OUTPUTS;
  let column = tile % plan.across * OUTPUTS;
  let n = tile / plan.across / plan.down;
  if (unit >= plan.units) { return; }
  let column0 = transformProducts(products[i32(i) + (0 * POINTS + 0) * plan.count],
    products[i32(i) + (1 * POINTS + 0) * plan.count],
    products[i32(i) + (2 * POINTS + 0) * plan.count],
    products[i32(i) + (3 * POINTS + 0) * plan.count],
    products[i32(i) + (4 * POINTS + 0) * plan.count],
    products[i32(i) + (5 * POINTS + 0) * plan.count],);
  let column1 = transformProducts(products[i32(i) + (0 * POINTS + 1) * plan.count],
    products[i32(i) + (1 * POINTS + 1) * plan.count],
    products[i32(i) + (2 * POINTS + 1) * plan.count],
    products[i32(i) + (3 * POINTS + 1) * plan.count],
    products[i32(i) + (4 * POINTS + 1) * plan.count],
    products[i32(i) + (5 * POINTS + 1) * plan.count],);
  let column2 = transformProducts(products[i32(i) + (0 * POINTS + 2) * plan.count],
    products[i32(i) + (1 * POINTS + 2) * plan.count],
    products[i32(i) + (2 * POINTS + 2) * plan.count],
    products[i32(i) + (3 * POINTS + 2) * plan.count],
    products[i32(i) + (4 * POINTS + 2) * plan.count],
    products[i32(i) + (5 * POINTS + 2) * plan.count],);
  let column3 = transformProducts(products[i32(i) + (0 * POINTS + 3) * plan.count],
    products[i32(i) + (1 * POINTS + 3) * plan.count],
    products[i32(i) + (2 * POINTS + 3) * plan.count],
    products[i32(i) + (3 * POINTS + 3) * plan.count],
    products[i32(i) + (4 * POINTS + 3) * plan.count],
    products[i32(i) + (5 * POINTS + 3) * plan.count],);
  let column4 = transformProducts(products[i32(i) + (0 * POINTS + 4) * plan.count],
    products[i32(i) + (1 * POINTS + 4) * plan.count],
    products[i32(i) + (2 * POINTS + 4) * plan.count],
    products[i32(i) + (3 * POINTS + 4) * plan.count],
    products[i32(i) + (4 * POINTS + 4) * plan.count],
    products[i32(i) + (5 * POINTS + 4) * plan.count],);
  let column5 = transformProducts(products[i32(i) + (0 * POINTS + 5) * plan.count],
    products[i32(i) + (1 * POINTS + 5) * plan.count],
    products[i32(i) + (2 * POINTS + 5) * plan.count],
    products[i32(i) + (3 * POINTS + 5) * plan.count],
    products[i32(i) + (4 * POINTS + 5) * plan.count],
    products[i32(i) + (5 * POINTS + 5) * plan.count],);
  var spread = false;
  let row0 = transformProducts(column0.y0,
    column1.y0,
    column2.y0,
    column3.y0,
    column4.y0,
    column5.y0,);
  spread = spread || !all(isFinite(row0.y0));
  spread = spread || !all(isFinite(row0.y1));
  spread = spread || !all(isFinite(row0.y2));
  spread = spread || !all(isFinite(row0.y3));
  let row1 = transformProducts(column0.y1,
    column1.y1,
    column2.y1,
    column3.y1,
    column4.y1,
    column5.y1,);
  spread = spread || !all(isFinite(row1.y0));
  spread = spread || !all(isFinite(row1.y1));
  spread = spread || !all(isFinite(row1.y2));
  spread = spread || !all(isFinite(row1.y3));
  let row2 = transformProducts(column0.y2,
    column1.y2,
    column2.y2,
    column3.y2,
    column4.y2,
    column5.y2,);
  spread = spread || !all(isFinite(row2.y0));
  spread = spread || !all(isFinite(row2.y1));
  spread = spread || !all(isFinite(row2.y2));
  spread = spread || !all(isFinite(row2.y3));
  let row3 = transformProducts(column0.y3,
    column1.y3,
    column2.y3,
    column3.y3,
    column4.y3,
    column5.y3,);
  spread = spread || !all(isFinite(row3.y0));
  spread = spread || !all(isFinite(row3.y1));
  spread = spread || !all(isFinite(row3.y2));
  spread = spread || !all(isFinite(row3.y3));
  let numbers = loadEpilogue(unit);
  if (spread) {
    for (var k = 0; k < OUTPUTS * OUTPUTS; k++) {
      let h = row + k / OUTPUTS;
      let w = column + k % OUTPUTS;
      let sum = convolve(n, h, w, unit);
      storeDest(n, h, w, unit, applyEpilogue(sum, numbers));
    }
    return;
  }
  storeDest(n, row + 0, column + 0, unit, applyEpilogue(row0.y0, numbers));
  storeDest(n, row + 0, column + 1, unit, applyEpilogue(row0.y1, numbers));
  storeDest(n, row + 0, column + 2, unit, applyEpilogue(row0.y2, numbers));
  storeDest(n, row + 0, column + 3, unit, applyEpilogue(row0.y3, numbers));
  storeDest(n, row + 1, column + 0, unit, applyEpilogue(row1.y0, numbers));
  storeDest(n, row + 1, column + 1, unit, applyEpilogue(row1.y1, numbers));
  storeDest(n, row + 1, column + 2, unit, applyEpilogue(row1.y2, numbers));
  storeDest(n, row + 1, column + 3, unit, applyEpilogue(row1.y3, numbers));
  storeDest(n, row + 2, column + 0, unit, applyEpilogue(row2.y0, numbers));
  storeDest(n, row + 2, column + 1, unit, applyEpilogue(row2.y1, numbers));
  storeDest(n, row + 2, column + 2, unit, applyEpilogue(row2.y2, numbers));
  storeDest(n, row + 2, column + 3, unit, applyEpilogue(row2.y3, numbers));
  storeDest(n, row + 3, column + 0, unit, applyEpilogue(row3.y0, numbers));
  storeDest(n, row + 3, column + 1, unit, applyEpilogue(row3.y1, numbers));
  storeDest(n, row + 3, column + 2, unit, applyEpilogue(row3.y2, numbers));
  storeDest(n, row + 3, column + 3, unit, applyEpilogue(row3.y3, numbers));
}
