import { toPadding, toPair, withDefaults } from '../common/arguments.js';
import type { Padding2d, Pair, Pool2dAttrs } from '../common/op-attrs.js';
import { avgPool2dShape, maxPool2dShape } from '../common/op-shapes.js';
import {
  avgPoolGradientKernel,
  avgPoolKernel,
  type ChannelChoice,
  chooseChannels,
  maxPoolGradientKernel,
  maxPoolKernel,
  poolScalars,
} from '../kernels/pool.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

/** Max pooling, with as many channels an invocation as `choose` says; tests replace the default by one. */
export function maxPool2dOp(choose: ChannelChoice = chooseChannels): Op<Pool2dAttrs> {
  return {
    inputs: ['x'],
    shape: maxPool2dShape,
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
    shape: avgPool2dShape,
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

/** What both poolings take beside the tensor. */
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

function attrsOf(op: string, options: Pool2dOptions): Pool2dAttrs {
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
  apply('maxPool2d', poolOps.maxPool2d, [x], attrsOf('maxPool2d', options));

/**
 * The mean of each window over its pixels inside the picture: padding is not counted.
 *
 * @param x [N,H,W,C]
 * @returns shape as for maxPool2d
 * @throws ShapeError, ArgumentError
 */
export const avgPool2d = (x: Tensor, options: Pool2dOptions): Tensor =>
  apply('avgPool2d', poolOps.avgPool2d, [x], attrsOf('avgPool2d', options));
