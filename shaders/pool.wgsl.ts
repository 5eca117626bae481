import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels on pictures [N,H,W,C] and their windows: an invocation owns `width` adjacent channels of a pixel.
 */

/** All sizes (input: of x, output: of y; in rows and columns), so that one pipeline a width serves every shape; groups = C / width. */
export const poolPlan = /* @__PURE__ */ uniform({
  input: 'vec2u',
  output: 'vec2u',
  kernel: 'vec2u',
  stride: 'vec2u',
  padding: 'vec2u',
  groups: 'u32',
  threads: 'u32',
});

const windowFunctions = `
// The part of a window inside the picture, ends exclusive.
fn windowBegin(at: vec2u) -> vec2u { return max(at * plan.stride, plan.padding) - plan.padding; }
fn windowEnd(at: vec2u) -> vec2u { return min(at * plan.stride + plan.kernel - plan.padding, plan.input); }
// The windows that hold a pixel, ends exclusive.
fn firstWindow(at: vec2u) -> vec2u {
  return (max(at + plan.padding + 1u, plan.kernel) - plan.kernel + plan.stride - 1u) / plan.stride;
}
fn lastWindow(at: vec2u) -> vec2u { return min((at + plan.padding) / plan.stride + 1u, plan.output); }`;

/**
 * The maximum of each window, and which pixel of the window it was (row-major from the window's start, padding included;
 * the first on a tie), as a float32. The first NaN of a window wins. Bindings: x, y, winners, plan.
 */
export function maxPoolShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: write(V), winners: write(V), plan: poolPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${windowFunctions}
${nonFiniteFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.output.y % plan.output.x, pixel % plan.output.y);
  let picture = pixel / (plan.output.x * plan.output.y) * (plan.input.x * plan.input.y);
  let begin = windowBegin(at);
  let end = windowEnd(at);
  var best = xs[(picture + begin.x * plan.input.y + begin.y) * plan.groups + group];
  var winner = V(-1.0);
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let source = (picture + row * plan.input.y + column) * plan.groups + group;
      let x = xs[source];
      let inWindow = vec2u(row, column) + plan.padding - at * plan.stride;
      let wins = (winner < V()) | (((x > best) | isNan(x)) & !isNan(best));
      best = select(best, x, wins);
      winner = select(winner, V(f32(inWindow.x * plan.kernel.y + inWindow.y)), wins);
    }
  }
  ys[i] = best;
  winners[i] = winner;
}`,
  );
}

/** Each pixel collects from the windows that hold it and that it won. Bindings: winners, dy, dx, plan. */
export function maxPoolGradientShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { winners: read(V), dys: read(V), dxs: write(V), plan: poolPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${windowFunctions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.input.y % plan.input.x, pixel % plan.input.y);
  let picture = pixel / (plan.input.x * plan.input.y) * (plan.output.x * plan.output.y);
  let begin = firstWindow(at);
  let end = lastWindow(at);
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let source = (picture + row * plan.output.y + column) * plan.groups + group;
      let inWindow = at + plan.padding - vec2u(row, column) * plan.stride;
      let mine = V(f32(inWindow.x * plan.kernel.y + inWindow.y));
      sum += select(V(), dys[source], winners[source] == mine);
    }
  }
  dxs[i] = sum;
}`,
  );
}

/** The mean of each window's pixels inside the picture. Bindings: x, y, plan. */
export function avgPoolShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { xs: read(V), ys: write(V), plan: poolPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${windowFunctions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.output.y % plan.output.x, pixel % plan.output.y);
  let picture = pixel / (plan.output.x * plan.output.y) * (plan.input.x * plan.input.y);
  let begin = windowBegin(at);
  let end = windowEnd(at);
  // Row by row, and then over the rows: a window may be a whole picture.
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    var ofRow = V();
    for (var column = begin.y; column < end.y; column++) {
      ofRow += xs[(picture + row * plan.input.y + column) * plan.groups + group];
    }
    sum += ofRow;
  }
  ys[i] = sum * (1.0 / f32((end.x - begin.x) * (end.y - begin.y)));
}`,
  );
}

/** Each pixel collects its share of every window that holds it. Bindings: dy, dx, plan. */
export function avgPoolGradientShader(width: ChannelWidth): Shader {
  const V = vectorType(width);
  return shader(
    { dys: read(V), dxs: write(V), plan: poolPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}
${windowFunctions}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.input.y % plan.input.x, pixel % plan.input.y);
  let picture = pixel / (plan.input.x * plan.input.y) * (plan.output.x * plan.output.y);
  let begin = firstWindow(at);
  let end = lastWindow(at);
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let source = (picture + row * plan.output.y + column) * plan.groups + group;
      let size = windowEnd(vec2u(row, column)) - windowBegin(vec2u(row, column));
      sum += dys[source] * (1.0 / f32(size.x * size.y));
    }
  }
  dxs[i] = sum;
}`,
  );
}
