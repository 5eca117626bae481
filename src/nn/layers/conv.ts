import { ArgumentError } from '../../common/errors.js';
import type { Conv2dAttrs, ConvTranspose2dAttrs, Padding2d, Pair } from '../../common/op-attrs.js';
import { conv2d, convTranspose2d } from '../../ops/conv.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled, heNormal, type Initializer } from '../init.js';
import { Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

export interface ConvLayerOptions {
  /** One number for both axes, or [rows, columns]; default 1. */
  stride?: number | Pair;
  /** In pixels: one number for all sides, [rows, columns], or [top, bottom, left, right]; default 0. */
  padding?: number | Pair | Padding2d;
  /** Default 1. */
  dilation?: number | Pair;
  /** Default 1; the number of channels for a depthwise conv. */
  groups?: number;
  /** Adds one number a channel; default true. */
  bias?: boolean;
  /** First weights; default heNormal. The bias starts at 0. */
  init?: Initializer;
}

const pairOf = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);

function paddingOf(value: number | Pair | Padding2d): Padding2d {
  if (typeof value === 'number') return [value, value, value, value];
  return value.length === 4 ? value : [value[0], value[0], value[1], value[1]];
}

function attrsOf({ stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvLayerOptions): Conv2dAttrs {
  return { stride: pairOf(stride), padding: paddingOf(padding), dilation: pairOf(dilation), groups };
}

/** Channels of a group. */
function perGroup(layer: string, name: string, channels: number, groups: number): number {
  if (!Number.isInteger(channels / groups) || channels < 1) {
    throw new ArgumentError(`${layer}: groups ${groups} must divide the ${channels} ${name} channels`);
  }
  return channels / groups;
}

/** 2-D convolution of pictures [N, H, W, inputs]. Parameters `weight` [kh, kw, inputs/groups, outputs] and `bias`. */
export class Conv2d extends Layer {
  readonly attrs: Conv2dAttrs;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /**
   * @param kernel pixels, one number or [rows, columns]
   * @throws ArgumentError where the groups do not divide the channels
   */
  constructor(inputs: number, outputs: number, kernel: number | Pair, options: ConvLayerOptions = {}) {
    super();
    this.attrs = attrsOf(options);
    const [kh, kw] = pairOf(kernel);
    const groupInputs = perGroup('Conv2d', 'input', inputs, this.attrs.groups);
    perGroup('Conv2d', 'output', outputs, this.attrs.groups);
    this.weight = this.parameter('weight', {
      shape: [kh, kw, groupInputs, outputs],
      init: options.init ?? heNormal(kh * kw * groupInputs),
      layout: 'conv',
    });
    this.bias = options.bias === false ? null : this.parameter('bias', { shape: [outputs], init: filled(0) });
  }

  override forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.tensor, this.bias?.tensor ?? null, this.attrs);
  }
}

export interface ConvTransposeLayerOptions extends ConvLayerOptions {
  /** Rows and columns to add at the bottom and right of the output, below the stride; default 0. */
  outputPadding?: number | Pair;
}

/**
 * 2-D transposed convolution ("deconvolution") of pictures [N, H, W, inputs]. Parameters `weight`
 * [kh, kw, outputs/groups, inputs] and `bias`.
 */
export class ConvTranspose2d extends Layer {
  readonly attrs: ConvTranspose2dAttrs;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /**
   * @param kernel pixels, one number or [rows, columns]
   * @throws ArgumentError where the groups do not divide the channels
   */
  constructor(inputs: number, outputs: number, kernel: number | Pair, options: ConvTransposeLayerOptions = {}) {
    super();
    this.attrs = { ...attrsOf(options), outputPadding: pairOf(options.outputPadding ?? 0) };
    const { stride, groups } = this.attrs;
    const [kh, kw] = pairOf(kernel);
    const groupInputs = perGroup('ConvTranspose2d', 'input', inputs, groups);
    // An output pixel meets one in stride² of the taps.
    const fanIn = Math.max(1, (kh * kw) / (stride[0] * stride[1])) * groupInputs;
    this.weight = this.parameter('weight', {
      shape: [kh, kw, perGroup('ConvTranspose2d', 'output', outputs, groups), inputs],
      init: options.init ?? heNormal(fanIn),
      layout: 'convTranspose',
    });
    this.bias = options.bias === false ? null : this.parameter('bias', { shape: [outputs], init: filled(0) });
  }

  override forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight.tensor, this.bias?.tensor ?? null, this.attrs);
  }
}
