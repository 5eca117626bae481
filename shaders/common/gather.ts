import type { AxisPlan } from '../../src/common/conv-geometry.js';
import type { Precision } from '../../src/common/precision.js';

/** A gather convolution on a source that is padded, so that no read needs a test. */
export interface GatherConv {
  batch: number;
  rows: AxisPlan;
  columns: AxisPlan;
  /**
   * Padded source: [H, W] and channels (a multiple of 4), the zeros before its first row and column, and how it is stored:
   * in `precision`, or as f32 to be rounded where it is read.
   */
  source: { height: number; width: number; channels: number; top: number; left: number; stored: Precision };
  dest: { height: number; width: number; channels: number };
  /** Columns of the weight array's tap grid. */
  kernelWidth: number;
  /**
   * How the weights lie: [taps, source channels, dest channels padded to 4], or transposed, [taps, dest channels, source
   * channels], which an input gradient reads as they are.
   */
  transposed: boolean;
  epilogue: Epilogue;
  /** What the operands are rounded to; the weights are stored so. */
  precision: Precision;
}

/**
 * What a convolution does with its sums before it stores them, with numbers for each dest channel: adds the bias [C], or,
 * for `batchNormPrelu` with [3, C] of scale, shift and slope, z = sum·scale + shift and then z where z > 0, else slope·z;
 * `batchNormRelu6`, with the same numbers but for the slope, is z within [0, 6].
 */
export type Epilogue = 'none' | 'bias' | 'batchNormPrelu' | 'batchNormRelu6';

/** What the rows of the epilogue's numbers are, as `applyEpilogue` names them. */
export function epilogueNames(epilogue: Epilogue): string[] {
  const normal = ['scale', 'shift'];
  return { none: [], bias: ['shift'], batchNormPrelu: [...normal, 'slope'], batchNormRelu6: normal }[epilogue];
}

/** WGSL of row `row` of the epilogue's numbers: a vec4 for the channels from `channel` on (repeating the last), or one. */
function epilogueNumbers(channels: number, row: number, channel: string, width: 1 | 4): string {
  const at = (k: number): string =>
    `epilogue[min(${channel} + ${k}, ${channels - 1})${row > 0 ? ` + ${row * channels}` : ''}]`;
  return width === 1 ? at(0) : `vec4f(${[0, 1, 2, 3].map(at).join(', ')})`;
}

/** WGSL of the epilogue's numbers for `width` channels, named with `suffix`, for `applyEpilogue`. */
export function loadEpilogue(
  epilogue: Epilogue,
  channels: number,
  channel: string,
  suffix: string,
  width: 1 | 4 = 4,
): string {
  return epilogueNames(epilogue)
    .map((name, row) => `let ${name}${suffix} = ${epilogueNumbers(channels, row, channel, width)};`)
    .join(' ');
}

/** WGSL of the value to store for a vector of `width` sums, or for one. */
export function applyEpilogue(epilogue: Epilogue, sum: string, suffix: string, width: 1 | 2 | 4 = 4): string {
  if (epilogue === 'none') return sum;
  if (epilogue === 'bias') return `${sum} + shift${suffix}`;
  const z = `fma(${sum}, scale${suffix}, shift${suffix})`;
  const type = width === 1 ? 'f32' : `vec${width}f`;
  if (epilogue === 'batchNormRelu6') return `clamp(${z}, ${type}(), ${type}(6))`;
  return `select(slope${suffix} * ${z}, ${z}, ${z} > ${type}())`;
}

/** A per-phase number: a literal where there is one phase, else a look-up in a constant table. */
export function phaseValue(plan: AxisPlan, index: string, field: keyof AxisPlan['phases'][number]): string {
  const values = plan.phases.map((phase) => phase[field]);
  if (values.every((value) => value === values[0])) return `${values[0]}`;
  return `array<i32, ${values.length}>(${values.join(', ')})[${index}]`;
}
