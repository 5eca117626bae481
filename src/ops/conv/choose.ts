import { axisSteps, type ConvShape } from '../../../shaders/common/conv-geometry.js';
import {
  type MatrixTile,
  matrixTileBytes,
  matrixTileColumns,
  matrixTileRows,
  matrixTileThreads,
} from '../../../shaders/common/matrix-tile.js';
import { TILE_INNER, type Tile, tileBytes, tileColumns, tileRows, tileThreads } from '../../../shaders/common/tile.js';
import type { RegisterTile } from '../../../shaders/conv-tap.wgsl.js';
import type { WeightGradientTile } from '../../../shaders/conv-weight-gradient.wgsl.js';
import { smallestWaste, up4 } from '../../common/shapes.js';
import { hasNarrowRegisters, type KernelLimits, MAX_GROUPS } from '../../gpu/kernel.js';
import {
  chooseDepthwise,
  chooseDepthwiseWeightGradient,
  type DepthwiseConfig,
  type DepthwiseWeightGradientConfig,
} from './depthwise-choose.js';
import { blocksOf, type Gather } from './gather-plan.js';
import { gradientFits, sourceFits } from './padding.js';
import {
  chooseWinograd,
  chooseWinogradGradient,
  type WinogradConfig,
  type WinogradGradientConfig,
  winogradCandidates,
  winogradGradientCandidates,
} from './winograd-choose.js';

export type ConvVariant = 'naive' | 'register' | 'tiled' | 'depthwise' | 'winograd' | 'blocks';

/** How a gather convolution runs that reads a padded picture and packed weights. */
export type DenseConfig =
  | ({ variant: 'register' } & RegisterTile)
  | { variant: 'tiled'; tile: Tile }
  | { variant: 'matrix'; tile: MatrixTile };

/** How one gather convolution (forward, or input gradient) runs. */
export type GatherConfig =
  | { variant: 'naive' }
  | ({ variant: 'depthwise' } & DepthwiseConfig)
  | ({ variant: 'winograd' } & WinogradConfig)
  | { variant: 'blocks'; conv: DenseConfig }
  | DenseConfig;

/** How the weight gradient runs. `splitK`: parts of its long sum, added up afterwards in a fixed order. */
export type WeightGradientConfig =
  | { variant: 'naive' }
  | ({ variant: 'depthwise' } & DepthwiseWeightGradientConfig)
  | ({ variant: 'winograd' } & WinogradGradientConfig)
  | ({ variant: 'register'; splitK: number } & WeightGradientTile)
  | { variant: 'tiled'; tile: Tile; splitK: number }
  | { variant: 'matrix'; tile: MatrixTile; splitK: number };

/** True if every channel has its own filter and makes one output. */
function isDepthwise({ groups, cin, cout }: ConvShape): boolean {
  return groups > 1 && groups === cin && groups === cout;
}

/**
 * Tiles of the workgroup-tiled kernels, with the share of a GPU's arithmetic that each can feed: a tile of r × c
 * numbers loads r + c for r·c multiply-adds. They are estimates; tuning measures.
 */
const TILES: readonly { tile: Tile; share: number }[] = [
  { tile: { threadsX: 8, threadsY: 8, rowVecs: 1, columnVecs: 1 }, share: 0.5 },
  { tile: { threadsX: 4, threadsY: 16, rowVecs: 2, columnVecs: 1 }, share: 0.5 },
  { tile: { threadsX: 8, threadsY: 8, rowVecs: 2, columnVecs: 2 }, share: 0.85 },
  { tile: { threadsX: 8, threadsY: 16, rowVecs: 2, columnVecs: 2 }, share: 1 },
  { tile: { threadsX: 16, threadsY: 16, rowVecs: 2, columnVecs: 2 }, share: 1 },
];

/** Workgroups that keep a large GPU busy. */
const BUSY_GROUPS = 256;

/** The tiles a device has room for. */
function tilesFor(limits: KernelLimits): readonly { tile: Tile; share: number }[] {
  return TILES.filter(
    ({ tile }) =>
      tileThreads(tile) <= limits.maxWorkgroupInvocations &&
      tileBytes(tile, limits.precision) <= limits.maxWorkgroupStorageBytes,
  );
}

const tileGroups = (tile: Tile, rows: number, columns: number): [number, number] => [
  Math.ceil(rows / tileRows(tile)),
  Math.ceil(columns / tileColumns(tile)),
];

/** The tile with the least estimated time for rows × columns outputs, `parts` times over. */
function bestTile(rows: number, columns: number, parts: number, limits: KernelLimits): Tile | null {
  let best: Tile | null = null;
  let least = Infinity;
  for (const { tile, share } of tilesFor(limits)) {
    const [across, down] = tileGroups(tile, rows, columns);
    if (across > MAX_GROUPS || down > MAX_GROUPS) continue;
    const busy = Math.min(1, (across * down * parts) / BUSY_GROUPS);
    const time = (across * tileRows(tile) * down * tileColumns(tile)) / (share * busy);
    if (time < least) [best, least] = [tile, time];
  }
  return best;
}

/** Sharing loads between the lanes of a subgroup pays off on CPU adapters; a GPU's cache serves equal addresses at no cost. */
function sharingSubgroup(limits: KernelLimits): number {
  return limits.software && limits.subgroupSize <= 16 ? limits.subgroupSize : 0;
}

/**
 * Subgroup sizes that the register kernels may be measured with, the estimated one first. GPUs with one fixed size may also
 * gain by sharing if their caches are busy, but only measuring shows it.
 */
function subgroupCandidates(limits: KernelLimits): readonly number[] {
  const estimated = sharingSubgroup(limits);
  return limits.software || limits.subgroupSize === 0 ? [estimated] : [estimated, limits.subgroupSize];
}

/** Channels an invocation of the register kernels accumulates, of `padded` (a multiple of 4). */
function registerChannels(padded: number, few: boolean): number {
  if (few) return smallestWaste(padded, [8, 4]);
  return padded % 16 === 0 || padded > 32 ? 16 : smallestWaste(padded, [12, 8, 4]);
}

/** Multiply-adds of a pass. */
const multiplyAdds = ({ batch, output, cin, cout, kernel, groups }: ConvShape): number =>
  (batch * output[0] * output[1] * kernel[0] * kernel[1] * cin * cout) / groups;

/** Multiply-adds up to which CPU adapters take the naive kernel: it takes up to a millisecond longer, and compiles in a third of the time. */
const NAIVE_WORK = 2 ** 15;

/**
 * Whether a conv that is not depthwise gets the naive kernel: because it is asked for, because no other kernel has groups, or
 * because it compiles faster. With half precision only the first two count, as the naive kernel does not round operands.
 */
const takesNaive = (shape: ConvShape, { software, precision }: KernelLimits, force?: ConvVariant): boolean =>
  force === 'naive' ||
  shape.groups > 1 ||
  (!force && software && precision !== 'f16' && multiplyAdds(shape) <= NAIVE_WORK);

/** Multiply-adds up to which SwiftShader gains more by faster compiling than it loses by loading the source more often. */
const LITTLE_WORK = 2 ** 20;

const wantsFewSums = (shape: ConvShape, limits: KernelLimits): boolean =>
  hasNarrowRegisters(limits) && multiplyAdds(shape) <= LITTLE_WORK;

/**
 * Invocations of a workgroup of the register kernels: on CPU adapters one subgroup, whose lanes share loads; on GPUs
 * several, all of them whole, since every lane must be there to share.
 */
function registerWorkgroup(limits: KernelLimits, subgroup: number): number {
  return Math.max(limits.software ? 8 : 64, subgroup);
}

/** A register config with the smallest workgroup whose grid fits, or null. */
function registerConfig(
  { shape, vertical, horizontal }: Gather,
  tilePixels: number,
  tileChannels: number,
  limits: KernelLimits,
  subgroup = sharingSubgroup(limits),
): DenseConfig | null {
  const tiles = shape.batch * axisSteps(vertical) * Math.ceil(axisSteps(horizontal) / tilePixels);
  let workgroup = registerWorkgroup(limits, subgroup);
  while (tiles / workgroup > MAX_GROUPS && workgroup < limits.maxWorkgroupInvocations) workgroup *= 2;
  return tiles / workgroup > MAX_GROUPS ? null : { variant: 'register', tilePixels, tileChannels, workgroup, subgroup };
}

/** Channels of a picture up to which CPU adapters compute an input gradient in blocks. */
const FEW_CHANNELS = 4;

/** Chooses for a gather convolution. Pure: the same numbers give the same choice. */
export function chooseGather(gather: Gather, limits: KernelLimits, force?: ConvVariant): GatherConfig {
  const { shape, dest } = gather;
  if (force !== 'naive' && isDepthwise(shape)) {
    return { variant: 'depthwise', ...chooseDepthwise(gather, limits) };
  }
  if (takesNaive(shape, limits, force)) return { variant: 'naive' };
  // Its cost on a GPU has not been measured; there, only tuning tries it.
  if (force === 'winograd' || (!force && limits.software)) {
    const winograd = chooseWinograd(gather, limits, force === 'winograd');
    if (winograd) return { variant: 'winograd', ...winograd };
  }
  const blocks = (force === 'blocks' || (!force && limits.software && dest[3] <= FEW_CHANNELS)) && blocksOf(gather);
  const inBlocks = blocks && chooseDense(blocks, limits);
  return inBlocks
    ? { variant: 'blocks', conv: inBlocks }
    : (chooseDense(gather, limits, force) ?? { variant: 'naive' });
}

/** Chooses a kernel for a gather convolution without groups; null where none fits. */
function chooseDense(gather: Gather, limits: KernelLimits, force?: ConvVariant): DenseConfig | null {
  const { shape, dest, vertical, horizontal } = gather;
  const padded = up4(dest[3]);
  // A tile of 16 columns is the narrowest: with fewer channels most of it would be idle.
  if (force === 'tiled' || (!force && !limits.software && padded >= 12)) {
    const phases = vertical.phases.length * horizontal.phases.length;
    const tile = bestTile(shape.batch * axisSteps(vertical) * axisSteps(horizontal), padded, phases, limits);
    if (tile && sourceFits(gather, { variant: 'tiled' }, limits)) return { variant: 'tiled', tile };
  }
  const few = wantsFewSums(shape, limits);
  const tileChannels = registerChannels(padded, few);
  // About 12 vec4 sums (8 on adapters that want few): fewer do not hide the loads; more spill, and take seconds to compile.
  const tilePixels = few ? 4 : smallestWaste(axisSteps(horizontal), tileChannels >= 12 ? [3, 4] : [6, 4]);
  const config = registerConfig(gather, tilePixels, tileChannels, limits);
  return config && sourceFits(gather, config, limits) ? config : null;
}

/** Register tiles (pixels, channels) worth trying: 8 to 32 vec4 sums. */
const REGISTER_TILES: readonly [pixels: number, channels: number][] = [
  [3, 16],
  [4, 16],
  [2, 32],
  [6, 8],
  [8, 8],
  [6, 4],
];

/** All configs worth measuring for a gather convolution, the estimated one first. Pure. */
export function gatherCandidates(gather: Gather, limits: KernelLimits): GatherConfig[] {
  const { shape } = gather;
  const first = chooseGather(gather, limits);
  // The dense kernels do not support groups.
  if (first.variant === 'naive' && shape.groups > 1) return [first];
  if (first.variant === 'depthwise') return [first, { variant: 'naive' }];
  const winograd = winogradCandidates(gather, limits).map((config) => ({ variant: 'winograd' as const, ...config }));
  const blocks = blocksOf(gather);
  const inBlocks = blocks ? denseCandidates(blocks, limits) : [];
  return unique<GatherConfig>([
    first,
    ...denseCandidates(gather, limits),
    ...inBlocks.map((conv) => ({ variant: 'blocks' as const, conv })),
    ...winograd,
  ]);
}

function denseCandidates(gather: Gather, limits: KernelLimits): DenseConfig[] {
  const { shape, dest, vertical, horizontal } = gather;
  const padded = up4(dest[3]);
  const registers = REGISTER_TILES.filter(([, channels]) => channels <= padded)
    .flatMap(([pixels, channels]) =>
      subgroupCandidates(limits).map((subgroup) => registerConfig(gather, pixels, channels, limits, subgroup)),
    )
    .filter((config) => config !== null);
  // Barriers are so slow on CPU adapters that trying tiles there is a waste of time.
  const positions = shape.batch * axisSteps(vertical) * axisSteps(horizontal);
  const tiles = limits.software ? [] : fittingTiles(positions, padded, limits);
  const matrices = matrixTiles(positions, padded, limits);
  return [
    ...tiles.map((tile) => ({ variant: 'tiled' as const, tile })),
    ...matrices.map((tile) => ({ variant: 'matrix' as const, tile })),
    ...registers,
  ].filter((config) => sourceFits(gather, config, limits));
}

/** All configs worth measuring for a weight gradient, the estimated one first. Pure. */
export function weightGradientCandidates(shape: ConvShape, limits: KernelLimits): WeightGradientConfig[] {
  const first = chooseWeightGradient(shape, limits);
  // The dense kernels do not support groups.
  if (first.variant === 'naive' && (shape.groups > 1 || !gradientFits(shape, limits))) return [first];
  if (first.variant === 'depthwise') return [first, { variant: 'naive' }];
  const padded = up4(shape.cout);
  const outputRows = shape.kernel[0] * shape.kernel[1] * up4(shape.cin);
  const tiles = limits.software ? [] : fittingTiles(outputRows, padded, limits);
  const register = chooseWeightGradient(shape, limits, 'register');
  const narrower =
    register.variant === 'register'
      ? [4, 8, 16].filter((channels) => channels <= padded).map((tileChannels) => ({ ...register, tileChannels }))
      : [];
  const registers = [register, ...narrower].flatMap((config) =>
    subgroupCandidates(limits).map((subgroup) => ({
      ...config,
      subgroup,
      workgroup: registerWorkgroup(limits, subgroup),
    })),
  );
  const splitK = 'splitK' in first ? first.splitK : 1;
  const configs: WeightGradientConfig[] = [
    first,
    ...registers,
    ...tiles.map((tile) => ({ variant: 'tiled' as const, tile, splitK })),
    ...matrixTiles(outputRows, padded, limits).map((tile) => ({
      variant: 'matrix' as const,
      tile,
      splitK,
    })),
    ...winogradGradientCandidates(shape, limits).map((config) => ({ variant: 'winograd' as const, ...config })),
  ];
  // More parts fill a device, fewer save the second pass.
  const rows = shape.batch * shape.output[0];
  const withSplitK = configs.flatMap((config) =>
    config.variant === 'naive' || config.variant === 'depthwise'
      ? []
      : [1, 0.5, 2].map((factor) => ({
          ...config,
          splitK: Math.max(1, Math.min(rows, Math.round(config.splitK * factor))),
        })),
  );
  return unique<WeightGradientConfig>([first, ...withSplitK]);
}

function fittingTiles(rows: number, columns: number, limits: KernelLimits): Tile[] {
  return tilesFor(limits)
    .map(({ tile }) => tile)
    .filter((tile) => tileGroups(tile, rows, columns).every((groups) => groups <= MAX_GROUPS));
}

/**
 * Tiles of subgroup matrices that a device can be measured with. Estimates never choose them, because the kernels have not run on
 * an adapter with such matrices; measuring compares them with the naive kernel's results.
 */
function matrixTiles(rows: number, columns: number, limits: KernelLimits): MatrixTile[] {
  const { matrices = [], subgroupSize, precision } = limits;
  if (precision !== 'f16' || subgroupSize === 0) return [];
  return matrices
    .map(({ m, n, k }) => ({ m, n, k, subgroup: subgroupSize }))
    .filter(
      (tile) =>
        TILE_INNER % tile.k === 0 &&
        tile.n % 4 === 0 &&
        matrixTileThreads(tile) <= limits.maxWorkgroupInvocations &&
        matrixTileBytes(tile) <= limits.maxWorkgroupStorageBytes &&
        Math.ceil(rows / matrixTileRows(tile)) <= MAX_GROUPS &&
        Math.ceil(columns / matrixTileColumns(tile)) <= MAX_GROUPS,
    );
}

const unique = <T>(configs: readonly T[]): T[] => [
  ...new Map(configs.map((config) => [JSON.stringify(config), config])).values(),
];

/** Pixels that the register kernel takes at a time. */
const GRADIENT_PIXELS = 2;

/** Chooses for the weight gradient. Pure. */
export function chooseWeightGradient(
  shape: ConvShape,
  limits: KernelLimits,
  force?: ConvVariant,
): WeightGradientConfig {
  if (force !== 'naive' && isDepthwise(shape)) {
    return { variant: 'depthwise', ...chooseDepthwiseWeightGradient(shape, limits) };
  }
  if (takesNaive(shape, limits, force)) return { variant: 'naive' };
  // As for the other passes, tuning tries it on a GPU.
  if (force === 'winograd' || (!force && limits.software)) {
    const winograd = chooseWinogradGradient(shape, limits, force === 'winograd');
    if (winograd) return { variant: 'winograd', ...winograd };
  }
  if (!gradientFits(shape, limits)) return { variant: 'naive' };
  const padded = up4(shape.cout);
  const rows = shape.batch * shape.output[0];
  const taps = shape.kernel[0] * shape.kernel[1];
  if (force === 'tiled' || (!force && !limits.software)) {
    const pixels = rows * shape.output[1];
    // A part of fewer pixels would cost more in the second pass than it gains.
    const maxSplitK = Math.max(1, Math.min(Math.floor(pixels / 256), MAX_GROUPS));
    const tile = bestTile(taps * up4(shape.cin), padded, maxSplitK, limits);
    if (tile) {
      const [across, down] = tileGroups(tile, taps * up4(shape.cin), padded);
      return { variant: 'tiled', tile, splitK: Math.min(maxSplitK, Math.ceil((2 * BUSY_GROUPS) / (across * down))) };
    }
  }
  const tileChannels = registerChannels(padded, wantsFewSums(shape, limits));
  const subgroup = sharingSubgroup(limits);
  const workgroup = registerWorkgroup(limits, subgroup);
  const groups = Math.ceil((taps * Math.ceil(shape.cin / 4)) / workgroup) * Math.ceil(padded / tileChannels);
  // Enough workgroups to fill the device, but no larger splitK, because each part is a whole array of weights.
  const wantedGroups = limits.software ? 32 : 1024;
  const splitK = Math.max(1, Math.min(Math.ceil(wantedGroups / groups), rows, MAX_GROUPS));
  return { variant: 'register', tileChannels, pixels: GRADIENT_PIXELS, workgroup, subgroup, splitK };
}
