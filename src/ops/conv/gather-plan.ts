import {
  type AxisPlan,
  type Blocks,
  type ConvShape,
  forwardAxis,
  inputGradientAxis,
} from '../../../shaders/common/conv-geometry.js';
import type { Kernel } from '../../gpu/kernel.js';

/** What is computed as a gather: the output of a convolution, or its input gradient (a transposed conv). */
export type GatherDirection = 'forward' | 'inputGradient';

/** A gather convolution, as its kernels and the choice among them take it. */
export interface Gather {
  shape: ConvShape;
  direction: GatherDirection;
  /** [N, H, W, C] of what is read, and of the result. */
  source: readonly number[];
  dest: readonly number[];
  vertical: AxisPlan;
  horizontal: AxisPlan;
  /** Where `dest` is not the result itself, but the result in blocks. */
  blocks?: Blocks;
}

export function gatherOf(shape: ConvShape, direction: GatherDirection): Gather {
  const input = [shape.batch, ...shape.input, shape.cin];
  const output = [shape.batch, ...shape.output, shape.cout];
  const [source, dest, axis] =
    direction === 'forward' ? [input, output, forwardAxis] : [output, input, inputGradientAxis];
  return { shape, direction, source, dest, vertical: axis(shape, 0), horizontal: axis(shape, 1) };
}

/**
 * An input gradient of stride s (a transposed conv) as one of stride 1, whose pixels are blocks of s × s pixels with all their
 * channels: one pass with many channels in place of s² phases with few. It is the convolution of "sub-pixel" upsampling (Shi et
 * al. 2016, arXiv 1609.05158).
 * @returns null where phases have different taps, or there is only one phase
 */
export function blocksOf({ shape, direction, dest }: Gather): Gather | null {
  const { stride, kernel, padding, dilation, groups, input, cin } = shape;
  const [down, across] = stride;
  const even = kernel[0] % down === 0 && kernel[1] % across === 0;
  if (direction === 'forward' || down * across === 1 || !even || `${dilation}` !== '1,1' || groups > 1) return null;
  const each = (of: (axis: 0 | 1) => number): [number, number] => [of(0), of(1)];
  const before = each((k) => padding[k] % stride[k]);
  const blocked: ConvShape = {
    ...shape,
    input: each((k) => Math.ceil((input[k] + before[k]) / stride[k])),
    cin: down * across * cin,
    kernel: each((k) => kernel[k] / stride[k]),
    stride: [1, 1],
    padding: each((k) => Math.floor(padding[k] / stride[k])),
  };
  return { ...gatherOf(blocked, direction), blocks: { stride, before, picture: dest.slice(1) } };
}

/** A kernel with one output, the shape of that output, and the kernel's uniform if it has one. */
export interface Step {
  kernel: Kernel;
  shape: readonly number[];
  scalars?: ArrayBuffer;
}

/**
 * What a step of a convolution reads: an operand of the pass, or the result of the step with that index. Of a weight gradient
 * 'source' is the input, and 'output' the gradient of the output.
 */
export type ConvInput = 'source' | 'weights' | 'epilogue' | 'output' | number;

export interface ConvStep extends Step {
  inputs: readonly ConvInput[];
}

/** The kernels of one pass of a convolution, one after the other; the last gives the result. */
export interface ConvPlan {
  steps: readonly ConvStep[];
  /** The step that pads the source, which the forward pass and the weight gradient share; null if none does. */
  padded: number | null;
}
