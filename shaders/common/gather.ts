import type { AxisPlan } from '../../src/common/conv-geometry.js';

/** A gather convolution on a source that is padded, so that no read needs a test. */
export interface GatherConv {
  batch: number;
  rows: AxisPlan;
  columns: AxisPlan;
  /** Padded source: [H, W] and channels (a multiple of 4), and the zeros before its first row and column. */
  source: { height: number; width: number; channels: number; top: number; left: number };
  dest: { height: number; width: number; channels: number };
  /** Columns of the weight array's tap grid. */
  kernelWidth: number;
  /**
   * How the weights lie: [taps, source channels, dest channels padded to 4], or transposed, [taps, dest channels, source
   * channels], which an input gradient reads as they are.
   */
  transposed: boolean;
  bias: boolean;
}

/** A per-phase number: a literal where there is one phase, else a look-up in a constant table. */
export function phaseValue(plan: AxisPlan, index: string, field: keyof AxisPlan['phases'][number]): string {
  const values = plan.phases.map((phase) => phase[field]);
  if (values.every((value) => value === values[0])) return `${values[0]}`;
  return `array<i32, ${values.length}>(${values.join(', ')})[${index}]`;
}
