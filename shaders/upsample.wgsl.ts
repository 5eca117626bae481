import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import type { ColumnWidth } from './common/columns.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels between pictures x [N,H,W,C] (`small`, in rows and columns) and y [N,Ho,Wo,C] (`big`); an invocation owns `width`
 * adjacent channels of a pixel.
 */

/** All sizes, so that one pipeline a width serves every shape; groups = C / width. */
export const upsamplePlan = /* @__PURE__ */ uniform({ small: 'vec2u', big: 'vec2u', groups: 'u32', threads: 'u32' });

/** Forward passes read x and write y; gradients read dy and write dx. */
const forwardBindings = (V: string) => ({ xs: read(V), ys: write(V), plan: upsamplePlan });
const gradientBindings = (V: string) => ({ dys: read(V), dxs: write(V), plan: upsamplePlan });

const elementFunction = `
fn element(picture: u32, size: vec2u, at: vec2u, group: u32) -> u32 {
  return ((picture * size.x + at.x) * size.y + at.y) * plan.groups + group;
}`;

/** Each pixel repeated in a block. Bindings: x, y, plan. */
export function upsampleNearestShader(width: ColumnWidth): Shader {
  const V = vectorType(width);
  return shader(
    forwardBindings(V),
    (declarations) => wgsl`
${declarations}
${elementFunction}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.big.y % plan.big.x, pixel % plan.big.y);
  let picture = pixel / (plan.big.x * plan.big.y);
  ys[i] = xs[element(picture, plan.small, at / (plan.big / plan.small), group)];
}`,
  );
}

/** Each pixel collects its block. Bindings: dy, dx, plan. */
export function upsampleNearestGradientShader(width: ColumnWidth): Shader {
  const V = vectorType(width);
  return shader(
    gradientBindings(V),
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${elementFunction}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.small.y % plan.small.x, pixel % plan.small.y);
  let picture = pixel / (plan.small.x * plan.small.y);
  let block = plan.big / plan.small;
  var sum = V();
  for (var row = 0u; row < block.x; row++) {
    var ofRow = V();
    for (var column = 0u; column < block.y; column++) {
      ofRow += dys[element(picture, plan.big, at * block + vec2u(row, column), group)];
    }
    sum += ofRow;
  }
  dxs[i] = sum;
}`,
  );
}

/**
 * Along both axes, for an output pixel: the two input pixels it mixes, and the weight of the second. The centre of
 * output o lies at (o + ½)·small/big − ½ = ((2o + 1)·small − big) / (2·big); in integers it is exact, and every adapter
 * takes the same pixels.
 */
const taps = `
struct Taps { low: vec2u, high: vec2u, weight: vec2f }
fn tapsOf(at: vec2u) -> Taps {
  let ahead = (2u * at + 1u) * plan.small;
  let centre = max(ahead, plan.big) - plan.big; // edges are clamped
  let low = min(centre / (2u * plan.big), plan.small - 1u);
  let high = min(low + 1u, plan.small - 1u);
  let rest = vec2f(centre - low * 2u * plan.big) / vec2f(2u * plan.big);
  return Taps(low, high, select(rest, vec2f(), low == high));
}
// What is not read does not count, not even if it is NaN or infinite.
fn mixed(a: V, b: V, weight: f32) -> V { return select(a * (1.0 - weight) + b * weight, a, weight == 0.0); }`;

/** Bilinear interpolation. Bindings: x, y, plan. */
export function upsampleBilinearShader(width: ColumnWidth): Shader {
  const V = vectorType(width);
  return shader(
    forwardBindings(V),
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${elementFunction}
${taps}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.big.y % plan.big.x, pixel % plan.big.y);
  let picture = pixel / (plan.big.x * plan.big.y);
  let t = tapsOf(at);
  let a = xs[element(picture, plan.small, t.low, group)];
  let b = xs[element(picture, plan.small, vec2u(t.low.x, t.high.y), group)];
  let c = xs[element(picture, plan.small, vec2u(t.high.x, t.low.y), group)];
  let d = xs[element(picture, plan.small, t.high, group)];
  ys[i] = mixed(mixed(a, b, t.weight.y), mixed(c, d, t.weight.y), t.weight.x);
}`,
  );
}

/**
 * Each input pixel collects from the output pixels that read it: those whose centre is less than 1 away, or beyond the
 * edge. The bounds are generous by one pixel; the weight of an output that does not read the pixel is 0.
 * Bindings: dy, dx, plan.
 */
export function upsampleBilinearGradientShader(width: ColumnWidth): Shader {
  const V = vectorType(width);
  return shader(
    gradientBindings(V),
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${elementFunction}
${taps}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.small.y % plan.small.x, pixel % plan.small.y);
  let picture = pixel / (plan.small.x * plan.small.y);
  // Centres from at − 1 to at + 1: (2o + 1)·small from (2·at − 1)·big to (2·at + 3)·big.
  let before = max(2u * at, vec2u(1u)) - 1u;
  let inner = before * plan.big / (2u * plan.small);
  let begin = select(max(inner, vec2u(1u)) - 1u, vec2u(), at == vec2u());
  let after = (2u * at + 3u) * plan.big / (2u * plan.small) + 1u;
  let end = select(min(after, plan.big), plan.big, at == plan.small - 1u);
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let t = tapsOf(vec2u(row, column));
      let share = select(vec2f(), 1.0 - t.weight, t.low == at) + select(vec2f(), t.weight, t.high == at);
      let dy = dys[element(picture, plan.big, vec2u(row, column), group)];
      sum += select(dy * (share.x * share.y), V(), share.x * share.y == 0.0);
    }
  }
  dxs[i] = sum;
}`,
  );
}
