alias V = f32;
const POINTS = 6;
@group(0) @binding(0) var<storage, read> products: array<f32>;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

struct Plan { cin: i32, cout: i32, cinPadded: i32, coutPadded: i32, parts: i32, batch: i32, h: i32, w: i32, outputH: i32, outputW: i32, top: i32, left: i32, }
@group(0) @binding(4) var<uniform> plan: Plan;

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

/** The sum over all pixels for one tap, row by row. */
fn correlate(tap: i32, ci: i32, co: i32) -> f32 {
  let kh = tap / 3 - plan.top;
  let kw = tap % 3 - plan.left;
  var total = 0.0;
  for (var row = 0; row < plan.batch * plan.outputH; row++) {
    let h = row % plan.outputH + kh;
    if (h < 0 || h >= plan.h) { continue; }
    let at = (row / plan.outputH * plan.h + h) * plan.w + kw;
    var sum = 0.0;
    for (var w = max(0, -kw); w < min(plan.outputW, plan.w - kw); w++) {
      sum = fma(input[(at + w) * plan.cin + ci], output[(row * plan.outputW + w) * plan.cout + co], sum);
    }
    total += sum;
  }
  return total;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = i32((wid.x + wid.y * nwg.x) * 64u + lid);
  if (i >= plan.cin * plan.cout) { return; }
  let ci = i / plan.cout;
  let co = i % plan.cout;
  let count = plan.cinPadded * plan.coutPadded;
  var sum0 = 0.0;
  var sum1 = 0.0;
  var sum2 = 0.0;
  var sum3 = 0.0;
  var sum4 = 0.0;
  var sum5 = 0.0;
  var sum6 = 0.0;
  var sum7 = 0.0;
  var sum8 = 0.0;
  for (var part = 0; part < plan.parts; part++) {
    let at = part * count + ci * plan.coutPadded + co;
    let column0 = transformWeightGradient(products[at + (0 * POINTS + 0) * plan.parts * count],
      products[at + (1 * POINTS + 0) * plan.parts * count],
      products[at + (2 * POINTS + 0) * plan.parts * count],
      products[at + (3 * POINTS + 0) * plan.parts * count],
      products[at + (4 * POINTS + 0) * plan.parts * count],
      products[at + (5 * POINTS + 0) * plan.parts * count],);
    let column1 = transformWeightGradient(products[at + (0 * POINTS + 1) * plan.parts * count],
      products[at + (1 * POINTS + 1) * plan.parts * count],
      products[at + (2 * POINTS + 1) * plan.parts * count],
      products[at + (3 * POINTS + 1) * plan.parts * count],
      products[at + (4 * POINTS + 1) * plan.parts * count],
      products[at + (5 * POINTS + 1) * plan.parts * count],);
    let column2 = transformWeightGradient(products[at + (0 * POINTS + 2) * plan.parts * count],
      products[at + (1 * POINTS + 2) * plan.parts * count],
      products[at + (2 * POINTS + 2) * plan.parts * count],
      products[at + (3 * POINTS + 2) * plan.parts * count],
      products[at + (4 * POINTS + 2) * plan.parts * count],
      products[at + (5 * POINTS + 2) * plan.parts * count],);
    let column3 = transformWeightGradient(products[at + (0 * POINTS + 3) * plan.parts * count],
      products[at + (1 * POINTS + 3) * plan.parts * count],
      products[at + (2 * POINTS + 3) * plan.parts * count],
      products[at + (3 * POINTS + 3) * plan.parts * count],
      products[at + (4 * POINTS + 3) * plan.parts * count],
      products[at + (5 * POINTS + 3) * plan.parts * count],);
    let column4 = transformWeightGradient(products[at + (0 * POINTS + 4) * plan.parts * count],
      products[at + (1 * POINTS + 4) * plan.parts * count],
      products[at + (2 * POINTS + 4) * plan.parts * count],
      products[at + (3 * POINTS + 4) * plan.parts * count],
      products[at + (4 * POINTS + 4) * plan.parts * count],
      products[at + (5 * POINTS + 4) * plan.parts * count],);
    let column5 = transformWeightGradient(products[at + (0 * POINTS + 5) * plan.parts * count],
      products[at + (1 * POINTS + 5) * plan.parts * count],
      products[at + (2 * POINTS + 5) * plan.parts * count],
      products[at + (3 * POINTS + 5) * plan.parts * count],
      products[at + (4 * POINTS + 5) * plan.parts * count],
      products[at + (5 * POINTS + 5) * plan.parts * count],);
    let row0 = transformWeightGradient(column0.g0,
      column1.g0,
      column2.g0,
      column3.g0,
      column4.g0,
      column5.g0,);
    sum0 += row0.g0;
    sum1 += row0.g1;
    sum2 += row0.g2;
    let row1 = transformWeightGradient(column0.g1,
      column1.g1,
      column2.g1,
      column3.g1,
      column4.g1,
      column5.g1,);
    sum3 += row1.g0;
    sum4 += row1.g1;
    sum5 += row1.g2;
    let row2 = transformWeightGradient(column0.g2,
      column1.g2,
      column2.g2,
      column3.g2,
      column4.g2,
      column5.g2,);
    sum6 += row2.g0;
    sum7 += row2.g1;
    sum8 += row2.g2;
  }
  if (isFinite(sum0) &&
    isFinite(sum1) &&
    isFinite(sum2) &&
    isFinite(sum3) &&
    isFinite(sum4) &&
    isFinite(sum5) &&
    isFinite(sum6) &&
    isFinite(sum7) &&
    isFinite(sum8) && true) {
    gradient[i + 0 * plan.cin * plan.cout] = sum0;
    gradient[i + 1 * plan.cin * plan.cout] = sum1;
    gradient[i + 2 * plan.cin * plan.cout] = sum2;
    gradient[i + 3 * plan.cin * plan.cout] = sum3;
    gradient[i + 4 * plan.cin * plan.cout] = sum4;
    gradient[i + 5 * plan.cin * plan.cout] = sum5;
    gradient[i + 6 * plan.cin * plan.cout] = sum6;
    gradient[i + 7 * plan.cin * plan.cout] = sum7;
    gradient[i + 8 * plan.cin * plan.cout] = sum8;
    return;
  }
  for (var tap = 0; tap < 9; tap++) { gradient[i + tap * plan.cin * plan.cout] = correlate(tap, ci, co); }
}
