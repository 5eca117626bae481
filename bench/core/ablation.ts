import { type ConvShape, convMultiplyAdds } from '../../shaders/common/conv-geometry.js';
import type { TapConvWithout } from '../../shaders/conv-tap.wgsl.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import type { Kernel } from '../../src/gpu/kernel.js';
import { chooseGather } from '../../src/ops/conv/choose.js';
import { planDense } from '../../src/ops/conv/dense.js';
import { gatherOf } from '../../src/ops/conv/gather-plan.js';
import { dispatch } from '../../src/tensor/dispatch.js';
import { benchLayers } from '../layers.js';
import { uniformTensor } from './own-tasks.js';
import { worksOf } from './work.js';

/** The time of a conv kernel without a part of its work. Its results are wrong; the time that it saves is what the part costs. */
export interface Ablation {
  /** The part that is left out, in words. */
  without: string;
  /** Least time in milliseconds. */
  time: number;
  /** Share of the whole kernel's time that is saved without the part. */
  saved: number;
}

/** The measurements of one layer. */
export interface AblatedLayer {
  layer: string;
  /** GFLOP/s of the whole kernel. */
  gflops: number;
  parts: Ablation[];
}

/** The parts of the register kernel that it can leave out. */
const PARTS: Record<string, TapConvWithout> = {
  'loads of the source': { sourceLoads: true },
  'loads of the weights': { weightLoads: true },
  'sharing of the weights between lanes': { sharing: true },
  'three quarters of the multiply-adds': { multiplyAdds: true },
  'all loads': { sourceLoads: true, weightLoads: true },
};

const ROUNDS = 7;

/**
 * Measures where the time of the register kernel's forward pass goes on this adapter. It times the whole kernel and kernels
 * that leave out one part each, in turn. Parts overlap in time, so the savings need not add up to the whole.
 * @returns the whole kernel first; null where this adapter chooses another kernel for the shape
 * @throws Error where leaving out a part changes nothing in the kernel's text
 */
export async function ablate(gpu: Gpu, layer: string, shape: ConvShape): Promise<AblatedLayer | null> {
  const gather = gatherOf(shape, 'forward');
  const config = chooseGather(gather, gpu.limits);
  if (config.variant !== 'register') return null;
  const { steps } = planDense(gather, config, 'none', 'f32');
  const convStep = steps[steps.length - 1];
  const operands = {
    source: [shape.batch, ...shape.input, shape.cin],
    weights: [...shape.kernel, shape.cin, shape.cout],
  };
  const [source, weights] = (['source', 'weights'] as const).map((name, k) => {
    const input = convStep.inputs[k];
    return uniformTensor(gpu, typeof input === 'number' ? steps[input].shape : operands[name], 1 + k);
  });
  const { kernel } = convStep;
  const kernels = new Map<string, Kernel>([['nothing', kernel]]);
  for (const [part, without] of Object.entries(PARTS)) {
    if (without.sharing && config.subgroup === 0) continue; // lanes do not share weights without subgroups
    const reduced = planDense(gather, config, 'none', 'f32', without).steps.at(-1)!.kernel;
    if (reduced.wgsl === kernel.wgsl)
      throw new Error(`the conv kernel without "${part}" has the same text as the whole kernel`);
    kernels.set(part, reduced);
  }
  const min = new Map([...kernels.keys()].map((part) => [part, Infinity]));
  const time = async (run: Kernel): Promise<number> => {
    const start = performance.now();
    for (let k = 0; k < 3; k++) dispatch(run, [source, weights], convStep.shape).dispose();
    await gpu.sync();
    return (performance.now() - start) / 3;
  };
  try {
    for (const run of kernels.values()) await time(run); // compiles
    for (let round = 0; round < ROUNDS; round++) {
      for (const [part, run] of kernels) min.set(part, Math.min(min.get(part)!, await time(run)));
    }
  } finally {
    source.dispose();
    weights.dispose();
  }
  const whole = min.get('nothing')!;
  const parts = [...min].map(([without, ms]) => ({ without, time: ms, saved: 1 - ms / whole }));
  return { layer, gflops: (2 * convMultiplyAdds(shape)) / whole / 1e6, parts };
}

/** A layer of Sphere20 and one of MobileFaceNet whose sizes fit the tiles. Winograd's algorithm serves neither kind (stride 2, 1×1). */
const LAYERS = ['conv 3×3/2 128→256 @28×24', 'conv 1×1 128→512 @14×12'];

export async function ablateLayers(gpu: Gpu, batch: number): Promise<AblatedLayer[]> {
  const ablated: AblatedLayer[] = [];
  for (const layer of benchLayers().filter(({ name }) => LAYERS.includes(name))) {
    const [forward] = worksOf(layer, batch);
    const result = forward.type === 'conv' ? await ablate(gpu, layer.name, forward.shape) : null;
    if (result) ablated.push(result);
  }
  return ablated;
}
