import { BLOCK } from '../../shaders/common/block-sums.js';
import { type ColumnWidth, columnPlan } from '../../shaders/common/columns.js';
import type { Shader } from '../common/shader.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** How to walk an array [rows, channels]; see `shaders/common/columns.ts`. */
export interface ColumnConfig {
  readonly rows: number;
  /** channels / width */
  readonly groups: number;
  readonly width: ColumnWidth;
  /** Rows visited at the same time, ≤ rows; a sum over a column first becomes this many partial sums. */
  readonly slots: number;
  /** Lanes of a workgroup that fold the slots of a group, a power of two ≤ slots. */
  readonly lanes: number;
}

/** The uniform `plan` of every kernel that walks columns. */
export function planScalars({ rows, groups, slots }: ColumnConfig): ArrayBuffer {
  return columnPlan.pack({ rows, groups, slots, threads: slots * groups });
}

const widthOf = (channels: number) => (channels % 4 === 0 ? 4 : channels % 2 === 0 ? 2 : 1);

/** Lanes of a folding workgroup. Few variants, since software adapters take a second to compile one. */
const LANES = 64;

/** What a walk produces: results for each row, or for each column as well (which costs a fold of the slots). */
export type ColumnPurpose = 'map' | 'sum';

/**
 * Chooses how to walk [rows, channels]: enough invocations to fill the device, yet several rows for each, so that
 * what an invocation loads once for its channels is cheap beside its rows.
 */
export function chooseColumns(
  rows: number,
  channels: number,
  limits: KernelLimits,
  purpose: ColumnPurpose,
): ColumnConfig {
  const width = widthOf(channels);
  const groups = channels / width;
  const invocations = limits.software ? 2048 : 2 ** 18;
  const mostSlots = purpose === 'map' ? rows : limits.software ? 256 : 1024;
  // Most rows of a sum in one invocation: a block of blocks.
  const leastSlots = purpose === 'map' ? 1 : Math.ceil(rows / BLOCK ** 2);
  const slots = Math.max(leastSlots, Math.min(Math.ceil(invocations / groups), Math.ceil(rows / 8), mostSlots));
  const lanes = limits.software || slots < LANES ? 1 : LANES;
  return { rows, groups, width, slots, lanes };
}

/** The plainest plan: one invocation a channel, which visits all rows in order. */
export function naiveColumns(rows: number, channels: number): ColumnConfig {
  return { rows, groups: channels, width: 1, slots: 1, lanes: 1 };
}

/** Shape [slots, channels] of the partial results of a walk. */
export function partialsShape({ slots, groups, width }: ColumnConfig): number[] {
  return [slots, groups * width];
}

/** Grid of a kernel that walks columns: one invocation a slot and group. */
export function columnGrid({ slots, groups }: ColumnConfig): [number, number, number] {
  return elementGrid(slots * groups);
}

/** A kernel that walks columns. */
export function columnKernel(label: string, shader: Shader, config: ColumnConfig): Kernel {
  return { label, ...shader, workgroups: columnGrid(config) };
}

/** Grid of a kernel that folds the slots of each group. */
export function foldGrid({ groups, lanes }: ColumnConfig): [number, number, number] {
  return lanes === 1 ? elementGrid(groups) : linearGrid(groups);
}

/** Channels of an invocation, a divisor of their number. */
export type ChannelChoice = (channels: number) => ColumnWidth;

export const chooseChannels: ChannelChoice = (channels) => (channels % 4 === 0 ? 4 : channels % 2 === 0 ? 2 : 1);
/** One channel an invocation. */
export const naiveChannels: ChannelChoice = () => 1;
