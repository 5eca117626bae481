import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels between pictures x [N,H,W,C] (`input`, in rows and columns) and y [N,Ho,Wo,C] (`output`); an invocation owns `width`
 * adjacent channels of a pixel.
 */

/** All sizes, so that one pipeline a width serves every shape; groups = C / width. */
export const upsamplePlan = /* @__PURE__ */ uniform({ input: 'vec2u', output: 'vec2u', groups: 'u32', threads: 'u32' });

/** Forward passes read x and write y; gradients read dy and write dx. */
const forwardBindings = (V: string) => ({ xs: read(V), ys: write(V), plan: upsamplePlan });
const gradientBindings = (V: string) => ({ dys: read(V), dxs: write(V), plan: upsamplePlan });

const elementFunction = `
fn element(picture: u32, size: vec2u, at: vec2u, group: u32) -> u32 {
  return ((picture * size.x + at.x) * size.y + at.y) * plan.groups + group;
}`;

/** Each pixel repeated in a block. Bindings: x, y, plan. */
export function upsampleNearestShader(width: ChannelWidth): Shader {
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
  let at = vec2u(pixel / plan.output.y % plan.output.x, pixel % plan.output.y);
  let picture = pixel / (plan.output.x * plan.output.y);
  ys[i] = xs[element(picture, plan.input, at / (plan.output / plan.input), group)];
}`,
  );
}

/** Each pixel collects its block. Bindings: dy, dx, plan. */
export function upsampleNearestGradientShader(width: ChannelWidth): Shader {
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
  let at = vec2u(pixel / plan.input.y % plan.input.x, pixel % plan.input.y);
  let picture = pixel / (plan.input.x * plan.input.y);
  let block = plan.output / plan.input;
  var sum = V();
  for (var row = 0u; row < block.x; row++) {
    var ofRow = V();
    for (var column = 0u; column < block.y; column++) {
      ofRow += dys[element(picture, plan.output, at * block + vec2u(row, column), group)];
    }
    sum += ofRow;
  }
  dxs[i] = sum;
}`,
  );
}

/**
 * Along both axes, for an output pixel: the two input pixels it mixes, and the weight of the second. The centre of
 * output o lies at (o + ½)·input/output − ½ = ((2o + 1)·input − output) / (2·output); in integers it is exact, and every adapter
 * takes the same pixels.
 */
const taps = `
struct Taps { low: vec2u, high: vec2u, weight: vec2f }
fn tapsOf(at: vec2u) -> Taps {
  let ahead = (2u * at + 1u) * plan.input;
  let centre = max(ahead, plan.output) - plan.output; // edges are clamped
  let low = min(centre / (2u * plan.output), plan.input - 1u);
  let high = min(low + 1u, plan.input - 1u);
  let rest = vec2f(centre - low * 2u * plan.output) / vec2f(2u * plan.output);
  return Taps(low, high, select(rest, vec2f(), low == high));
}
// What is not read does not count, not even if it is NaN or infinite.
fn mixed(a: V, b: V, weight: f32) -> V { return select(a * (1.0 - weight) + b * weight, a, weight == 0.0); }`;

/** Bilinear interpolation. Bindings: x, y, plan. */
export function upsampleBilinearShader(width: ChannelWidth): Shader {
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
  let at = vec2u(pixel / plan.output.y % plan.output.x, pixel % plan.output.y);
  let picture = pixel / (plan.output.x * plan.output.y);
  let t = tapsOf(at);
  let a = xs[element(picture, plan.input, t.low, group)];
  let b = xs[element(picture, plan.input, vec2u(t.low.x, t.high.y), group)];
  let c = xs[element(picture, plan.input, vec2u(t.high.x, t.low.y), group)];
  let d = xs[element(picture, plan.input, t.high, group)];
  ys[i] = mixed(mixed(a, b, t.weight.y), mixed(c, d, t.weight.y), t.weight.x);
}`,
  );
}

/**
 * Each input pixel collects from the output pixels that read it: those whose centre is less than 1 away, or beyond the
 * edge. The bounds are generous by one pixel; the weight of an output that does not read the pixel is 0.
 * Bindings: dy, dx, plan.
 */
export function upsampleBilinearGradientShader(width: ChannelWidth): Shader {
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
  let at = vec2u(pixel / plan.input.y % plan.input.x, pixel % plan.input.y);
  let picture = pixel / (plan.input.x * plan.input.y);
  // Centres from at − 1 to at + 1: (2o + 1)·input from (2·at − 1)·output to (2·at + 3)·output.
  let before = max(2u * at, vec2u(1u)) - 1u;
  let inner = before * plan.output / (2u * plan.input);
  let begin = select(max(inner, vec2u(1u)) - 1u, vec2u(), at == vec2u());
  let after = (2u * at + 3u) * plan.output / (2u * plan.input) + 1u;
  let end = select(min(after, plan.output), plan.output, at == plan.input - 1u);
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let t = tapsOf(vec2u(row, column));
      let share = select(vec2f(), 1.0 - t.weight, t.low == at) + select(vec2f(), t.weight, t.high == at);
      let dy = dys[element(picture, plan.output, vec2u(row, column), group)];
      sum += select(dy * (share.x * share.y), V(), share.x * share.y == 0.0);
    }
  }
  dxs[i] = sum;
}`,
  );
}
