import type { MatrixShape, Precision } from '../common/precision.js';
import type { Shader } from '../common/shader.js';

/** One specialised compute kernel: its WGSL text with every static shape written into it, and the size of its grid. */
export interface Kernel extends Shader {
  readonly label: string;
  readonly workgroups: readonly [number, number, number];
  /**
   * True if each element of the only output takes a few operations on a few elements of the operands, and the whole output is
   * written. Recorded steps may then run the kernel twice instead of keeping the result.
   */
  readonly pointwise?: boolean;
}

/** The limits that the choice of a kernel may depend on: plain numbers, so that a choice is testable without a GPU. */
export interface KernelLimits {
  /** True for adapters that run on the CPU (lavapipe, SwiftShader), where workgroup barriers are expensive. */
  readonly software: boolean;
  readonly maxWorkgroupInvocations: number;
  readonly maxWorkgroupStorageBytes: number;
  /** Invocations in a subgroup, if kernels may use subgroup operations and the size is fixed; else 0. */
  readonly subgroupSize: number;
  /** What the fast convolutions round their operands to; default f32. */
  readonly precision?: Precision;
  /** Products of halves with f32 sums that a subgroup computes at once; default none. */
  readonly matrices?: readonly MatrixShape[];
  /** The largest buffer that kernels can bind; default 128 MiB, which every WebGPU device accepts. */
  readonly maxBindingBytes?: number;
}

/** Most numbers of float32 in one buffer. Kernels that copy operands are not chosen where a copy would have more. */
export const mostNumbers = ({ maxBindingBytes = 2 ** 27 }: KernelLimits): number => Math.floor(maxBindingBytes / 4);

/**
 * True for SwiftShader, whose registers hold four numbers: there a kernel of 8 vec4 sums spills less than one of 12 or 16, and
 * compiles in half to two thirds of the time.
 */
export const hasNarrowRegisters = ({ software, subgroupSize }: KernelLimits): boolean =>
  software && subgroupSize > 0 && subgroupSize <= 4;

/** Maximum number of workgroups along one dimension on every WebGPU device. */
export const MAX_GROUPS = 65535;

/**
 * Grid for `count` workgroups laid out along x and, past WebGPU's 65,535 a dimension, y. The kernel finds its
 * linear workgroup index as `wid.x + wid.y * nwg.x` and must ignore indices ≥ count.
 */
export function linearGrid(count: number): [number, number, number] {
  if (count <= MAX_GROUPS) return [Math.max(1, count), 1, 1];
  const rows = Math.ceil(count / MAX_GROUPS);
  return [Math.ceil(count / rows), rows, 1];
}
