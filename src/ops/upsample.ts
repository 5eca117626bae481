import type { ChannelWidth } from '../../shaders/common/channel-walk.js';
import {
  upsampleBilinearGradientShader,
  upsampleBilinearShader,
  upsampleNearestGradientShader,
  upsampleNearestShader,
  upsamplePlan,
} from '../../shaders/upsample.wgsl.js';
import { ShapeError } from '../common/errors.js';
import { type Pair, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { type ChannelChoice, chooseChannels } from '../kernels/channel-walk.js';
import { elementKernel } from '../kernels/elementwise.js';
import { type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkPair, checkRank, NHWC, toPair } from './shape-checks.js';

export interface UpsampleNearestAttrs {
  scale: Pair;
}

/** Half-pixel centres (align_corners = false), edges clamped. */
export interface UpsampleBilinearAttrs {
  size: Pair;
}

/** @throws ShapeError, ArgumentError */
export function upsampleNearestShape(inputs: readonly Shape[], attrs: UpsampleNearestAttrs): number[] {
  checkInputs('upsampleNearest', inputs, ['input']);
  const [x] = inputs;
  checkRank('upsampleNearest', 'input', x, 4, NHWC);
  checkPair('upsampleNearest', 'scale', attrs.scale, 1);
  return [x[0], x[1] * attrs.scale[0], x[2] * attrs.scale[1], x[3]];
}

/** @throws ShapeError, ArgumentError */
export function upsampleBilinearShape(inputs: readonly Shape[], attrs: UpsampleBilinearAttrs): number[] {
  checkInputs('upsampleBilinear', inputs, ['input']);
  const [x] = inputs;
  checkRank('upsampleBilinear', 'input', x, 4, NHWC);
  checkPair('upsampleBilinear', 'size', attrs.size, 1);
  return [x[0], attrs.size[0], attrs.size[1], x[3]];
}

export type UpsampleMode = 'nearest' | 'bilinear';

const SHADERS = {
  nearest: { forward: upsampleNearestShader, gradient: upsampleNearestGradientShader },
  bilinear: { forward: upsampleBilinearShader, gradient: upsampleBilinearGradientShader },
};

/**
 * The uniform of a kernel with one invocation a pixel and channel group of the `outputs`.
 * @param x [N,H,W,C]
 * @param y [N,Ho,Wo,C]
 */
export function upsampleScalars(
  x: readonly number[],
  y: readonly number[],
  width: ChannelWidth,
  outputs: readonly number[],
): ArrayBuffer {
  return upsamplePlan.pack({
    input: [x[1], x[2]],
    output: [y[1], y[2]],
    groups: x[3] / width,
    threads: sizeOf(outputs) / width,
  });
}

/** Bindings x, y; `y` is the shape of y. */
export function upsampleKernel(mode: UpsampleMode, y: readonly number[], width: ChannelWidth): Kernel {
  return elementKernel(`upsample ${mode}`, SHADERS[mode].forward(width), sizeOf(y) / width);
}

/** Bindings dy, dx; `x` is the shape of x. */
export function upsampleGradientKernel(mode: UpsampleMode, x: readonly number[], width: ChannelWidth): Kernel {
  return elementKernel(`upsample ${mode} gradient`, SHADERS[mode].gradient(width), sizeOf(x) / width);
}

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

const upsampleNearestOp: Op<UpsampleNearestAttrs> = /* @__PURE__ */ upsampleOp('nearest');
const upsampleBilinearOp: Op<UpsampleBilinearAttrs> = /* @__PURE__ */ upsampleOp('bilinear');

export const upsampleOps = { upsampleNearest: upsampleNearestOp, upsampleBilinear: upsampleBilinearOp };

/**
 * Repeats each pixel in a block.
 *
 * @param x [N,H,W,C]
 * @param scale rows and columns of a block: one number for both, or [rows, columns]
 * @returns [N, H·rows, W·columns, C]
 * @throws ShapeError, ArgumentError
 */
export const upsampleNearest = (x: Tensor, scale: number | Pair): Tensor =>
  apply('upsampleNearest', upsampleNearestOp, [x], { scale: toPair('upsampleNearest', 'scale', scale) });

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
  apply('upsampleBilinear', upsampleBilinearOp, [x], { size: toPair('upsampleBilinear', 'size', size) });

/** Along one axis: for each output position, the two input positions it mixes and the weight of the second. */
interface Taps {
  low: Int32Array;
  high: Int32Array;
  weight: Float64Array;
}

function nearestTaps(size: number, outputs: number): Taps {
  const low = Int32Array.from({ length: outputs }, (_, i) => Math.floor(i / (outputs / size)));
  return { low, high: low, weight: new Float64Array(outputs) };
}

function bilinearTaps(size: number, outputs: number): Taps {
  const taps = { low: new Int32Array(outputs), high: new Int32Array(outputs), weight: new Float64Array(outputs) };
  for (let i = 0; i < outputs; i++) {
    const centre = Math.min(Math.max(((i + 0.5) * size) / outputs - 0.5, 0), size - 1);
    taps.low[i] = Math.floor(centre);
    taps.high[i] = Math.min(taps.low[i] + 1, size - 1);
    taps.weight[i] = centre - taps.low[i];
  }
  return taps;
}

type VisitTap = (output: number, at: number, weight: number) => void;

/** Calls `visit` for every pair of an output pixel and an input pixel it reads: where their channels start, and the weight. */
function forEachTap(input: Shape, output: Shape, rows: Taps, columns: Taps, visit: VisitTap): void {
  const [batch, h, w, channels] = input;
  const [, ho, wo] = output;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < ho; oy++) {
      for (let ox = 0; ox < wo; ox++) {
        const out = ((n * ho + oy) * wo + ox) * channels;
        for (const [y, wy] of [
          [rows.low[oy], 1 - rows.weight[oy]],
          [rows.high[oy], rows.weight[oy]],
        ]) {
          if (wy === 0) continue;
          for (const [x, wx] of [
            [columns.low[ox], 1 - columns.weight[ox]],
            [columns.high[ox], columns.weight[ox]],
          ]) {
            if (wx !== 0) visit(out, ((n * h + y) * w + x) * channels, wy * wx);
          }
        }
      }
    }
  }
}

function upsampleReference<A>(taps: (size: number, outputs: number) => Taps): ReferenceRule<A> {
  const visitAll = (x: NdArray, output: Shape, visit: VisitTap): void => {
    forEachTap(x.shape, output, taps(x.shape[1], output[1]), taps(x.shape[2], output[2]), visit);
  };
  return {
    forward([x], _attrs, shape) {
      const out = zeros(shape);
      visitAll(x, shape, (i, at, weight) => {
        for (let c = 0; c < shape[3]; c++) out.data[i + c] += x.data[at + c] * weight;
      });
      return out;
    },
    backward([x], _output, dy) {
      const dx = zeros(x.shape);
      visitAll(x, dy.shape, (i, at, weight) => {
        for (let c = 0; c < dy.shape[3]; c++) dx.data[at + c] += dy.data[i + c] * weight;
      });
      return [dx];
    },
  };
}

export const upsampleNearestReference = /* @__PURE__ */ upsampleReference<UpsampleNearestAttrs>(nearestTaps);
export const upsampleBilinearReference = /* @__PURE__ */ upsampleReference<UpsampleBilinearAttrs>(bilinearTaps);

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const upsampleReferences = {
  upsampleNearest: upsampleNearestReference,
  upsampleBilinear: upsampleBilinearReference,
};
