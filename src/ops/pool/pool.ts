import {
  avgPoolGradientShader,
  avgPoolShader,
  maxPoolGradientShader,
  maxPoolShader,
  type PoolDivisor,
  type PoolKind,
  type PoolSizes,
  poolPlan,
} from '../../../shaders/pool.wgsl.js';
import { checkList, refuse, withDefaults } from '../../common/arguments.js';
import { ShapeError } from '../../common/errors.js';
import type { Shader } from '../../common/shader.js';
import { formatShape, type Padding2d, type Pair, type Shape, sizeOf } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import { type ChannelChoice, chooseChannels } from '../../kernels/channel-walk.js';
import { elementKernel } from '../../kernels/elementwise.js';
import { dispatch, dispatchMany } from '../../tensor/dispatch.js';
import { apply, composed, type Op } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { memoize } from '../memoize.js';
import { constantPower } from '../power.js';
import { mean } from '../reduce.js';
import { checkInputs, checkIntegers, checkPositive, MAX_STEP, NHWC } from '../shape-checks.js';
import { abs } from '../unary.js';

/**
 * One entry for each axis of the picture; padding has two, before and after the axis. Max: padding never wins, and on a tie the first
 * pixel in row-major order gets the gradient.
 */
export interface PoolAttrs {
  kernel: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  /** Default 1. */
  dilation?: readonly number[];
  /** Whether the number of windows is rounded up; default false. A window that begins behind the picture is left out. */
  ceilMode?: boolean;
}

/** For pictures. */
export interface Pool2dAttrs extends PoolAttrs {
  kernel: Pair;
  stride: Pair;
  padding: Padding2d;
  dilation?: Pair;
}

/** A mean counts the pixels inside the picture, or those of the padding as well; a sum counts none. */
export interface AvgPoolAttrs extends PoolAttrs {
  /** Default false. */
  countIncludePad?: boolean;
  /** Default false. */
  sum?: boolean;
}

const LAYOUTS = ['[N,L,C]', NHWC, '[N,D,H,W,C]'];

/** Pixels from the first to behind the last tap of a window. */
const extentOf = ({ kernel, dilation }: PoolAttrs, axis: number): number =>
  (dilation?.[axis] ?? 1) * (kernel[axis] - 1) + 1;

/** @throws ShapeError, ArgumentError */
export function poolShape(op: string, inputs: readonly Shape[], attrs: PoolAttrs): number[] {
  checkInputs(op, inputs, ['input']);
  const [x] = inputs;
  const axes = x.length - 2;
  const layouts = op.endsWith('2d') ? [NHWC] : LAYOUTS;
  if (!LAYOUTS[axes - 1] || !layouts.includes(LAYOUTS[axes - 1])) {
    throw new ShapeError(`${op}: input has shape ${formatShape(x)}; expected ${layouts.join(', ')}`);
  }
  const { kernel, stride, padding, dilation = kernel.map(() => 1) } = attrs;
  checkIntegers(op, 'kernel', kernel, axes, 1, MAX_STEP);
  checkIntegers(op, 'stride', stride, axes, 1, MAX_STEP);
  checkIntegers(op, 'dilation', dilation, axes, 1, MAX_STEP);
  checkIntegers(op, axes === 2 ? 'padding (top, bottom, left, right)' : 'padding', padding, 2 * axes, 0, MAX_STEP);
  const extents = kernel.map((_, axis) => extentOf(attrs, axis));
  // Else a window could lie wholly in the padding, where neither a maximum nor a mean is defined.
  if (extents.some((extent, axis) => Math.max(padding[2 * axis], padding[2 * axis + 1]) >= extent)) {
    throw new ShapeError(`${op}: padding [${padding.join(',')}] must be below the kernel of ${extents.join('x')}`);
  }
  const windows = extents.map((extent, axis) => {
    const [size, before, step] = [x[1 + axis], padding[2 * axis], stride[axis]];
    const steps = (size + before + padding[2 * axis + 1] - extent) / step;
    const count = (attrs.ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return attrs.ceilMode && (count - 1) * step >= size + before ? count - 1 : count;
  });
  if (windows.some((count) => count < 1)) {
    throw new ShapeError(
      `${op}: a kernel of ${extents.join('x')} does not fit the input ${formatShape(x)} with padding [${padding.join(',')}]`,
    );
  }
  windows.forEach((count, axis) => {
    for (let window = 0; dilation[axis] > 1 && window < count; window++) {
      const first = window * stride[axis] - padding[2 * axis];
      const inside = first < 0 ? first + Math.ceil(-first / dilation[axis]) * dilation[axis] : first;
      if (inside < Math.min(x[1 + axis], first + extents[axis])) continue;
      throw new ShapeError(`${op}: window ${window} of axis ${1 + axis} of ${formatShape(x)} has no tap inside`);
    }
  });
  return [x[0], ...windows, x[x.length - 1]];
}

/** Sizes for kernels; a line is a picture of one row. */
function sizesOf(x: Shape, y: Shape, attrs: PoolAttrs, width: number, outputs: Shape): PoolSizes {
  const lead = x.length === 3 ? [1] : [];
  const { kernel, stride, padding, dilation = kernel.map(() => 1) } = attrs;
  const before = kernel.map((_, axis) => padding[2 * axis]);
  const input = x.slice(1, -1);
  return {
    input: [...lead, ...input],
    output: [...lead, ...y.slice(1, -1)],
    kernel: [...lead, ...kernel.map((_, axis) => extentOf(attrs, axis))],
    stride: [...lead, ...stride],
    padding: [...lead.map(() => 0), ...before],
    dilation: [...lead, ...dilation],
    padded: [...lead, ...input.map((size, axis) => size + before[axis] + padding[2 * axis + 1])],
    groups: x[x.length - 1] / width,
    threads: sizeOf(outputs) / width,
  };
}

/** A kernel and its uniform, which pictures have. */
interface PoolStep {
  kernel: Kernel;
  scalars?: ArrayBuffer;
}

/** Writes the kernel for windows from x to y, with one invocation for `width` channels of `outputs`, which is x or y. */
function planPool(
  label: string,
  shaderOf: (kind: PoolKind) => Shader,
  [x, y, outputs]: readonly [x: Shape, y: Shape, outputs: Shape],
  attrs: PoolAttrs,
  choose: ChannelChoice,
): PoolStep {
  const width = choose(outputs[outputs.length - 1]);
  const sizes = sizesOf(x, y, attrs, width, outputs);
  const flat = sizes.input.length === 2;
  const shader = shaderOf({
    width,
    dilated: sizes.dilation.some((step) => step > 1),
    constants: flat ? undefined : sizes,
  });
  return {
    kernel: elementKernel(label, shader, sizes.threads),
    scalars: flat ? poolPlan.pack({ ...sizes }) : undefined,
  };
}

// Writing a kernel takes longer than many of them run.
const maxShader = /* @__PURE__ */ memoize(maxPoolShader);
const maxGradientShader = /* @__PURE__ */ memoize(maxPoolGradientShader);
const avgShader = /* @__PURE__ */ memoize(avgPoolShader);
const avgGradientShader = /* @__PURE__ */ memoize(avgPoolGradientShader);

/** Max pooling, with as many channels an invocation as `choose` says; tests replace the default by one. */
export function maxPoolOp(name: string, choose: ChannelChoice = chooseChannels): Op<PoolAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => poolShape(name, inputs, attrs),
    forward([x], attrs, shape) {
      const { kernel, scalars } = planPool('max pool', maxShader, [x.shape, shape, shape], attrs, choose);
      const [output, winners] = dispatchMany(kernel, [x], [shape, shape], scalars);
      return { output, saved: [winners] };
    },
    backward({ inputs: [x], saved: [winners], attrs, dy }) {
      const shapes = [x.shape, dy.shape, x.shape] as const;
      const { kernel, scalars } = planPool('max pool gradient', maxGradientShader, shapes, attrs, choose);
      return [dispatch(kernel, [winners, dy], x.shape, scalars)];
    },
  };
}

const divisorOf = ({ countIncludePad, sum }: AvgPoolAttrs): PoolDivisor =>
  sum ? 'one' : countIncludePad ? 'padded' : 'inside';

/** Average pooling, likewise. */
export function avgPoolOp(name: string, choose: ChannelChoice = chooseChannels): Op<AvgPoolAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => poolShape(name, inputs, attrs),
    forward([x], attrs, shape) {
      const shaderOf = (kind: PoolKind) => avgShader(kind, divisorOf(attrs));
      const { kernel, scalars } = planPool('average pool', shaderOf, [x.shape, shape, shape], attrs, choose);
      return { output: dispatch(kernel, [x], shape, scalars) };
    },
    backward({ inputs: [x], attrs, dy }) {
      const shaderOf = (kind: PoolKind) => avgGradientShader(kind, divisorOf(attrs));
      const shapes = [x.shape, dy.shape, x.shape] as const;
      const { kernel, scalars } = planPool('average pool gradient', shaderOf, shapes, attrs, choose);
      return [dispatch(kernel, [dy], x.shape, scalars)];
    },
  };
}

const maxPool2dOp = /* @__PURE__ */ maxPoolOp('maxPool2d');
const avgPool2dOp = /* @__PURE__ */ avgPoolOp('avgPool2d');
const maxPoolDefault = /* @__PURE__ */ maxPoolOp('maxPool');
const avgPoolDefault = /* @__PURE__ */ avgPoolOp('avgPool');

export const poolOps = {
  maxPool2d: maxPool2dOp,
  avgPool2d: avgPool2dOp,
  maxPool: maxPoolDefault,
  avgPool: avgPoolDefault,
};

/** Options of poolings of pictures. */
export interface Pool2dOptions {
  /** Pixels of a window: one number for both axes, or [rows, columns]. */
  kernel: number | Pair;
  /** Pixels from window to window, likewise; default: the kernel, so that windows do not overlap. */
  stride?: number | Pair;
  /**
   * In pixels, each below the kernel's size: one number for all sides, [rows, columns], or [top, bottom, left, right];
   * default 0.
   */
  padding?: number | Pair | Padding2d;
  /** Pixels from tap to tap of a window: one number for both axes, or [rows, columns]; default 1. */
  dilation?: number | Pair;
  /**
   * Whether the number of windows is rounded up, so that the last may reach beyond the padding; default false. A window that
   * begins behind the picture is left out, as in PyTorch and ONNX.
   */
  ceilMode?: boolean;
}

/** Options of average pooling. */
export interface AvgPool2dOptions extends Pool2dOptions {
  /** Whether the pixels of the padding count, as zeros; default false. What lies beyond the padding never counts. */
  countIncludePad?: boolean;
}

/** Options of poolings of one to three axes: a number for all of them, or one for each. */
export interface PoolOptions {
  kernel: number | readonly number[];
  /** Default: the kernel. */
  stride?: number | readonly number[];
  /** For all sides, for each axis, or before and after each axis in turn; default 0. */
  padding?: number | readonly number[];
  /** Default 1. */
  dilation?: number | readonly number[];
  /** As for pictures; default false. */
  ceilMode?: boolean;
}

/** Options of average pooling of one to three axes. */
export interface AvgPoolOptions extends PoolOptions {
  /** As for pictures; default false. */
  countIncludePad?: boolean;
}

/** The options with their defaults, checked. @param more options of one pooling alone, with their defaults @throws ArgumentError */
export function poolAttrs<A extends PoolAttrs = Pool2dAttrs>(
  op: string,
  options: Pool2dOptions | PoolOptions,
  more: object = {},
  axes = 2,
): A {
  const { kernel, stride, padding, dilation, ...rest } = withDefaults<PoolOptions>(op, options as PoolOptions, {
    kernel: undefined as never, // has none, and is checked
    stride: options?.kernel,
    padding: 0,
    dilation: 1,
    ceilMode: false,
    ...more,
  });
  for (const name of ['ceilMode', 'countIncludePad'] as const) {
    const value = (rest as AvgPoolOptions)[name];
    if (value !== undefined && typeof value !== 'boolean') refuse(op, name, value, 'true or false');
  }
  const list = (name: string, value: number | readonly number[] | undefined): readonly number[] => {
    if (typeof value === 'number') return new Array(axes).fill(value);
    checkList(op, name, value, axes === 2 ? 'a number or [rows, columns]' : 'a number or a list of one an axis');
    return value as readonly number[];
  };
  const sides = list('padding', padding);
  return {
    kernel: list('kernel', kernel),
    stride: list('stride', stride),
    padding: sides.length === axes ? sides.flatMap((side) => [side, side]) : sides,
    dilation: list('dilation', dilation),
    ...rest,
  } as PoolAttrs as A;
}

/** Axes of lines, pictures or volumes x; what is none of them is refused later. */
const axesOf = (x: Tensor): number => Math.max((x?.shape?.length ?? 0) - 2, 1);

/**
 * The largest value of each window. Padding never wins; on a tie the first pixel in row-major order gets the gradient.
 *
 * @param x [N,H,W,C]
 * @returns [N, ⌊(H + top + bottom − dilation·(kernel − 1) − 1) / stride⌋ + 1, likewise for columns, C]; ⌈…⌉ with ceilMode
 * @throws ShapeError, ArgumentError
 */
export const maxPool2d = (x: Tensor, options: Pool2dOptions): Tensor =>
  apply('maxPool2d', maxPool2dOp, [x], poolAttrs('maxPool2d', options));

/**
 * The mean of each window over its pixels inside the picture: padding is not counted, unless countIncludePad is true.
 *
 * @param x [N,H,W,C]
 * @returns shape as for maxPool2d
 * @throws ShapeError, ArgumentError
 */
export const avgPool2d = (x: Tensor, options: AvgPool2dOptions): Tensor =>
  apply('avgPool2d', avgPool2dOp, [x], poolAttrs('avgPool2d', options, { countIncludePad: false }));

/**
 * `maxPool2d` for one to three axes.
 *
 * @param x [N,L,C], [N,H,W,C] or [N,D,H,W,C]
 * @throws ShapeError, ArgumentError
 */
export const maxPool = (x: Tensor, options: PoolOptions): Tensor =>
  apply('maxPool', maxPoolDefault, [x], poolAttrs<PoolAttrs>('maxPool', options, {}, axesOf(x)));

/**
 * `avgPool2d` for one to three axes.
 *
 * @param x [N,L,C], [N,H,W,C] or [N,D,H,W,C]
 * @throws ShapeError, ArgumentError
 */
export const avgPool = (x: Tensor, options: AvgPoolOptions): Tensor =>
  apply(
    'avgPool',
    avgPoolDefault,
    [x],
    poolAttrs<AvgPoolAttrs>('avgPool', options, { countIncludePad: false }, axesOf(x)),
  );

/** The sum of each window along one axis of x [N,L,C]. @param sides padding before and after */
export const sumPool1d = (x: Tensor, kernel: number, sides: Pair): Tensor =>
  apply('avgPool', avgPoolDefault, [x], { kernel: [kernel], stride: [1], padding: sides, sum: true });

/**
 * (Σ |x|ᵖ)^(1/p) of each window; padding counts as zeros. Its gradient is 0 where a window is 0 everywhere.
 *
 * @param x [N,H,W,C]
 * @param options.p above 0; default 2
 * @returns shape as for maxPool2d
 * @throws ShapeError, ArgumentError
 */
export function lpPool2d(x: Tensor, options: Pool2dOptions & { p?: number }): Tensor {
  const { p = 2, ...attrs } = poolAttrs<Pool2dAttrs & { p?: number }>('lpPool2d', options, { p: 2 });
  checkPositive('lpPool2d', 'p', p);
  const powerOf = (of: Tensor, exponent: number): Tensor => (exponent === 1 ? of : constantPower(of, exponent));
  return composed(x, () => {
    const sums = apply('avgPool2d', avgPool2dOp, [powerOf(abs(x), p)], { ...attrs, sum: true });
    return powerOf(sums, 1 / p);
  });
}

/** The mean of each channel over the picture. @param x [N,H,W,C] @returns [N,1,1,C] @throws ShapeError */
export function globalAvgPool2d(x: Tensor): Tensor {
  checkPicture('globalAvgPool2d', x);
  return mean(x, [1, 2], true);
}

/** The maximum of each channel over the picture, as of `maxPool2d`. @param x [N,H,W,C] @returns [N,1,1,C] @throws ShapeError */
export function globalMaxPool2d(x: Tensor): Tensor {
  checkPicture('globalMaxPool2d', x);
  return maxPool2d(x, { kernel: [x.shape[1], x.shape[2]] });
}

/** @throws ShapeError, ArgumentError */
function checkPicture(op: string, x: Tensor): void {
  if (!Array.isArray(x?.shape)) refuse(op, 'x', x, 'a tensor');
  if (x.shape.length !== 4) throw new ShapeError(`${op}: input has shape ${formatShape(x.shape)}; expected ${NHWC}`);
}
