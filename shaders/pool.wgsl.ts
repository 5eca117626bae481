import type { Shader } from '../src/common/shader.js';
import { type Bindings, read, shader, uniform, vectorType, write } from './common/bindings.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels on pictures [N,H,W,C] or volumes [N,D,H,W,C] and their windows: an invocation owns `width` adjacent channels of a pixel.
 */

/**
 * All sizes along the axes of a picture (input: of x, output: of y, padded: of x with both paddings). Kernel: from the first to behind the
 * last tap. groups = C / width.
 */
export interface PoolSizes {
  input: readonly number[];
  output: readonly number[];
  kernel: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  dilation: readonly number[];
  padded: readonly number[];
  groups: number;
  threads: number;
}

/** For pictures: one pipeline a width serves every shape. The sizes of volumes do not fit a uniform, and are constants. */
export const poolPlan = /* @__PURE__ */ uniform({
  input: 'vec2u',
  output: 'vec2u',
  kernel: 'vec2u',
  stride: 'vec2u',
  padding: 'vec2u',
  dilation: 'vec2u',
  padded: 'vec2u',
  groups: 'u32',
  threads: 'u32',
});

/** What a mean divides by: the taps inside the picture, those inside the padded picture, or 1, which makes it a sum. */
export type PoolDivisor = 'inside' | 'padded' | 'one';

export interface PoolKind {
  width: ChannelWidth;
  /** Whether some dilation is above 1. */
  dilated: boolean;
  /** Of volumes; undefined for pictures. */
  constants?: PoolSizes;
}

const axesOf = ({ constants }: PoolKind): string[] => (constants ? ['x', 'y', 'z'] : ['x', 'y']);

/** WGSL of the place of a point in an array of that size, both row-major; `point` of an axis. */
const placeIn = (axes: string[], size: string, point: (axis: string) => string): string =>
  axes.slice(1).reduce((place, axis) => `(${place}) * ${size}.${axis} + ${point(axis)}`, point(axes[0]));

/** WGSL of loops over the points from `begin` to `end`, with the indices px, py, …; `sums`: each loop adds up into sum0, sum1, …. */
function loops(kind: PoolKind, steps: boolean, body: string, sums = false): string {
  const step = (axis: string) => (steps && kind.dilated ? `p${axis} += plan.dilation.${axis}` : `p${axis}++`);
  return axesOf(kind).reduceRight(
    (inner, axis, k) => wgsl`
#if ${sums}
  var sum${k} = V();
#endif
  for (var p${axis} = begin.${axis}; p${axis} < end.${axis}; ${step(axis)}) {
    ${inner}
  }
#if ${sums && k > 0}
  sum${k - 1} += sum${k};
#endif`,
    body,
  );
}

/** A kernel with one invocation for each pixel of `own` and channel group; it reads pixels of `other`. */
function poolShader(kind: PoolKind, bindings: Bindings, own: 'input' | 'output', extra: string, body: string): Shader {
  const { width, dilated, constants } = kind;
  const axes = axesOf(kind);
  const other = own === 'input' ? 'output' : 'input';
  const count = axes.length;
  const volume = (of: string) => unroll(count, (k) => `plan.${of}.${axes[k]}`, ' * ');
  const at = (k: number) => {
    const inner = unroll(count - k - 1, (j) => ` / plan.${own}.${axes[k + 1 + j]}`, '');
    return `pixel${inner} % plan.${own}.${axes[k]},`;
  };
  const fields = Object.entries(constants ?? {}) as [string, number | readonly number[]][];
  const ofField = (text: (name: string, value: number | readonly number[]) => string) =>
    unroll(fields.length, (k) => `${text(...fields[k])},`);
  return shader(
    { ...bindings, plan: constants === undefined && poolPlan },
    (declarations) => wgsl`
alias V = ${vectorType(width)};
alias U = vec${count}u;
${declarations}
#if ${constants !== undefined}
struct Plan { ${ofField((name, value) => `${name}: ${typeof value === 'number' ? 'u32' : 'U'}`)} }
const plan = Plan(${ofField((_, value) => (typeof value === 'number' ? `${value}u` : `U(${value})`))});
#endif
// The part of a window inside the picture, ends exclusive.
#if ${dilated}
fn windowBegin(at: U) -> U {
  let start = at * plan.stride;
  let skipped = (max(plan.padding, start) - start + plan.dilation - 1u) / plan.dilation;
  return start + skipped * plan.dilation - plan.padding;
}
#else
fn windowBegin(at: U) -> U { return max(at * plan.stride, plan.padding) - plan.padding; }
#endif
fn windowEnd(at: U) -> U { return min(at * plan.stride + plan.kernel - plan.padding, plan.input); }
// The windows that hold a pixel, ends exclusive.
fn firstWindow(at: U) -> U {
  return (max(at + plan.padding + 1u, plan.kernel) - plan.kernel + plan.stride - 1u) / plan.stride;
}
fn lastWindow(at: U) -> U { return min((at + plan.padding) / plan.stride + 1u, plan.output); }
${extra}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let group = i % plan.groups;
  let pixel = i / plan.groups;
  let at = U(${unroll(count, at)});
  let picture = pixel / (${volume(own)}) * (${volume(other)});
  let begin = ${own === 'output' ? 'windowBegin' : 'firstWindow'}(at);
  let end = ${own === 'output' ? 'windowEnd' : 'lastWindow'}(at);
  ${body}
}`,
  );
}

/** WGSL of the element of `size` at the loops' point. */
const element = (kind: PoolKind, size: 'input' | 'output', point = (axis: string) => `p${axis}`): string =>
  `(picture + ${placeIn(axesOf(kind), `plan.${size}`, point)}) * plan.groups + group`;

const pointOf = (kind: PoolKind): string => `U(${axesOf(kind).map((axis) => `p${axis}`)})`;

/** WGSL of the number of a place in a window. */
const numberOf = (kind: PoolKind): string => placeIn(axesOf(kind), 'plan.kernel', (axis) => `inWindow.${axis}`);

/**
 * The maximum of each window, and which pixel of the window it was (row-major from the window's start, padding included;
 * the first on a tie), as a u32. The first NaN of a window wins. Bindings: x, y, winners, plan.
 */
export function maxPoolShader(kind: PoolKind): Shader {
  const [V, W] = [vectorType(kind.width), vectorType(kind.width, 'u32')];
  return poolShader(
    kind,
    { xs: read(V), ys: write(V), winners: write(W) },
    'output',
    nonFiniteFunctions(kind.width),
    `
  var best = xs[${element(kind, 'input', (axis) => `begin.${axis}`)}];
  var winner = ${W}(0xffffffffu);
  ${loops(
    kind,
    true,
    `
    let x = xs[${element(kind, 'input')}];
    let inWindow = ${pointOf(kind)} + plan.padding - at * plan.stride;
    let wins = (winner == ${W}(0xffffffffu)) | (((x > best) | isNan(x)) & !isNan(best));
    best = select(best, x, wins);
    winner = select(winner, ${W}(${numberOf(kind)}), wins);`,
  )}
  ys[i] = best;
  winners[i] = winner;`,
  );
}

/** Each pixel collects from the windows that hold it and that it won. Bindings: winners, dy, dx, plan. */
export function maxPoolGradientShader(kind: PoolKind): Shader {
  const [V, W] = [vectorType(kind.width), vectorType(kind.width, 'u32')];
  return poolShader(
    kind,
    { winners: read(W), dys: read(V), dxs: write(V) },
    'input',
    '',
    `
  var sum = V();
  ${loops(
    kind,
    false,
    `
    let source = ${element(kind, 'output')};
    let inWindow = at + plan.padding - ${pointOf(kind)} * plan.stride;
    sum += select(V(), dys[source], winners[source] == ${W}(${numberOf(kind)}));`,
  )}
  dxs[i] = sum;`,
  );
}

/** WGSL of `shareOf(at)`: one over what the mean of a window divides by. */
function shareFunction(kind: PoolKind, divisor: PoolDivisor): string {
  const axes = axesOf(kind);
  return wgsl`
fn shareOf(at: U) -> f32 {
#if ${divisor === 'one'}
  return 1.0;
#else
#if ${divisor === 'inside'}
  var size = windowEnd(at) - windowBegin(at);
#else
  var size = min(at * plan.stride + plan.kernel, plan.padded) - at * plan.stride;
#endif
#if ${kind.dilated}
  size = (size + plan.dilation - 1u) / plan.dilation;
#endif
  return 1.0 / f32(${unroll(axes.length, (k) => `size.${axes[k]}`, ' * ')});
#endif
}`;
}

/** The mean of each window. Bindings: x, y, plan. */
export function avgPoolShader(kind: PoolKind, divisor: PoolDivisor): Shader {
  const V = vectorType(kind.width);
  // Row by row, and then over the rows: a window may be a whole picture.
  const last = axesOf(kind).length - 1;
  return poolShader(
    kind,
    { xs: read(V), ys: write(V) },
    'output',
    shareFunction(kind, divisor),
    `
  ${loops(kind, true, `sum${last} += xs[${element(kind, 'input')}];`, true)}
  ys[i] = sum0 * shareOf(at);`,
  );
}

/** Each pixel collects its share of every window that holds it. Bindings: dy, dx, plan. */
export function avgPoolGradientShader(kind: PoolKind, divisor: PoolDivisor): Shader {
  const V = vectorType(kind.width);
  return poolShader(
    kind,
    { dys: read(V), dxs: write(V) },
    'input',
    shareFunction(kind, divisor),
    `
  var sum = V();
  ${loops(
    kind,
    false,
    wgsl`
    let window = ${pointOf(kind)};
#if ${kind.dilated}
    if (any((at + plan.padding - window * plan.stride) % plan.dilation != U())) { continue; }
#endif
    sum += dys[${element(kind, 'output')}] * shareOf(window);`,
  )}
  dxs[i] = sum;`,
  );
}
