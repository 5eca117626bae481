import type { ChannelWidth } from '../../shaders/common/channel-walk.js';
import {
  avgPoolGradientShader,
  avgPoolShader,
  maxPoolGradientShader,
  maxPoolShader,
  poolPlan,
} from '../../shaders/pool.wgsl.js';
import { withDefaults } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import type { Shader } from '../common/shader.js';
import { formatShape, type Padding2d, type Pair, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ChannelChoice, chooseChannels } from '../kernels/channel-walk.js';
import { elementGrid } from '../kernels/elementwise.js';
import { type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { convOutputSize } from './conv/shape.js';
import { checkInputs, checkPadding, checkPair, checkRank, NHWC, toPadding, toPair } from './shape-checks.js';

/** maxPool2d: padding never wins, and on a tie the first pixel in row-major order gets the gradient. avgPool2d: padding is not counted. */
export interface Pool2dAttrs {
  kernel: Pair;
  stride: Pair;
  padding: Padding2d;
}

/** @throws ShapeError, ArgumentError */
export function pool2dShape(op: 'maxPool2d' | 'avgPool2d', inputs: readonly Shape[], attrs: Pool2dAttrs): number[] {
  checkInputs(op, inputs, ['input']);
  const [x] = inputs;
  checkRank(op, 'input', x, 4, NHWC);
  checkPair(op, 'kernel', attrs.kernel, 1);
  checkPair(op, 'stride', attrs.stride, 1);
  checkPadding(op, attrs.padding);
  const [kh, kw] = attrs.kernel;
  const [top, bottom, left, right] = attrs.padding;
  // Else a window could lie wholly in the padding, where neither a maximum nor a mean is defined.
  if (Math.max(top, bottom) >= kh || Math.max(left, right) >= kw) {
    throw new ShapeError(`${op}: padding [${attrs.padding.join(',')}] must be below the kernel of ${kh}x${kw}`);
  }
  const [ho, wo] = convOutputSize([x[1], x[2]], attrs.kernel, { ...attrs, dilation: [1, 1] });
  if (ho < 1 || wo < 1) {
    throw new ShapeError(
      `${op}: a kernel of ${kh}x${kw} does not fit the input ${formatShape(x)} with padding [${attrs.padding.join(',')}]`,
    );
  }
  return [x[0], ho, wo, x[3]];
}

/**
 * The uniform of a kernel with one invocation a pixel and channel group of the `outputs`.
 * @param x [N,H,W,C], what the windows are taken from
 * @param y [N,Ho,Wo,C]
 */
export function poolScalars(
  x: readonly number[],
  y: readonly number[],
  { kernel, stride, padding }: Pool2dAttrs,
  width: ChannelWidth,
  outputs: readonly number[],
): ArrayBuffer {
  return poolPlan.pack({
    input: [x[1], x[2]],
    output: [y[1], y[2]],
    kernel,
    stride,
    padding: [padding[0], padding[2]],
    groups: x[3] / width,
    threads: sizeOf(outputs) / width,
  });
}

function poolKernel(label: string, shader: Shader, outputs: readonly number[], width: ChannelWidth): Kernel {
  return { label, ...shader, workgroups: elementGrid(sizeOf(outputs) / width) };
}

/** Bindings x, y, winners (of y's shape); `y` is the shape of y. */
export function maxPoolKernel(y: readonly number[], width: ChannelWidth): Kernel {
  return poolKernel('max pool', maxPoolShader(width), y, width);
}

/** Bindings winners, dy, dx; `x` is the shape of x. */
export function maxPoolGradientKernel(x: readonly number[], width: ChannelWidth): Kernel {
  return poolKernel('max pool gradient', maxPoolGradientShader(width), x, width);
}

/** Bindings x, y. */
export function avgPoolKernel(y: readonly number[], width: ChannelWidth): Kernel {
  return poolKernel('average pool', avgPoolShader(width), y, width);
}

/** Bindings dy, dx. */
export function avgPoolGradientKernel(x: readonly number[], width: ChannelWidth): Kernel {
  return poolKernel('average pool gradient', avgPoolGradientShader(width), x, width);
}

/** Max pooling, with as many channels an invocation as `choose` says; tests replace the default by one. */
export function maxPool2dOp(choose: ChannelChoice = chooseChannels): Op<Pool2dAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => pool2dShape('maxPool2d', inputs, attrs),
    forward([x], attrs, shape) {
      const width = choose(shape[3]);
      const scalars = poolScalars(x.shape, shape, attrs, width, shape);
      const [output, winners] = dispatchMany(maxPoolKernel(shape, width), [x], [shape, shape], scalars);
      return { output, saved: [winners] };
    },
    backward({ inputs: [x], saved: [winners], attrs, dy }) {
      const width = choose(x.shape[3]);
      const scalars = poolScalars(x.shape, dy.shape, attrs, width, x.shape);
      return [dispatch(maxPoolGradientKernel(x.shape, width), [winners, dy], x.shape, scalars)];
    },
  };
}

/** Average pooling, likewise. */
export function avgPool2dOp(choose: ChannelChoice = chooseChannels): Op<Pool2dAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => pool2dShape('avgPool2d', inputs, attrs),
    forward([x], attrs, shape) {
      const width = choose(shape[3]);
      const scalars = poolScalars(x.shape, shape, attrs, width, shape);
      return { output: dispatch(avgPoolKernel(shape, width), [x], shape, scalars) };
    },
    backward({ inputs: [x], attrs, dy }) {
      const width = choose(x.shape[3]);
      const scalars = poolScalars(x.shape, dy.shape, attrs, width, x.shape);
      return [dispatch(avgPoolGradientKernel(x.shape, width), [dy], x.shape, scalars)];
    },
  };
}

export const poolOps = { maxPool2d: /* @__PURE__ */ maxPool2dOp(), avgPool2d: /* @__PURE__ */ avgPool2dOp() };

/** Options of both poolings. */
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
}

/** The options with their defaults, checked. @throws ArgumentError */
export function poolAttrs(op: string, options: Pool2dOptions): Pool2dAttrs {
  const { kernel, stride, padding } = withDefaults<Pool2dOptions>(op, options, {
    kernel: undefined as never, // has none, and is checked by toPair
    stride: options?.kernel,
    padding: 0,
  });
  return {
    kernel: toPair(op, 'kernel', kernel),
    stride: toPair(op, 'stride', stride as number | Pair),
    padding: toPadding(op, padding as number | Pair | Padding2d),
  };
}

/**
 * The largest value of each window. Padding never wins; on a tie the first pixel in row-major order gets the gradient.
 *
 * @param x [N,H,W,C]
 * @returns [N, ⌊(H + top + bottom − kernel) / stride⌋ + 1, likewise for columns, C]
 * @throws ShapeError, ArgumentError
 */
export const maxPool2d = (x: Tensor, options: Pool2dOptions): Tensor =>
  apply('maxPool2d', poolOps.maxPool2d, [x], poolAttrs('maxPool2d', options));

/**
 * The mean of each window over its pixels inside the picture: padding is not counted.
 *
 * @param x [N,H,W,C]
 * @returns shape as for maxPool2d
 * @throws ShapeError, ArgumentError
 */
export const avgPool2d = (x: Tensor, options: Pool2dOptions): Tensor =>
  apply('avgPool2d', poolOps.avgPool2d, [x], poolAttrs('avgPool2d', options));

type VisitWindow = (
  output: number,
  rows: readonly [number, number],
  columns: readonly [number, number],
  n: number,
) => void;

/** Calls `visit` for every output pixel with where its channels start, and its window inside the picture (ends exclusive). */
function forEachWindow(input: Shape, output: Shape, attrs: Pool2dAttrs, visit: VisitWindow): void {
  const [batch, h, w, channels] = input;
  const [, ho, wo] = output;
  const [top, , left] = attrs.padding;
  const inside = (first: number, kernel: number, size: number): [number, number] => [
    Math.max(first, 0),
    Math.min(first + kernel, size),
  ];
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < ho; oy++) {
      const rows = inside(oy * attrs.stride[0] - top, attrs.kernel[0], h);
      for (let ox = 0; ox < wo; ox++) {
        const columns = inside(ox * attrs.stride[1] - left, attrs.kernel[1], w);
        visit(((n * ho + oy) * wo + ox) * channels, rows, columns, n);
      }
    }
  }
}

/** Calls `visit` for every output element with the element of x that wins: the first NaN, else the first of the largest. */
function forEachMaximum(
  x: NdArray,
  output: Shape,
  attrs: Pool2dAttrs,
  visit: (output: number, at: number) => void,
): void {
  const [, h, w, channels] = x.shape;
  forEachWindow(x.shape, output, attrs, (out, rows, columns, n) => {
    for (let c = 0; c < channels; c++) {
      let best = -1;
      for (let y = rows[0]; y < rows[1]; y++) {
        for (let col = columns[0]; col < columns[1]; col++) {
          const at = ((n * h + y) * w + col) * channels + c;
          const wins = x.data[at] > x.data[best] || Number.isNaN(x.data[at]);
          if (best < 0 || (wins && !Number.isNaN(x.data[best]))) best = at;
        }
      }
      visit(out + c, best);
    }
  });
}

export const maxPool2dReference: ReferenceRule<Pool2dAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachMaximum(x, shape, attrs, (i, at) => {
      out.data[i] = x.data[at];
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachMaximum(x, dy.shape, attrs, (i, at) => {
      dx.data[at] += dy.data[i];
    });
    return [dx];
  },
};

/** Calls `visit` for every pair of an output element and an element of x in its window, with one over the window's pixels. */
function forEachShare(
  input: Shape,
  output: Shape,
  attrs: Pool2dAttrs,
  visit: (output: number, at: number, share: number) => void,
): void {
  const [, h, w, channels] = input;
  forEachWindow(input, output, attrs, (out, rows, columns, n) => {
    const share = 1 / ((rows[1] - rows[0]) * (columns[1] - columns[0]));
    for (let y = rows[0]; y < rows[1]; y++) {
      for (let col = columns[0]; col < columns[1]; col++) {
        const first = ((n * h + y) * w + col) * channels;
        for (let c = 0; c < channels; c++) visit(out + c, first + c, share);
      }
    }
  });
}

export const avgPool2dReference: ReferenceRule<Pool2dAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachShare(x.shape, shape, attrs, (i, at, share) => {
      out.data[i] += x.data[at] * share;
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachShare(x.shape, dy.shape, attrs, (i, at, share) => {
      dx.data[at] += dy.data[i] * share;
    });
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const poolReferences = { maxPool2d: maxPool2dReference, avgPool2d: avgPool2dReference };
