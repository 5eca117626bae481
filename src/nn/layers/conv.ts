import { checkCount, checkOptions } from '../../common/arguments.js';
import { ArgumentError } from '../../common/errors.js';
import type { Pair } from '../../common/shapes.js';
import {
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convAttrs,
  convTranspose2d,
  convTransposeAttrs,
} from '../../ops/conv/conv.js';
import { convBatchNormPrelu } from '../../ops/conv/inference.js';
import type { Conv2dAttrs, ConvTranspose2dAttrs } from '../../ops/conv/shape.js';
import { toPair } from '../../ops/shape-checks.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled, heNormal, type Initializer } from '../init.js';
import { type FusedForward, type FusibleLayer, Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

/** Options of a layer in addition to those of its operation. */
interface WeightOptions {
  /** Adds one number to each channel; default true. */
  bias?: boolean;
  /** First weights; default heNormal. The bias starts at 0. */
  init?: Initializer;
}

export interface ConvLayerOptions extends Conv2dOptions, WeightOptions {}
export interface ConvTransposeLayerOptions extends ConvTranspose2dOptions, WeightOptions {}

const LAYER_OPTIONS = ['stride', 'padding', 'dilation', 'groups', 'bias', 'init'];

/** Channels of a group. */
function perGroup(layer: string, name: string, channels: number, groups: number): number {
  checkCount(layer, `${name}s`, channels);
  if (channels % groups !== 0) {
    throw new ArgumentError(`${layer}: groups ${groups} must divide the ${channels} ${name} channels`);
  }
  return channels / groups;
}

/** Runs a conv without bias as one operation with the batch norm and the PReLU that follow; null if others follow. */
function fused(
  { bias, weight, attrs }: Conv2d | ConvTranspose2d,
  x: Tensor,
  [norm, activation]: readonly FusibleLayer[],
  transposed: boolean,
): FusedForward | null {
  const fixed = bias === null && norm?.fusedNorm?.();
  const slopes = fixed && activation?.fusedSlopes?.();
  if (!fixed || !slopes) return null;
  return { output: convBatchNormPrelu(x, weight.tensor, fixed, slopes, attrs, { transposed }), followers: 2 };
}

/** 2-D convolution of pictures [N, H, W, inputs]. Parameters `weight` [kh, kw, inputs/groups, outputs] and `bias`. */
export class Conv2d extends Layer implements FusibleLayer {
  readonly attrs: Conv2dAttrs;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /**
   * @param kernel pixels, one number or [rows, columns]
   * @throws ArgumentError if the groups do not divide the channels
   */
  constructor(inputs: number, outputs: number, kernel: number | Pair, options: ConvLayerOptions = {}) {
    super();
    const { bias, init, ...attrs } = checkOptions('Conv2d', options, LAYER_OPTIONS);
    this.attrs = convAttrs('Conv2d', attrs);
    const [kh, kw] = toPair('Conv2d', 'kernel', kernel);
    const groupInputs = perGroup('Conv2d', 'input', inputs, this.attrs.groups);
    perGroup('Conv2d', 'output', outputs, this.attrs.groups);
    this.weight = this.parameter('weight', {
      shape: [kh, kw, groupInputs, outputs],
      init: init ?? heNormal(kh * kw * groupInputs),
      layout: 'conv',
    });
    this.bias = bias === false ? null : this.parameter('bias', { shape: [outputs], init: filled(0) });
  }

  override forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.tensor, this.bias?.tensor ?? null, this.attrs);
  }

  forwardFused(x: Tensor, following: readonly FusibleLayer[]): FusedForward | null {
    return this.constructor === Conv2d ? fused(this, x, following, false) : null;
  }
}

/**
 * 2-D transposed convolution ("deconvolution") of pictures [N, H, W, inputs]. Parameters `weight`
 * [kh, kw, outputs/groups, inputs] and `bias`.
 */
export class ConvTranspose2d extends Layer implements FusibleLayer {
  readonly attrs: ConvTranspose2dAttrs;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /**
   * @param kernel pixels, one number or [rows, columns]
   * @throws ArgumentError if the groups do not divide the channels
   */
  constructor(inputs: number, outputs: number, kernel: number | Pair, options: ConvTransposeLayerOptions = {}) {
    super();
    const { bias, init, ...attrs } = checkOptions('ConvTranspose2d', options, [...LAYER_OPTIONS, 'outputPadding']);
    this.attrs = convTransposeAttrs('ConvTranspose2d', attrs);
    const { stride, groups } = this.attrs;
    const [kh, kw] = toPair('ConvTranspose2d', 'kernel', kernel);
    const groupInputs = perGroup('ConvTranspose2d', 'input', inputs, groups);
    // An output pixel meets one in stride² of the taps.
    const fanIn = Math.max(1, (kh * kw) / (stride[0] * stride[1])) * groupInputs;
    this.weight = this.parameter('weight', {
      shape: [kh, kw, perGroup('ConvTranspose2d', 'output', outputs, groups), inputs],
      init: init ?? heNormal(fanIn),
      layout: 'convTranspose',
    });
    this.bias = bias === false ? null : this.parameter('bias', { shape: [outputs], init: filled(0) });
  }

  override forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight.tensor, this.bias?.tensor ?? null, this.attrs);
  }

  forwardFused(x: Tensor, following: readonly FusibleLayer[]): FusedForward | null {
    return this.constructor === ConvTranspose2d ? fused(this, x, following, true) : null;
  }
}
