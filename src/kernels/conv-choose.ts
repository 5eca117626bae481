import type { AxisPlan, ConvShape } from '../common/conv-geometry.js';
import type { KernelLimits } from '../gpu/kernel.js';

export type ConvVariant = 'naive' | 'register';

/** How one gather convolution (forward, or input gradient) runs. */
export type TapConfig =
  | { variant: 'naive' }
  | { variant: 'register'; tilePixels: number; tileChannels: number; workgroup: number; subgroup: number };

/** How the weight gradient runs. */
export type WeightGradientConfig =
  | { variant: 'naive' }
  | { variant: 'register'; tileChannels: number; pixels: number; workgroup: number; subgroup: number; slots: number };

/** Most workgroups along one dimension that every WebGPU device accepts. */
const MAX_GROUPS = 65535;

/** Subgroups whose lanes share loads pay on CPU adapters; a GPU's cache serves equal addresses at no cost. */
function sharingSubgroup(limits: KernelLimits): number {
  return limits.software && limits.subgroupSize <= 16 ? limits.subgroupSize : 0;
}

/** The divisor-friendly tile: the candidate that wastes least of `count`, the first on a tie. */
function leastWaste(count: number, candidates: readonly number[]): number {
  const cost = (tile: number): number => Math.ceil(count / tile) * tile;
  return candidates.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}

/** Chooses for a gather convolution with the given plans. Pure: the same numbers give the same choice. */
export function chooseTapConv(
  shape: ConvShape,
  destChannels: number,
  columns: AxisPlan,
  limits: KernelLimits,
  force?: ConvVariant,
): TapConfig {
  if (force === 'naive' || shape.groups > 1) return { variant: 'naive' };
  const across = Math.max(...columns.phases.map((phase) => phase.count));
  const down = Math.max(shape.big[0], shape.small[0]);
  const padded = Math.ceil(destChannels / 4) * 4;
  const tileChannels = padded % 16 === 0 || padded > 32 ? 16 : leastWaste(padded, [12, 8, 4]);
  // About 16 vec4 sums: fewer leave the loads uncovered, more take seconds to compile.
  const tilePixels = leastWaste(across, tileChannels >= 12 ? [4, 3] : [6, 4]);
  const subgroup = sharingSubgroup(limits);
  const tiles = shape.batch * down * Math.ceil(across / tilePixels);
  let workgroup = limits.software ? Math.max(8, subgroup) : 64;
  while (tiles / workgroup > MAX_GROUPS && workgroup < limits.maxWorkgroupInvocations) workgroup *= 2;
  if (tiles / workgroup > MAX_GROUPS) return { variant: 'naive' };
  return { variant: 'register', tilePixels, tileChannels, workgroup, subgroup };
}

/** Chooses for the weight gradient. Pure. */
export function chooseWeightGradient(
  shape: ConvShape,
  limits: KernelLimits,
  force?: ConvVariant,
): WeightGradientConfig {
  if (force === 'naive' || shape.groups > 1) return { variant: 'naive' };
  const padded = Math.ceil(shape.cout / 4) * 4;
  const tileChannels = padded % 16 === 0 || padded > 32 ? 16 : leastWaste(padded, [12, 8, 4]);
  const subgroup = sharingSubgroup(limits);
  const workgroup = limits.software ? Math.max(8, subgroup) : 64;
  const threads = shape.kernel[0] * shape.kernel[1] * Math.ceil(shape.cin / 4);
  const groups = Math.ceil(threads / workgroup) * Math.ceil(padded / tileChannels);
  const rows = shape.batch * shape.small[0];
  // Enough workgroups to fill the device, but no more slots than that: each is a whole array of weights.
  const wantedGroups = limits.software ? 32 : 1024;
  const slots = Math.max(1, Math.min(Math.ceil(wantedGroups / groups), rows, MAX_GROUPS));
  return { variant: 'register', tileChannels, pixels: 2, workgroup, subgroup, slots };
}
