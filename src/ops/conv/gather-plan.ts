import {
  type AxisPlan,
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
}

export function gatherOf(shape: ConvShape, direction: GatherDirection): Gather {
  const input = [shape.batch, ...shape.input, shape.cin];
  const output = [shape.batch, ...shape.output, shape.cout];
  const [source, dest, axis] =
    direction === 'forward' ? [input, output, forwardAxis] : [output, input, inputGradientAxis];
  return { shape, direction, source, dest, vertical: axis(shape, 0), horizontal: axis(shape, 1) };
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
