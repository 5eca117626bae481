import { BLOCK, GROUP, levelsOf } from '../../../shaders/common/blocks.js';
import { TILE_INNER } from '../../../shaders/common/tile.js';
import { type Along, matmulNaiveShader, productPlan } from '../../../shaders/matmul.wgsl.js';
import { matmulRegisterShader } from '../../../shaders/matmul-register.wgsl.js';
import { matmulTiledShader } from '../../../shaders/matmul-tiled.wgsl.js';
import type { Shader } from '../../common/shader.js';
import { up4 } from '../../common/shapes.js';
import { hasNarrowRegisters, type Kernel, type KernelLimits, MAX_GROUPS, mostNumbers } from '../../gpu/kernel.js';
import { elementGrid } from '../../kernels/elementwise.js';
import { boxOf, padKernel } from '../layout.js';

export type MatmulVariant = 'naive' | 'register' | 'tiled';

/** How a product runs. `splitK`: parts of the inner axis, whose products are added up afterwards in a fixed order. */
export type MatmulConfig =
  | { variant: 'naive' }
  | {
      variant: 'register';
      /** The operand whose rows (or columns) the invocations split up; they share those of the other. */
      own: 'a' | 'b';
      ownTile: number;
      sharedTile: number;
      workgroup: number;
      subgroup: number;
      splitK: number;
    }
  | { variant: 'tiled'; tile: 32 | 64; splitK: number };

/** Sizes of a product: [m, k]·[k, n]. */
export interface MatmulSize {
  m: number;
  n: number;
  k: number;
}

/**
 * Rows of both operands that an invocation multiplies in registers, by the size of the subgroups that share loads.
 * Measured on lavapipe (8 lanes): 4 × 16 sums are the fastest where the shared operand has as many rows, narrower tiles
 * where the rest would be idle; few widths, since each is a pipeline of its own. Without sharing a square tile has the fewest loads.
 */
function registerTile(subgroup: number, sharedSize: number, narrow: boolean): [own: number, shared: number] {
  if (subgroup === 0) return [8, 8];
  return [4, sharedSize > 8 && !narrow ? 16 : sharedSize > 4 ? 8 : 4];
}

/** Multiply-adds from which SwiftShader gains more by wider tiles (512³: 15 % of the time) than compiling them takes. */
const MUCH_WORK = 2 ** 21;

/** Inner elements of a part when about `splitK` parts, each a multiple of `unit`, share the inner axis. */
const innerPerPart = (k: number, splitK: number, unit: number): number => Math.ceil(k / unit / splitK) * unit;

/** Maximum inner elements of a part, whose sum has two levels of blocks (see `shaders/common/blocks.ts`). */
const MAX_PER_PART = BLOCK * GROUP;

/** Parts of the inner axis: about `wanted`, each at least `shortest` and at most `MAX_PER_PART` long, none empty. */
function splitKFor(k: number, wanted: number, shortest: number, unit: number): number {
  const max = Math.max(1, Math.floor(k / shortest));
  const splitK = Math.max(Math.ceil(k / MAX_PER_PART), Math.min(Math.ceil(wanted), max));
  return Math.ceil(k / innerPerPart(k, splitK, unit));
}

function chooseRegister({ m, n, k }: MatmulSize, limits: KernelLimits): MatmulConfig {
  // Both operands, whichever way they lie, may be copied with whole vectors along each axis.
  if (Math.max(up4(m), up4(n)) * up4(k) > mostNumbers(limits)) return { variant: 'naive' };
  const subgroup = limits.subgroupSize <= 16 ? limits.subgroupSize : 0;
  const workgroup = Math.max(8, subgroup);
  const narrow = hasNarrowRegisters(limits) && m * n * k < MUCH_WORK;
  const splitUp = (own: 'a' | 'b', ownSize: number, sharedSize: number) => {
    const [ownTile, sharedTile] = registerTile(subgroup, sharedSize, narrow);
    const across = Math.ceil(ownSize / ownTile / workgroup);
    const down = Math.ceil(sharedSize / sharedTile);
    return { own, ownTile, sharedTile, across, down, sums: across * ownTile * down * sharedTile };
  };
  // The order of operands that leaves fewer sums unused beyond the edges.
  const [byA, byB] = [splitUp('a', m, n), splitUp('b', n, m)];
  const { own, ownTile, sharedTile, across, down } = byA.sums <= byB.sums ? byA : byB;
  if (across > MAX_GROUPS || down > MAX_GROUPS) return { variant: 'naive' };
  // Enough workgroups for the cores of a CPU, each with a loop worth starting.
  const splitK = splitKFor(k, 32 / (across * down), 64, 4);
  return { variant: 'register', own, ownTile, sharedTile, workgroup, subgroup, splitK };
}

function chooseTiled({ m, n, k }: MatmulSize): MatmulConfig {
  const tiles = (tile: number): number => Math.ceil(m / tile) * Math.ceil(n / tile);
  // The large tile needs half the loads a number, the small one fills the GPU with smaller matrices.
  const tile = m > 32 && n > 32 && tiles(64) >= 128 ? 64 : 32;
  if (Math.ceil(n / tile) > MAX_GROUPS || Math.ceil(m / tile) > MAX_GROUPS) return { variant: 'naive' };
  const splitK = splitKFor(k, 256 / tiles(tile), 8 * TILE_INNER, TILE_INNER);
  return { variant: 'tiled', tile, splitK };
}

/** Whether the plain loop is as fast as anything. */
export const isLittle = ({ m, n, k }: MatmulSize): boolean => m * n * k <= 2 ** 13 && k <= 256;

/**
 * Chooses how to multiply: register tiles on CPU adapters, workgroup tiles on GPUs, the plain loop for little work.
 * Pure: the same numbers give the same choice.
 */
export function chooseMatmul(size: MatmulSize, limits: KernelLimits, force?: MatmulVariant): MatmulConfig {
  const variant = force ?? (isLittle(size) ? 'naive' : limits.software ? 'register' : 'tiled');
  if (variant === 'register') return chooseRegister(size, limits);
  if (variant === 'tiled') return chooseTiled(size);
  return { variant: 'naive' };
}

/** A kernel with one output, that output's shape, and what fills the kernel's uniform. */
export interface MatmulStep {
  kernel: Kernel;
  shape: readonly number[];
  scalars?: ArrayBuffer;
}

/** Run `padA` and `padB` on the operands unless they are null, then `main` on both, with the operand `first` first. */
export interface MatmulPlan {
  padA: MatmulStep | null;
  padB: MatmulStep | null;
  /** The operand that main binds first. */
  first: 'a' | 'b';
  /** Gives [splitK, m, n]. */
  main: MatmulStep;
}

/** A matrix and its layout in memory. */
interface Stored {
  along: Along;
  rows: number;
  stride: number;
}

/** Pads a matrix with zeros so that its rows are whole vectors and its inner elements are, too. @returns no step if it fits already */
function padStep({ along, rows, stride }: Stored): { step: MatmulStep | null; stored: Stored } {
  const stored = { along, rows: along === 'inner' ? rows : up4(rows), stride: up4(stride) };
  const shape = [stored.rows, stored.stride];
  if (stored.rows === rows && stored.stride === stride) return { step: null, stored };
  return { step: { kernel: padKernel(boxOf(shape, [0, 0], [rows, stride]), 0), shape }, stored };
}

/** The uniform of a product kernel. @param unit the number of inner elements in a part is a multiple of this */
function productScalars({ m, n, k }: MatmulSize, a: Stored, b: Stored, splitK: number, unit: number): ArrayBuffer {
  return productPlan.pack({ m, n, k, aStride: a.stride, bStride: b.stride, perPart: innerPerPart(k, splitK, unit) });
}

/** Plans op(a)·op(b), where op transposes if asked to. */
export function planMatmul(
  size: MatmulSize,
  { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
  config: MatmulConfig,
): MatmulPlan {
  const { m, n, k } = size;
  const a: Stored = transposeA ? { along: 'outer', rows: k, stride: m } : { along: 'inner', rows: m, stride: k };
  const b: Stored = transposeB ? { along: 'inner', rows: n, stride: k } : { along: 'outer', rows: k, stride: n };
  const layouts = { a: a.along, b: b.along };
  const step = (
    label: string,
    shader: Shader,
    workgroups: Kernel['workgroups'],
    splitK: number,
    scalars: ArrayBuffer,
  ) => ({
    kernel: { label, ...shader, workgroups },
    shape: [splitK, m, n],
    scalars,
  });
  if (config.variant === 'naive') {
    const scalars = productScalars(size, a, b, 1, 1);
    const main = step('matmul naive', matmulNaiveShader(layouts), elementGrid(m * n), 1, scalars);
    return { padA: null, padB: null, first: 'a', main };
  }
  if (config.variant === 'tiled') {
    const { tile, splitK } = config;
    const vectors = { a: a.stride % 4 === 0, b: b.stride % 4 === 0, y: n % 4 === 0 };
    const shader = matmulTiledShader({ ...layouts, tile, vectors, batched: false });
    const scalars = productScalars(size, a, b, splitK, TILE_INNER);
    const main = step('matmul tiled', shader, [Math.ceil(n / tile), Math.ceil(m / tile), splitK], splitK, scalars);
    return { padA: null, padB: null, first: 'a', main };
  }
  const { own, ownTile, sharedTile, workgroup, subgroup, splitK } = config;
  const [fullA, fullB] = [padStep(a), padStep(b)];
  const [ownAlong, sharedAlong] = own === 'a' ? [a.along, b.along] : [b.along, a.along];
  const [ownSize, sharedSize] = own === 'a' ? [m, n] : [n, m];
  const vectorOutput = n % 4 === 0;
  const shader = matmulRegisterShader({
    own,
    ownAlong,
    sharedAlong,
    ownTile,
    sharedTile,
    vectorOutput,
    batched: false,
    levels: levelsOf(innerPerPart(up4(k), splitK, 4)),
    workgroup,
    subgroup,
  });
  const grid = [Math.ceil(ownSize / ownTile / workgroup), Math.ceil(sharedSize / sharedTile), splitK] as const;
  const scalars = productScalars({ m, n, k: up4(k) }, fullA.stored, fullB.stored, splitK, 4);
  return { padA: fullA.step, padB: fullB.step, first: own, main: step('matmul', shader, grid, splitK, scalars) };
}
