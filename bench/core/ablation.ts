import { type ConvShape, convMultiplyAdds } from '../../src/common/conv-geometry.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import type { Kernel } from '../../src/gpu/kernel.js';
import { gatherSize, planGather } from '../../src/kernels/conv.js';
import { chooseGather } from '../../src/kernels/conv-choose.js';
import { dispatch } from '../../src/tensor/dispatch.js';
import { benchLayers } from '../layers.js';
import { uniform } from './own-tasks.js';
import { worksOf } from './work.js';

/** A conv kernel with a part of its work left out. Its results are wrong; what it saves is what the part costs. */
export interface Ablation {
  without: string;
  /** Least time in milliseconds. */
  time: number;
  /** Share of the whole kernel's time that goes when the part goes. */
  saved: number;
}

/** What became of one layer. */
export interface AblatedLayer {
  layer: string;
  /** Of the whole kernel. */
  gflops: number;
  parts: Ablation[];
}

/** In place of a loaded vector. Its numbers differ, or the compiler would do the same sum once for all four. */
const STAND_IN = '(vec4f(f32($1)) + vec4f(0.0, 1.0, 2.0, 3.0))';

/** Only kernels with subgroups have this part. */
const SHARING = 'sharing of the weights between lanes';

/** How to leave a part of the register kernel out: its text, and what stands in for it at little cost. */
const PARTS: Record<string, readonly (readonly [RegExp, string])[]> = {
  'loads of the source': [[/source\[(xb \+ \d+)\]/g, STAND_IN]],
  'loads of the weights': [[/weights\[(wb \+ [^\]]+)\]/g, STAND_IN]],
  [SHARING]: [[/subgroupBroadcast\((q\d+), \d+u\)/g, '$1']],
  'three quarters of the multiply-adds': [[/fma\(vec4f\(x\d+\.[yzw]\), w\d_\d+, (a\d+_\d+)\)/g, '$1']],
};
PARTS['all loads'] = [...PARTS['loads of the source'], ...PARTS['loads of the weights']];

const ROUNDS = 7;

/**
 * Where the time of the register kernel's forward pass goes on this adapter: times of the whole kernel and of kernels
 * that leave out one part each, by turns. Parts overlap in time, so the savings need not add up to the whole.
 * @returns the whole kernel first; null where this adapter chooses another kernel for the shape
 * @throws Error where the kernel's text has no such part
 */
export async function ablate(gpu: Gpu, layer: string, shape: ConvShape): Promise<AblatedLayer | null> {
  const config = chooseGather(gatherSize(shape, 'forward'), gpu.limits);
  if (config.variant !== 'register') return null;
  const { steps } = planGather(shape, 'forward', 'none', config);
  const main = steps[steps.length - 1];
  const operands = {
    source: [shape.batch, ...shape.big, shape.cin],
    weights: [...shape.kernel, shape.cin, shape.cout],
  };
  const [source, weights] = (['source', 'weights'] as const).map((name, k) => {
    const input = main.inputs[k];
    return uniform(gpu, typeof input === 'number' ? steps[input].shape : operands[name], 1 + k);
  });
  const { kernel } = main;
  const kernels = new Map<string, Kernel>([['nothing', kernel]]);
  for (const [part, replacements] of Object.entries(PARTS)) {
    if (part === SHARING && !kernel.wgsl.includes('enable subgroups')) continue;
    let { wgsl } = kernel;
    for (const [from, to] of replacements) {
      if (wgsl.search(from) < 0) throw new Error(`${kernel.label} has nothing like ${from} to leave out as "${part}"`);
      wgsl = wgsl.replace(from, to);
    }
    kernels.set(part, { ...kernel, wgsl });
  }
  const least = new Map([...kernels.keys()].map((part) => [part, Infinity]));
  const time = async (run: Kernel): Promise<number> => {
    const start = performance.now();
    for (let k = 0; k < 3; k++) dispatch(run, [source, weights], main.shape).dispose();
    await gpu.sync();
    return (performance.now() - start) / 3;
  };
  try {
    for (const run of kernels.values()) await time(run); // compiles
    for (let round = 0; round < ROUNDS; round++) {
      for (const [part, run] of kernels) least.set(part, Math.min(least.get(part)!, await time(run)));
    }
  } finally {
    source.dispose();
    weights.dispose();
  }
  const whole = least.get('nothing')!;
  const parts = [...least].map(([without, ms]) => ({ without, time: ms, saved: 1 - ms / whole }));
  return { layer, gflops: (2 * convMultiplyAdds(shape)) / whole / 1e6, parts };
}

/** Of Sphere20 and MobileFaceNet, without odd edges: the two kinds of layer that Winograd's form does not serve. */
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
