import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { wgsl } from './common/wgsl.js';

/** Values of a face, and searches of one call. */
export const trellisPlan = /* @__PURE__ */ uniform({ count: 'u32', jobs: 'u32' });
/** Numbers of a search: its face, the bits of its gain as f32, rows to add, λ, the step from which on λ is another, that λ. */
export const JOB_NUMBERS = 6;

/** The constants of `src/codec/integer-trellis.ts`. */
export interface TrellisConstants {
  tabulated: number;
  rows: number;
  valueOne: number;
  costShift: number;
  maxBits: number;
  maxBeyond: number;
  maxValue: number;
  far: number;
  unreached: number;
}

/**
 * The search of `IntegerTrellis`, one invocation a face, index and λ. All sums are of integers, so every adapter finds the same
 * symbols. Each step leaves a word: from which state the best path to each state came, four bits, and for each quantizer
 * and parity which of the magnitudes tried was the best, two bits each.
 * Bindings: values [faces, count], steps [count] of (index of the value, row), table of bits, jobs, the words [count, jobs],
 * symbols by step as pairs of 16 bits [jobs, ⌈count / 2⌉], plan.
 */
export function trellisShader(c: TrellisConstants, workgroup: number): Shader {
  return shader(
    {
      values: read('f32'),
      steps: read('vec2i'),
      table: read('i32'),
      jobs: read('i32'),
      words: write('u32'),
      symbols: write('u32'),
      plan: trellisPlan,
    },
    (declarations) => wgsl`
${declarations}
struct Value { whole: i32, part: i32 }

fn valueAt(step: u32, face: u32, gain: f32) -> Value {
  let value = min(abs(values[face * plan.count + u32(steps[step].x)] * gain), ${c.maxValue}.0);
  let whole = i32(value);
  return Value(whole, i32((value - f32(whole)) * ${c.valueOne}.0));
}

// The magnitude nearest to a value of this parity.
fn nearest(v: Value, quantizer: i32, parity: i32) -> i32 {
  let below = v.whole + select(0, 1, quantizer == 1 && v.part >= ${c.valueOne / 2});
  return below + ((below ^ parity) & 1);
}

fn costOf(n: i32, quantizer: i32, row: i32, v: Value, lambda: u32) -> i32 {
  let half = 2 * (n - v.whole) - select(0, 1, quantizer == 1 && n > 0);
  let first = row + ${c.tabulated} * quantizer;
  var bits = u32(table[first + min(n, ${c.tabulated - 1})]);
  if (n >= ${c.tabulated}) {
    let each = bits - u32(table[first + ${c.tabulated - 2}]);
    bits = min(bits + u32(min(n - ${c.tabulated - 1}, ${c.maxBeyond})) * each, ${c.maxBits}u);
  }
  return half * (${c.valueOne / 4} * half - v.part) + i32((bits * lambda) >> ${c.costShift}u);
}

// The least cost of a quantizer and a parity, and which magnitude has it: the nearest, the one below it, or the smallest.
fn candidate(quantizer: i32, parity: i32, row: i32, v: Value, lambda: u32) -> vec2i {
  let n = nearest(v, quantizer, parity);
  var best = vec2i(costOf(n, quantizer, row, v, lambda), 0);
  if (n - 2 > parity) {
    let cost = costOf(n - 2, quantizer, row, v, lambda);
    if (cost < best.x) { best = vec2i(cost, 1); }
  }
  if (n > parity && v.whole < ${c.far}) {
    let cost = costOf(parity, quantizer, row, v, lambda);
    if (cost < best.x) { best = vec2i(cost, 2); }
  }
  return best;
}

@compute @workgroup_size(${workgroup})
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let job = gid.x + gid.y * groups.x * ${workgroup}u;
  if (job >= plan.jobs) { return; }
  let face = u32(jobs[${JOB_NUMBERS}u * job]);
  let gain = bitcast<f32>(jobs[${JOB_NUMBERS}u * job + 1u]);
  let shift = jobs[${JOB_NUMBERS}u * job + 2u];
  let split = jobs[${JOB_NUMBERS}u * job + 4u];
  var path = vec4i(0, ${c.unreached}, ${c.unreached}, ${c.unreached});
  for (var k = 0u; k < plan.count; k++) {
    let v = valueAt(k, face, gain);
    let row = ${2 * c.tabulated} * clamp(steps[k].y + shift, 0, ${c.rows - 1});
    let lambda = u32(jobs[${JOB_NUMBERS}u * job + select(5u, 3u, i32(k) < split)]);
    let even = candidate(0, 0, row, v, lambda);
    let odd = candidate(0, 1, row, v, lambda);
    let halfEven = candidate(1, 0, row, v, lambda);
    let halfOdd = candidate(1, 1, row, v, lambda);
    // Two states lead to each state; of equal paths, the one from the lower state is taken.
    let lower = path.xzxz + vec4i(even.x, halfEven.x, odd.x, halfOdd.x);
    let higher = path.ywyw + vec4i(odd.x, halfOdd.x, even.x, halfEven.x);
    let next = min(lower, higher);
    let came = dot(select(vec4u(), vec4u(1, 2, 4, 8), higher < lower), vec4u(1));
    words[k * plan.jobs + job] =
      came | u32((even.y << 4) | (odd.y << 6) | (halfEven.y << 8) | (halfOdd.y << 10));
    path = next - min(min(next.x, next.y), min(next.z, next.w));
  }
  var state = select(select(select(3u, 2u, path.z == 0), 1u, path.y == 0), 0u, path.x == 0);
  let pairs = (plan.count + 1u) / 2u;
  var pair = 0u;
  for (var left = plan.count; left > 0u; left--) {
    let k = left - 1u;
    let word = words[k * plan.jobs + job];
    let other = (word >> state) & 1u;
    let parity = other ^ (state >> 1u);
    let quantizer = state & 1u;
    let choice = i32((word >> (4u + 4u * quantizer + 2u * parity)) & 3u);
    let n = nearest(valueAt(k, face, gain), i32(quantizer), i32(parity));
    let magnitude = select(select(n, n - 2, choice == 1), i32(parity), choice == 2);
    let negative = values[face * plan.count + u32(steps[k].x)] < 0;
    let symbol = u32(select(magnitude, -magnitude, negative)) & 0xffffu;
    if ((k & 1u) == 1u) { pair = symbol << 16u; } else { symbols[job * pairs + k / 2u] = pair | symbol; pair = 0u; }
    state = 2u * quantizer + other;
  }
}`,
  );
}
