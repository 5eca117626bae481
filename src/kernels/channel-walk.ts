import { SUM_BLOCK } from '../../shaders/common/block-sums.js';
import { type ChannelWidth, walkPlan } from '../../shaders/common/channel-walk.js';
import type { Shader } from '../common/shader.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** How to walk an array [rows, channels]; see `shaders/common/channel-walk.ts`. */
export interface ChannelWalk {
  readonly rows: number;
  /** channels / width */
  readonly groups: number;
  readonly width: ChannelWidth;
  /** Rows visited at the same time, ≤ rows; a sum over the rows first becomes this many partial sums. */
  readonly parts: number;
  /** Lanes of a workgroup that fold the parts of a group, a power of two ≤ parts. */
  readonly lanes: number;
}

/** The uniform `plan` of every kernel that walks channels. */
export function walkScalars({ rows, groups, parts }: ChannelWalk): ArrayBuffer {
  return walkPlan.pack({ rows, groups, parts, threads: parts * groups });
}

/** Lanes of a folding workgroup. Few variants, since software adapters take a second to compile one. */
const LANES = 64;

/** What a walk produces: results for each row, or for each channel as well (which costs a fold of the parts). */
export type WalkPurpose = 'map' | 'sum';

/**
 * Chooses how to walk [rows, channels]: enough invocations to fill the device, yet several rows for each, so that
 * what an invocation loads once for its channels is cheap beside its rows.
 */
export function chooseWalk(rows: number, channels: number, limits: KernelLimits, purpose: WalkPurpose): ChannelWalk {
  const width = chooseChannels(channels);
  const groups = channels / width;
  const invocations = limits.software ? 1024 : 2 ** 18;
  const maxParts = purpose === 'map' ? rows : limits.software ? 256 : 1024;
  // Most rows of a sum in one invocation: a block of blocks.
  const minParts = purpose === 'map' ? 1 : Math.ceil(rows / SUM_BLOCK ** 2);
  const parts = Math.max(minParts, Math.min(Math.ceil(invocations / groups), Math.ceil(rows / 8), maxParts));
  const lanes = limits.software || parts < LANES ? 1 : LANES;
  return { rows, groups, width, parts, lanes };
}

/** The plainest plan: one invocation a channel, which visits all rows in order. */
export function naiveWalk(rows: number, channels: number): ChannelWalk {
  return { rows, groups: channels, width: 1, parts: 1, lanes: 1 };
}

/** Shape [parts, channels] of the partial results of a walk. */
export function partialsShape({ parts, groups, width }: ChannelWalk): number[] {
  return [parts, groups * width];
}

/** Grid of a kernel that walks channels: one invocation a part and group. */
export function walkGrid({ parts, groups }: ChannelWalk): [number, number, number] {
  return elementGrid(parts * groups);
}

/** A kernel that walks channels. */
export function walkKernel(label: string, shader: Shader, config: ChannelWalk): Kernel {
  return { label, ...shader, workgroups: walkGrid(config) };
}

/** Grid of a kernel that folds the parts of each group. */
export function foldGrid({ groups, lanes }: ChannelWalk): [number, number, number] {
  return lanes === 1 ? elementGrid(groups) : linearGrid(groups);
}

/** Channels of an invocation, a divisor of their number. */
export type ChannelChoice = (channels: number) => ChannelWidth;

/** As many as one load can bring. */
export const chooseChannels: ChannelChoice = (channels) => (channels % 4 === 0 ? 4 : channels % 2 === 0 ? 2 : 1);
/** One channel an invocation. */
export const naiveChannels: ChannelChoice = () => 1;
