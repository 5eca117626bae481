import type { ColumnWidth } from './common/columns.js';
import { linearMain } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { type TypedBinding, typedBindings } from './common/typed-bindings.js';

/**
 * Head of a kernel on pictures [N,H,W,C] and their windows: an invocation owns `width` adjacent channels of a pixel. All
 * sizes are uniforms (big: of x, small: of y; in rows and columns), so one pipeline a width serves every shape.
 */
function head(width: ColumnWidth, ...bindings: TypedBinding[]): string {
  return `
alias V = ${width === 1 ? 'f32' : `vec${width}f`};
struct Plan { big: vec2u, small: vec2u, kernel: vec2u, stride: vec2u, padding: vec2u, groups: u32, threads: u32 }
${typedBindings(...bindings)}
@group(0) @binding(${bindings.length}) var<uniform> plan: Plan;
// The part of a window inside the picture, ends exclusive.
fn windowBegin(at: vec2u) -> vec2u { return max(at * plan.stride, plan.padding) - plan.padding; }
fn windowEnd(at: vec2u) -> vec2u { return min(at * plan.stride + plan.kernel - plan.padding, plan.big); }
// The windows that hold a pixel, ends exclusive.
fn firstWindow(at: vec2u) -> vec2u {
  return (max(at + plan.padding + 1u, plan.kernel) - plan.kernel + plan.stride - 1u) / plan.stride;
}
fn lastWindow(at: vec2u) -> vec2u { return min((at + plan.padding) / plan.stride + 1u, plan.small); }`;
}

/** Declares `at`, the invocation's pixel of a picture of `size`, its channel group, and where the picture starts in x or y. */
function pixelMain(size: 'big' | 'small', other: 'big' | 'small'): string {
  return `
${linearMain('plan.threads')}
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = vec2u(pixel / plan.${size}.y % plan.${size}.x, pixel % plan.${size}.y);
  let picture = pixel / (plan.${size}.x * plan.${size}.y) * (plan.${other}.x * plan.${other}.y);`;
}

/** Loops over the rows and columns from `begin` to `end` of the other picture; `from` is the element there. */
function forEachPixel(other: 'big' | 'small', body: string): string {
  return `
  for (var row = begin.x; row < end.x; row++) {
    for (var column = begin.y; column < end.y; column++) {
      let source = (picture + row * plan.${other}.y + column) * plan.groups + group;
      ${body}
    }
  }`;
}

/**
 * The maximum of each window, and which pixel of the window it was (row-major from the window's start, padding included;
 * the first on a tie), as a float32. The first NaN of a window wins. Bindings: x, y, winners, plan.
 */
export function maxPoolShader(width: ColumnWidth): string {
  return `
${head(width, ['xs', 'r', 'V'], ['ys', 'w', 'V'], ['winners', 'w', 'V'])}
${nonFiniteFunctions(width)}
${pixelMain('small', 'big')}
  let begin = windowBegin(at);
  let end = windowEnd(at);
  var best = xs[(picture + begin.x * plan.big.y + begin.y) * plan.groups + group];
  var winner = V(-1.0);
${forEachPixel(
  'big',
  `let x = xs[source];
      let inWindow = vec2u(row, column) + plan.padding - at * plan.stride;
      let wins = (winner < V()) | (((x > best) | isNan(x)) & !isNan(best));
      best = select(best, x, wins);
      winner = select(winner, V(f32(inWindow.x * plan.kernel.y + inWindow.y)), wins);`,
)}
  ys[i] = best;
  winners[i] = winner;
}`;
}

/** Each pixel collects from the windows that hold it and that it won. Bindings: winners, dy, dx, plan. */
export function maxPoolGradientShader(width: ColumnWidth): string {
  return `
${head(width, ['winners', 'r', 'V'], ['dys', 'r', 'V'], ['dxs', 'w', 'V'])}
${pixelMain('big', 'small')}
  let begin = firstWindow(at);
  let end = lastWindow(at);
  var sum = V();
${forEachPixel(
  'small',
  `let inWindow = at + plan.padding - vec2u(row, column) * plan.stride;
      let mine = V(f32(inWindow.x * plan.kernel.y + inWindow.y));
      sum += select(V(), dys[source], winners[source] == mine);`,
)}
  dxs[i] = sum;
}`;
}

/** The mean of each window's pixels inside the picture. Bindings: x, y, plan. */
export function avgPoolShader(width: ColumnWidth): string {
  return `
${head(width, ['xs', 'r', 'V'], ['ys', 'w', 'V'])}
${pixelMain('small', 'big')}
  let begin = windowBegin(at);
  let end = windowEnd(at);
  // Row by row, and then over the rows: a window may be a whole picture.
  var sum = V();
  for (var row = begin.x; row < end.x; row++) {
    var ofRow = V();
    for (var column = begin.y; column < end.y; column++) {
      ofRow += xs[(picture + row * plan.big.y + column) * plan.groups + group];
    }
    sum += ofRow;
  }
  ys[i] = sum * (1.0 / f32((end.x - begin.x) * (end.y - begin.y)));
}`;
}

/** Each pixel collects its share of every window that holds it. Bindings: dy, dx, plan. */
export function avgPoolGradientShader(width: ColumnWidth): string {
  return `
${head(width, ['dys', 'r', 'V'], ['dxs', 'w', 'V'])}
${pixelMain('big', 'small')}
  let begin = firstWindow(at);
  let end = lastWindow(at);
  var sum = V();
${forEachPixel(
  'small',
  `let size = windowEnd(vec2u(row, column)) - windowBegin(vec2u(row, column));
      sum += dys[source] * (1.0 / f32(size.x * size.y));`,
)}
  dxs[i] = sum;
}`;
}
