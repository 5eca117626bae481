import { levelsOf } from '../../../shaders/common/blocks.js';
import { type Layouts, productPlan } from '../../../shaders/matmul.wgsl.js';
import { matmulRegisterShader } from '../../../shaders/matmul-register.wgsl.js';
import { matmulTiledShader } from '../../../shaders/matmul-tiled.wgsl.js';
import type { Shader } from '../../common/shader.js';
import { smallestWaste } from '../../common/shapes.js';
import { hasNarrowRegisters, type KernelLimits } from '../../gpu/kernel.js';
import { chooseMatmul, type MatmulConfig, type MatmulSize, type MatmulStep } from './plan.js';

/** Number of products of one size. Each is computed whole, because there are enough of them to fill a device. */
export type BatchedConfig = Exclude<MatmulConfig, { variant: 'naive' }> & { splitK: 1 };

/**
 * Multiply-adds of a product from which lavapipe gains more by wider tiles (fewer loads: 10 % to 30 % of the time) than it loses
 * by compiling them for a second.
 */
const MUCH_WORK = 2 ** 20;

/** Chooses as for one product, or null where its grid does not fit. Pure. */
export function chooseBatched(size: MatmulSize, limits: KernelLimits): BatchedConfig | null {
  const { m, n, k } = size;
  const config = chooseMatmul(size, limits, limits.software ? 'register' : 'tiled');
  if (config.variant === 'naive') return null;
  const wider = m * n * k >= MUCH_WORK && !hasNarrowRegisters(limits);
  if (wider && config.variant === 'register' && config.sharedTile === 16) {
    const sharedTile = smallestWaste(config.own === 'a' ? n : m, [32, 24, 16]);
    return { ...config, sharedTile, splitK: 1 };
  }
  return { ...config, splitK: 1 };
}

/** Which operand the kernel binds first: run it on a and b, or on b and a. */
export interface BatchedPlan extends MatmulStep {
  first: 'a' | 'b';
}

/**
 * Plans `batch` products a·b of matrices that lie one after the other. n and k are multiples of 4.
 * @param layouts how both lie, one matrix after the other; m is a multiple of 4, too, where a lies along it
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
    aStride: layouts.a === 'inner' ? k : m,
    bStride: layouts.b === 'inner' ? k : n,
    perPart: k,
  });
  const step = (shader: Shader, across: number, down: number): MatmulStep => ({
    kernel: { label: `batched matmul ${config.variant}`, ...shader, workgroups: [across, down, batch] },
    shape: [batch, m, n],
    scalars,
  });
  if (config.variant === 'tiled') {
    const vectors = { a: true, b: true, y: true };
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
    vectorOutput: true,
    batched: true,
    levels: levelsOf(k),
    workgroup,
    subgroup,
  });
  return { ...step(shader, Math.ceil(ownSize / ownTile / workgroup), Math.ceil(sharedSize / sharedTile)), first: own };
}
