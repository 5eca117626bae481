import { levelsOf } from '../../../shaders/common/blocks.js';
import { type Layouts, matmulNaiveShader, productPlan } from '../../../shaders/matmul.wgsl.js';
import { matmulRegisterShader } from '../../../shaders/matmul-register.wgsl.js';
import { matmulTiledShader } from '../../../shaders/matmul-tiled.wgsl.js';
import type { Shader } from '../../common/shader.js';
import { sameShape, smallestWaste, up4 } from '../../common/shapes.js';
import { hasNarrowRegisters, type KernelLimits, MAX_GROUPS } from '../../gpu/kernel.js';
import { elementKernel } from '../../kernels/elementwise.js';
import { boxOf, padKernel } from '../layout.js';
import {
  chooseMatmul,
  type MatmulConfig,
  type MatmulPlan,
  type MatmulSize,
  type MatmulStep,
  type MatmulVariant,
} from './plan.js';

/** Number of products of one size. Each is computed whole, because there are enough of them to fill a device. */
export type BatchedConfig = Exclude<MatmulConfig, { variant: 'naive' }> & { splitK: 1 };

/**
 * Multiply-adds of a product from which lavapipe gains more by wider tiles (fewer loads: 10 % to 30 % of the time) than it loses
 * by compiling them for a second.
 */
const MUCH_WORK = 2 ** 20;

/** Chooses as for one product, or null where its grid does not fit. Pure. */
export function chooseBatched(
  size: MatmulSize,
  limits: KernelLimits,
  variant: MatmulVariant = limits.software ? 'register' : 'tiled',
): BatchedConfig | null {
  const { m, n, k } = size;
  const config = chooseMatmul(size, limits, variant);
  if (config.variant === 'naive') return null;
  const wider = m * n * k >= MUCH_WORK && !hasNarrowRegisters(limits);
  if (wider && config.variant === 'register' && config.sharedTile === 16) {
    const sharedTile = smallestWaste(config.own === 'a' ? n : m, [32, 24, 16]);
    return { ...config, sharedTile, splitK: 1 };
  }
  return { ...config, splitK: 1 };
}

/** Numbers of the larger operand of a product as the kernels read it: see `planBatchedMatmul`. */
export function largestOperand(
  { m, n, k }: MatmulSize,
  { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
  config: BatchedConfig | null,
): number {
  if (config === null) return k * Math.max(m, n);
  const a = transposeA ? up4(k) * up4(m) : m * up4(k);
  const b = transposeB ? n * up4(k) : up4(k) * up4(n);
  return Math.max(a, b);
}

/** Which operand the kernel binds first: run it on a and b, or on b and a. */
export interface BatchedPlan extends MatmulStep {
  first: 'a' | 'b';
}

/**
 * Plans `batch` products a·b of matrices that lie one after the other. k is a multiple of 4.
 * @param layouts how both lie, one matrix after the other; rows along m or n in memory have up4(m) or up4(n) elements
 * @returns the kernel for [batch, m, n]
 */
export function planBatched(
  { m, n, k }: MatmulSize,
  layouts: Layouts,
  batch: number,
  config: BatchedConfig,
): BatchedPlan {
  const scalars = productPlan.pack({
    m,
    n,
    k,
    aStride: layouts.a === 'inner' ? k : up4(m),
    bStride: layouts.b === 'inner' ? k : up4(n),
    perPart: k,
  });
  const step = (shader: Shader, across: number, down: number): MatmulStep => ({
    kernel: { label: `batched matmul ${config.variant}`, ...shader, workgroups: [across, down, batch] },
    shape: [batch, m, n],
    scalars,
  });
  if (config.variant === 'tiled') {
    const vectors = { a: true, b: true, y: n % 4 === 0 };
    const shader = matmulTiledShader({ ...layouts, tile: config.tile, vectors, batched: true });
    return { ...step(shader, Math.ceil(n / config.tile), Math.ceil(m / config.tile)), first: 'a' };
  }
  const { own, ownTile, sharedTile, workgroup, subgroup } = config;
  const [ownAlong, sharedAlong] = own === 'a' ? [layouts.a, layouts.b] : [layouts.b, layouts.a];
  const [ownSize, sharedSize] = own === 'a' ? [m, n] : [n, m];
  const shader = matmulRegisterShader({
    own,
    ownAlong,
    sharedAlong,
    ownTile,
    sharedTile,
    vectorOutput: n % 4 === 0,
    batched: true,
    levels: levelsOf(k),
    workgroup,
    subgroup,
  });
  return { ...step(shader, Math.ceil(ownSize / ownTile / workgroup), Math.ceil(sharedSize / sharedTile)), first: own };
}

/**
 * Plans `batch` products op(a)·op(b) of matrices of any size, where op transposes if asked to. Main gives [batch, m, n].
 * @param config null for the plain loop
 */
export function planBatchedMatmul(
  size: MatmulSize,
  { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
  batch: number,
  config: BatchedConfig | null,
): MatmulPlan {
  const { m, n, k } = size;
  const layouts: Layouts = { a: transposeA ? 'outer' : 'inner', b: transposeB ? 'inner' : 'outer' };
  if (config === null || batch > MAX_GROUPS) {
    const [aStride, bStride] = [transposeA ? m : k, transposeB ? k : n];
    const kernel = elementKernel('batched matmul naive', matmulNaiveShader(layouts, true), batch * m * n);
    const scalars = productPlan.pack({ ...size, aStride, bStride, perPart: k });
    return { padA: null, padB: null, first: 'a', main: { kernel, shape: [batch, m, n], scalars } };
  }
  // Zeros make whole vectors of the rows, and of the inner axis.
  const padded = (rows: number, columns: number, inner: boolean): MatmulStep | null => {
    const shape = [batch, inner ? rows : up4(rows), up4(columns)];
    const given = [batch, rows, columns];
    if (sameShape(shape, given)) return null;
    return { kernel: padKernel(boxOf(shape, [0, 0, 0], given), 0), shape };
  };
  const { first, ...main } = planBatched({ m, n, k: up4(k) }, layouts, batch, config);
  return {
    padA: transposeA ? padded(k, m, false) : padded(m, k, true),
    padB: transposeB ? padded(n, k, true) : padded(k, n, false),
    first,
    main,
  };
}
