import type { ColumnWidth } from './common/columns.js';
import { linearMain } from './common/linear-index.js';
import { type TypedBinding, typedBindings } from './common/typed-bindings.js';

/**
 * Head of a kernel between pictures x [N,H,W,C] (`small`, in rows and columns) and y [N,Ho,Wo,C] (`big`); an invocation
 * owns `width` adjacent channels of a pixel. All sizes are uniforms, so one pipeline a width serves every shape.
 */
function head(width: ColumnWidth, ...bindings: TypedBinding[]): string {
  return `
alias V = ${width === 1 ? 'f32' : `vec${width}f`};
struct Plan { small: vec2u, big: vec2u, groups: u32, threads: u32 }
${typedBindings(...bindings)}
@group(0) @binding(${bindings.length}) var<uniform> plan: Plan;
fn element(picture: u32, size: vec2u, at: vec2u, group: u32) -> u32 {
  return ((picture * size.x + at.x) * size.y + at.y) * plan.groups + group;
}`;
}

/** Declares `at`, the invocation's pixel of a picture of `size`, its channel group and its picture. */
function pixelMain(size: 'big' | 'small'): string {
  return `
${linearMain('plan.threads')}
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.${size}.y % plan.${size}.x, pixel % plan.${size}.y);
  let picture = pixel / (plan.${size}.x * plan.${size}.y);`;
}

/** Each pixel repeated in a block. Bindings: x, y, plan. */
export function upsampleNearestShader(width: ColumnWidth): string {
  return `
${head(width, ['xs', 'r', 'V'], ['ys', 'w', 'V'])}
${pixelMain('big')}
  ys[i] = xs[element(picture, plan.small, at / (plan.big / plan.small), group)];
}`;
}

/** Each pixel collects its block. Bindings: dy, dx, plan. */
export function upsampleNearestGradientShader(width: ColumnWidth): string {
  return `
${head(width, ['dys', 'r', 'V'], ['dxs', 'w', 'V'])}
${pixelMain('small')}
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
}`;
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
export function upsampleBilinearShader(width: ColumnWidth): string {
  return `
${head(width, ['xs', 'r', 'V'], ['ys', 'w', 'V'])}
${taps}
${pixelMain('big')}
  let t = tapsOf(at);
  let a = xs[element(picture, plan.small, t.low, group)];
  let b = xs[element(picture, plan.small, vec2u(t.low.x, t.high.y), group)];
  let c = xs[element(picture, plan.small, vec2u(t.high.x, t.low.y), group)];
  let d = xs[element(picture, plan.small, t.high, group)];
  ys[i] = mixed(mixed(a, b, t.weight.y), mixed(c, d, t.weight.y), t.weight.x);
}`;
}

/**
 * Each input pixel collects from the output pixels that read it: those whose centre is less than 1 away, or beyond the
 * edge. The bounds are generous by one pixel; the weight of an output that does not read the pixel is 0.
 * Bindings: dy, dx, plan.
 */
export function upsampleBilinearGradientShader(width: ColumnWidth): string {
  return `
${head(width, ['dys', 'r', 'V'], ['dxs', 'w', 'V'])}
${taps}
${pixelMain('small')}
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
}`;
}
