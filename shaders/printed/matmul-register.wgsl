enable subgroups;
@group(0) @binding(0) var<storage, read> ownRows: array<vec4f>;
@group(0) @binding(1) var<storage, read> sharedRows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

struct Plan { m: u32, n: u32, k: u32, aStride: u32, bStride: u32, perPart: u32, }
@group(0) @binding(3) var<uniform> plan: Plan;
const ownTile = 4;

fn ownStart(outer0: u32, r: u32) -> u32 {
  let stride = plan.aStride / 4;
  return min(outer0 + r, plan.m - 1) * stride;
}

/** Vectors from one step of 4 inner elements to the next, and from one product to the next. */
fn ownStepOf() -> u32 { return 1; }

fn ownMatrix() -> u32 { return plan.m * (plan.aStride / 4); }
const sharedTile = 16;

fn sharedStart(outer0: u32, r: u32) -> u32 {
  let stride = plan.bStride / 4;
  return r / (sharedTile / 4) * stride + min(outer0 / 4 + r % (sharedTile / 4), stride - 1);
}

/** Vectors from one step of 4 inner elements to the next, and from one product to the next. */
fn sharedStepOf() -> u32 { return plan.bStride; }

fn sharedMatrix() -> u32 { return plan.k * (plan.bStride / 4); }

fn storeSums(start: u32, column: u32, value: vec4f) {
  if (column < plan.n) { y[(start + column) / 4] = value; }
}
const SHARES = 2; // shared vectors that a lane loads in a step
const BLOCK_STEPS = 64; // steps of a block of the sums

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  // Rows past the end repeat the last one without storing: broadcasts need every lane.
  let own0 = (wid.x * 8 + lid) * ownTile;
  let shared0 = wid.y * sharedTile;
  let share0 = lane * SHARES;
  let matrix = 0u;
  let begin = wid.z * plan.perPart / 4; // in steps of 4 inner elements
  let end = min(begin + plan.perPart / 4, plan.k / 4);
  let sharedAt0 = matrix * sharedMatrix() + sharedStart(shared0, min(share0 + 0, sharedTile - 1));
  let sharedAt1 = matrix * sharedMatrix() + sharedStart(shared0, min(share0 + 1, sharedTile - 1));
  let ownAt0 = matrix * ownMatrix() + ownStart(own0, 0);
  let ownAt1 = matrix * ownMatrix() + ownStart(own0, 1);
  let ownAt2 = matrix * ownMatrix() + ownStart(own0, 2);
  let ownAt3 = matrix * ownMatrix() + ownStart(own0, 3);
  let sharedStep = sharedStepOf();
  let ownStep = ownStepOf();
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
  for (var k0 = begin; k0 < end; k0 += BLOCK_STEPS) {
    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum0_2 = vec4f();
    var sum0_3 = vec4f();
    var sum1_0 = vec4f();
    var sum1_1 = vec4f();
    var sum1_2 = vec4f();
    var sum1_3 = vec4f();
    var sum2_0 = vec4f();
    var sum2_1 = vec4f();
    var sum2_2 = vec4f();
    var sum2_3 = vec4f();
    var sum3_0 = vec4f();
    var sum3_1 = vec4f();
    var sum3_2 = vec4f();
    var sum3_3 = vec4f();
    for (var k = k0; k < min(k0 + BLOCK_STEPS, end); k++) {
      let part0 = sharedRows[sharedAt0 + k * sharedStep];
      let part1 = sharedRows[sharedAt1 + k * sharedStep];
      let x0 = ownRows[ownAt0 + k * ownStep];
      let x1 = ownRows[ownAt1 + k * ownStep];
      let x2 = ownRows[ownAt2 + k * ownStep];
      let x3 = ownRows[ownAt3 + k * ownStep];
      let v0_0 = subgroupBroadcast(part0, 0u / SHARES);
      let v1_0 = subgroupBroadcast(part0, 4u / SHARES);
      let v2_0 = subgroupBroadcast(part0, 8u / SHARES);
      let v3_0 = subgroupBroadcast(part0, 12u / SHARES);
      sum0_0 = fma(vec4f(x0[0]), v0_0, sum0_0);
      sum0_0 = fma(vec4f(x0[1]), v1_0, sum0_0);
      sum0_0 = fma(vec4f(x0[2]), v2_0, sum0_0);
      sum0_0 = fma(vec4f(x0[3]), v3_0, sum0_0);
      sum1_0 = fma(vec4f(x1[0]), v0_0, sum1_0);
      sum1_0 = fma(vec4f(x1[1]), v1_0, sum1_0);
      sum1_0 = fma(vec4f(x1[2]), v2_0, sum1_0);
      sum1_0 = fma(vec4f(x1[3]), v3_0, sum1_0);
      sum2_0 = fma(vec4f(x2[0]), v0_0, sum2_0);
      sum2_0 = fma(vec4f(x2[1]), v1_0, sum2_0);
      sum2_0 = fma(vec4f(x2[2]), v2_0, sum2_0);
      sum2_0 = fma(vec4f(x2[3]), v3_0, sum2_0);
      sum3_0 = fma(vec4f(x3[0]), v0_0, sum3_0);
      sum3_0 = fma(vec4f(x3[1]), v1_0, sum3_0);
      sum3_0 = fma(vec4f(x3[2]), v2_0, sum3_0);
      sum3_0 = fma(vec4f(x3[3]), v3_0, sum3_0);
      let v0_1 = subgroupBroadcast(part1, 1u / SHARES);
      let v1_1 = subgroupBroadcast(part1, 5u / SHARES);
      let v2_1 = subgroupBroadcast(part1, 9u / SHARES);
      let v3_1 = subgroupBroadcast(part1, 13u / SHARES);
      sum0_1 = fma(vec4f(x0[0]), v0_1, sum0_1);
      sum0_1 = fma(vec4f(x0[1]), v1_1, sum0_1);
      sum0_1 = fma(vec4f(x0[2]), v2_1, sum0_1);
      sum0_1 = fma(vec4f(x0[3]), v3_1, sum0_1);
      sum1_1 = fma(vec4f(x1[0]), v0_1, sum1_1);
      sum1_1 = fma(vec4f(x1[1]), v1_1, sum1_1);
      sum1_1 = fma(vec4f(x1[2]), v2_1, sum1_1);
      sum1_1 = fma(vec4f(x1[3]), v3_1, sum1_1);
      sum2_1 = fma(vec4f(x2[0]), v0_1, sum2_1);
      sum2_1 = fma(vec4f(x2[1]), v1_1, sum2_1);
      sum2_1 = fma(vec4f(x2[2]), v2_1, sum2_1);
      sum2_1 = fma(vec4f(x2[3]), v3_1, sum2_1);
      sum3_1 = fma(vec4f(x3[0]), v0_1, sum3_1);
      sum3_1 = fma(vec4f(x3[1]), v1_1, sum3_1);
      sum3_1 = fma(vec4f(x3[2]), v2_1, sum3_1);
      sum3_1 = fma(vec4f(x3[3]), v3_1, sum3_1);
      let v0_2 = subgroupBroadcast(part0, 2u / SHARES);
      let v1_2 = subgroupBroadcast(part0, 6u / SHARES);
      let v2_2 = subgroupBroadcast(part0, 10u / SHARES);
      let v3_2 = subgroupBroadcast(part0, 14u / SHARES);
      sum0_2 = fma(vec4f(x0[0]), v0_2, sum0_2);
      sum0_2 = fma(vec4f(x0[1]), v1_2, sum0_2);
      sum0_2 = fma(vec4f(x0[2]), v2_2, sum0_2);
      sum0_2 = fma(vec4f(x0[3]), v3_2, sum0_2);
      sum1_2 = fma(vec4f(x1[0]), v0_2, sum1_2);
      sum1_2 = fma(vec4f(x1[1]), v1_2, sum1_2);
      sum1_2 = fma(vec4f(x1[2]), v2_2, sum1_2);
      sum1_2 = fma(vec4f(x1[3]), v3_2, sum1_2);
      sum2_2 = fma(vec4f(x2[0]), v0_2, sum2_2);
      sum2_2 = fma(vec4f(x2[1]), v1_2, sum2_2);
      sum2_2 = fma(vec4f(x2[2]), v2_2, sum2_2);
      sum2_2 = fma(vec4f(x2[3]), v3_2, sum2_2);
      sum3_2 = fma(vec4f(x3[0]), v0_2, sum3_2);
      sum3_2 = fma(vec4f(x3[1]), v1_2, sum3_2);
      sum3_2 = fma(vec4f(x3[2]), v2_2, sum3_2);
      sum3_2 = fma(vec4f(x3[3]), v3_2, sum3_2);
      let v0_3 = subgroupBroadcast(part1, 3u / SHARES);
      let v1_3 = subgroupBroadcast(part1, 7u / SHARES);
      let v2_3 = subgroupBroadcast(part1, 11u / SHARES);
      let v3_3 = subgroupBroadcast(part1, 15u / SHARES);
      sum0_3 = fma(vec4f(x0[0]), v0_3, sum0_3);
      sum0_3 = fma(vec4f(x0[1]), v1_3, sum0_3);
      sum0_3 = fma(vec4f(x0[2]), v2_3, sum0_3);
      sum0_3 = fma(vec4f(x0[3]), v3_3, sum0_3);
      sum1_3 = fma(vec4f(x1[0]), v0_3, sum1_3);
      sum1_3 = fma(vec4f(x1[1]), v1_3, sum1_3);
      sum1_3 = fma(vec4f(x1[2]), v2_3, sum1_3);
      sum1_3 = fma(vec4f(x1[3]), v3_3, sum1_3);
      sum2_3 = fma(vec4f(x2[0]), v0_3, sum2_3);
      sum2_3 = fma(vec4f(x2[1]), v1_3, sum2_3);
      sum2_3 = fma(vec4f(x2[2]), v2_3, sum2_3);
      sum2_3 = fma(vec4f(x2[3]), v3_3, sum2_3);
      sum3_3 = fma(vec4f(x3[0]), v0_3, sum3_3);
      sum3_3 = fma(vec4f(x3[1]), v1_3, sum3_3);
      sum3_3 = fma(vec4f(x3[2]), v2_3, sum3_3);
      sum3_3 = fma(vec4f(x3[3]), v3_3, sum3_3);
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
  let first = wid.z * plan.m; // row of y
  if (own0 + 0 < plan.m) {
    let start = (first + own0 + 0) * plan.n;
    storeSums(start, shared0 + 4 * 0, total0_0);
    storeSums(start, shared0 + 4 * 1, total0_1);
    storeSums(start, shared0 + 4 * 2, total0_2);
    storeSums(start, shared0 + 4 * 3, total0_3);
  }
  if (own0 + 1 < plan.m) {
    let start = (first + own0 + 1) * plan.n;
    storeSums(start, shared0 + 4 * 0, total1_0);
    storeSums(start, shared0 + 4 * 1, total1_1);
    storeSums(start, shared0 + 4 * 2, total1_2);
    storeSums(start, shared0 + 4 * 3, total1_3);
  }
  if (own0 + 2 < plan.m) {
    let start = (first + own0 + 2) * plan.n;
    storeSums(start, shared0 + 4 * 0, total2_0);
    storeSums(start, shared0 + 4 * 1, total2_1);
    storeSums(start, shared0 + 4 * 2, total2_2);
    storeSums(start, shared0 + 4 * 3, total2_3);
  }
  if (own0 + 3 < plan.m) {
    let start = (first + own0 + 3) * plan.n;
    storeSums(start, shared0 + 4 * 0, total3_0);
    storeSums(start, shared0 + 4 * 1, total3_1);
    storeSums(start, shared0 + 4 * 2, total3_2);
    storeSums(start, shared0 + 4 * 3, total3_3);
  }
}
