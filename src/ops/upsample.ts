import { toPair } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import type { Pair } from '../common/op-attrs.js';
import { upsampleBilinearShape, upsampleNearestShape } from '../common/op-shapes-spatial.js';
import { type ChannelChoice, chooseChannels } from '../kernels/pool.js';
import { type UpsampleMode, upsampleGradientKernel, upsampleKernel, upsampleScalars } from '../kernels/upsample.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

/** Positions are computed in 32-bit integers, as fractions of twice the size of y. */
function checkPositions([, h, w]: readonly number[], [, ho, wo]: readonly number[]): void {
  if ((2 * h + 1) * (2 * ho + 1) < 2 ** 32 && (2 * w + 1) * (2 * wo + 1) < 2 ** 32) return;
  throw new ShapeError(
    `upsample: from ${h}x${w} to ${ho}x${wo} pixels; 4·rows·rows and 4·columns·columns must be < 2^32`,
  );
}

/** The operation, with as many channels an invocation as `choose` says; tests replace the default by one. */
export function upsampleOp(mode: UpsampleMode, choose: ChannelChoice = chooseChannels): Op<unknown> {
  return {
    inputs: ['x'],
    shape: mode === 'nearest' ? upsampleNearestShape : upsampleBilinearShape,
    forward([x], _, shape) {
      checkPositions(x.shape, shape);
      const width = choose(shape[3]);
      const scalars = upsampleScalars(x.shape, shape, width, shape);
      return { output: dispatch(upsampleKernel(mode, shape, width), [x], shape, scalars) };
    },
    backward({ inputs: [x], dy }) {
      const width = choose(x.shape[3]);
      const scalars = upsampleScalars(x.shape, dy.shape, width, x.shape);
      return [dispatch(upsampleGradientKernel(mode, x.shape, width), [dy], x.shape, scalars)];
    },
  };
}

export const upsampleOps = {
  upsampleNearest: /* @__PURE__ */ upsampleOp('nearest'),
  upsampleBilinear: /* @__PURE__ */ upsampleOp('bilinear'),
};

/**
 * Repeats each pixel in a block.
 *
 * @param x [N,H,W,C]
 * @param scale rows and columns of a block: one number for both, or [rows, columns]
 * @returns [N, H·rows, W·columns, C]
 * @throws ShapeError, ArgumentError
 */
export const upsampleNearest = (x: Tensor, scale: number | Pair): Tensor =>
  apply('upsampleNearest', upsampleOps.upsampleNearest, [x], { scale: toPair('upsampleNearest', 'scale', scale) });

/**
 * Resamples by bilinear interpolation between pixel centres (half-pixel convention, align_corners = false), clamped at
 * the edges. A smaller size is accepted too, but nothing is smoothed for it.
 *
 * @param x [N,H,W,C]
 * @param size rows and columns of the result: one number for both, or [rows, columns]
 * @returns [N, ...size, C]
 * @throws ShapeError, ArgumentError
 */
export const upsampleBilinear = (x: Tensor, size: number | Pair): Tensor =>
  apply('upsampleBilinear', upsampleOps.upsampleBilinear, [x], { size: toPair('upsampleBilinear', 'size', size) });
