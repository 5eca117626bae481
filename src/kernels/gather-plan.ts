import type { AxisPlan, ConvShape } from '../common/conv-geometry.js';
import type { Kernel } from '../gpu/kernel.js';

/** A gather convolution as the choice sees it. */
export interface GatherSize {
  shape: ConvShape;
  destChannels: number;
  rows: AxisPlan;
  columns: AxisPlan;
}

/** A kernel with one output, that output's shape, and what fills the kernel's uniform where it has one. */
export interface Step {
  kernel: Kernel;
  shape: readonly number[];
  scalars?: ArrayBuffer;
}

/** What a step of a gather reads: an operand of the convolution, or the result of the step with that index. */
export type GatherInput = 'source' | 'weights' | 'epilogue' | number;

export interface GatherStep extends Step {
  inputs: readonly GatherInput[];
}

/** The kernels of one gather convolution, one after the other; the last gives the result. */
export interface GatherPlan {
  steps: readonly GatherStep[];
  /** The step that pads the source, for the weight gradient to share; null where none does. */
  padded: number | null;
}
