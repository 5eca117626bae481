alias V = f32;
const OUTPUTS = 4; // along an axis of a tile
const POINTS = 6;
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

struct Plan { h: i32, w: i32, units: i32, unitsPadded: i32, down: i32, across: i32, count: i32, top: i32, left: i32, batch: i32, }
@group(0) @binding(2) var<uniform> plan: Plan;

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

fn loadSource(n: i32, row: i32, column: i32, unit: i32) -> V {
  let h = clamp(row, 0, plan.h - 1);
  let w = clamp(column, 0, plan.w - 1);
  let c = min(unit, plan.units - 1);
  let value = source[((n * plan.h + h) * plan.w + w) * plan.units + c];
  return select(V(), value, h == row && w == column && c == unit && n < plan.batch);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid;
  if (i >= u32(plan.count)) { return; }
  let unit = i32(i) % plan.unitsPadded;
  let tile = i32(i) / plan.unitsPadded;
  let row = tile / plan.across % plan.down * OUTPUTS - plan.top;
  let column = tile % plan.across * OUTPUTS - plan.left;
  let n = tile / plan.across / plan.down;
  let column0 = transformSource(loadSource(n, row + 0, column + 0, unit),
    loadSource(n, row + 1, column + 0, unit),
    loadSource(n, row + 2, column + 0, unit),
    loadSource(n, row + 3, column + 0, unit),
    loadSource(n, row + 4, column + 0, unit),
    loadSource(n, row + 5, column + 0, unit),);
  let column1 = transformSource(loadSource(n, row + 0, column + 1, unit),
    loadSource(n, row + 1, column + 1, unit),
    loadSource(n, row + 2, column + 1, unit),
    loadSource(n, row + 3, column + 1, unit),
    loadSource(n, row + 4, column + 1, unit),
    loadSource(n, row + 5, column + 1, unit),);
  let column2 = transformSource(loadSource(n, row + 0, column + 2, unit),
    loadSource(n, row + 1, column + 2, unit),
    loadSource(n, row + 2, column + 2, unit),
    loadSource(n, row + 3, column + 2, unit),
    loadSource(n, row + 4, column + 2, unit),
    loadSource(n, row + 5, column + 2, unit),);
  let column3 = transformSource(loadSource(n, row + 0, column + 3, unit),
    loadSource(n, row + 1, column + 3, unit),
    loadSource(n, row + 2, column + 3, unit),
    loadSource(n, row + 3, column + 3, unit),
    loadSource(n, row + 4, column + 3, unit),
    loadSource(n, row + 5, column + 3, unit),);
  let column4 = transformSource(loadSource(n, row + 0, column + 4, unit),
    loadSource(n, row + 1, column + 4, unit),
    loadSource(n, row + 2, column + 4, unit),
    loadSource(n, row + 3, column + 4, unit),
    loadSource(n, row + 4, column + 4, unit),
    loadSource(n, row + 5, column + 4, unit),);
  let column5 = transformSource(loadSource(n, row + 0, column + 5, unit),
    loadSource(n, row + 1, column + 5, unit),
    loadSource(n, row + 2, column + 5, unit),
    loadSource(n, row + 3, column + 5, unit),
    loadSource(n, row + 4, column + 5, unit),
    loadSource(n, row + 5, column + 5, unit),);
  let row0 = transformSource(column0.p0,
    column1.p0,
    column2.p0,
    column3.p0,
    column4.p0,
    column5.p0,);
  result[i32(i) + (0 * POINTS + 0) * plan.count] = row0.p0;
  result[i32(i) + (0 * POINTS + 1) * plan.count] = row0.p1;
  result[i32(i) + (0 * POINTS + 2) * plan.count] = row0.p2;
  result[i32(i) + (0 * POINTS + 3) * plan.count] = row0.p3;
  result[i32(i) + (0 * POINTS + 4) * plan.count] = row0.p4;
  result[i32(i) + (0 * POINTS + 5) * plan.count] = row0.p5;
  let row1 = transformSource(column0.p1,
    column1.p1,
    column2.p1,
    column3.p1,
    column4.p1,
    column5.p1,);
  result[i32(i) + (1 * POINTS + 0) * plan.count] = row1.p0;
  result[i32(i) + (1 * POINTS + 1) * plan.count] = row1.p1;
  result[i32(i) + (1 * POINTS + 2) * plan.count] = row1.p2;
  result[i32(i) + (1 * POINTS + 3) * plan.count] = row1.p3;
  result[i32(i) + (1 * POINTS + 4) * plan.count] = row1.p4;
  result[i32(i) + (1 * POINTS + 5) * plan.count] = row1.p5;
  let row2 = transformSource(column0.p2,
    column1.p2,
    column2.p2,
    column3.p2,
    column4.p2,
    column5.p2,);
  result[i32(i) + (2 * POINTS + 0) * plan.count] = row2.p0;
  result[i32(i) + (2 * POINTS + 1) * plan.count] = row2.p1;
  result[i32(i) + (2 * POINTS + 2) * plan.count] = row2.p2;
  result[i32(i) + (2 * POINTS + 3) * plan.count] = row2.p3;
  result[i32(i) + (2 * POINTS + 4) * plan.count] = row2.p4;
  result[i32(i) + (2 * POINTS + 5) * plan.count] = row2.p5;
  let row3 = transformSource(column0.p3,
    column1.p3,
    column2.p3,
    column3.p3,
    column4.p3,
    column5.p3,);
  result[i32(i) + (3 * POINTS + 0) * plan.count] = row3.p0;
  result[i32(i) + (3 * POINTS + 1) * plan.count] = row3.p1;
  result[i32(i) + (3 * POINTS + 2) * plan.count] = row3.p2;
  result[i32(i) + (3 * POINTS + 3) * plan.count] = row3.p3;
  result[i32(i) + (3 * POINTS + 4) * plan.count] = row3.p4;
  result[i32(i) + (3 * POINTS + 5) * plan.count] = row3.p5;
  let row4 = transformSource(column0.p4,
    column1.p4,
    column2.p4,
    column3.p4,
    column4.p4,
    column5.p4,);
  result[i32(i) + (4 * POINTS + 0) * plan.count] = row4.p0;
  result[i32(i) + (4 * POINTS + 1) * plan.count] = row4.p1;
  result[i32(i) + (4 * POINTS + 2) * plan.count] = row4.p2;
  result[i32(i) + (4 * POINTS + 3) * plan.count] = row4.p3;
  result[i32(i) + (4 * POINTS + 4) * plan.count] = row4.p4;
  result[i32(i) + (4 * POINTS + 5) * plan.count] = row4.p5;
  let row5 = transformSource(column0.p5,
    column1.p5,
    column2.p5,
    column3.p5,
    column4.p5,
    column5.p5,);
  result[i32(i) + (5 * POINTS + 0) * plan.count] = row5.p0;
  result[i32(i) + (5 * POINTS + 1) * plan.count] = row5.p1;
  result[i32(i) + (5 * POINTS + 2) * plan.count] = row5.p2;
  result[i32(i) + (5 * POINTS + 3) * plan.count] = row5.p3;
  result[i32(i) + (5 * POINTS + 4) * plan.count] = row5.p4;
  result[i32(i) + (5 * POINTS + 5) * plan.count] = row5.p5;
}
