import { convMultiplyAdds } from '../shaders/common/conv-geometry.js';
import { adapterName } from '../src/gpu/description.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { type ConvVariant, chooseGather, type GatherConfig } from '../src/ops/conv/choose.js';
import { conv2dOp } from '../src/ops/conv/conv.js';
import { gatherOf } from '../src/ops/conv/gather-plan.js';
import { convShape } from '../src/ops/conv/shape.js';
import { scope, type Tensor } from '../src/tensor/tensor.js';
import { uniformTensor } from './core/own-tasks.js';

/*
 * npx tsx bench/ladder.ts: prints the speed of each conv kernel of the ladder in shaders/README.md on this adapter. The kernels run
 * in turn, and the least of several times counts.
 */

const RUNGS: readonly ConvVariant[] = ['naive', 'register', 'tiled', 'winograd'];
const LAYERS: readonly [x: number[], cout: number, kernel: 1 | 3][] = [
  [[1, 28, 24, 128], 128, 3],
  [[1, 56, 48, 64], 64, 3],
  [[1, 14, 12, 128], 512, 1],
];
const ROUNDS = 5;

const gpu = await openGpu({ tuning: false });
console.log(`${adapterName(gpu.description)}, one picture, GFLOP/s by the multiply-adds of the definition\n`);
console.log(`| layer | ${RUNGS.join(' | ')} | chosen |\n|---|${'--:|'.repeat(RUNGS.length)}---|`);
for (const [x, cout, kernel] of LAYERS) {
  const pad = (kernel - 1) / 2;
  const attrs = { stride: [1, 1], padding: [pad, pad, pad, pad], dilation: [1, 1], groups: 1 } as const;
  const out = [...x.slice(0, 3), cout];
  const shape = convShape(x, out, [kernel, kernel, x[3], cout], attrs);
  const gather = gatherOf(shape, 'forward');
  const configs = RUNGS.map((rung): GatherConfig | null => {
    const config = chooseGather(gather, gpu.limits, rung);
    return config.variant === rung ? config : null;
  });
  const inputs = [uniformTensor(gpu, x, 1), uniformTensor(gpu, [kernel, kernel, x[3], cout], 2)];
  const min = configs.map(() => Infinity);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [k, config] of configs.entries()) {
      if (!config) continue;
      const start = performance.now();
      scope(gpu, (): Tensor[] => {
        conv2dOp({ configs: { forward: config } }).forward(inputs, attrs, out);
        return [];
      });
      await gpu.sync();
      if (round > 0) min[k] = Math.min(min[k], performance.now() - start); // the first round compiles
    }
  }
  const cells = min.map((ms) => (ms === Infinity ? '' : ((2 * convMultiplyAdds(shape)) / ms / 1e6).toFixed(1)));
  const chosen = chooseGather(gather, gpu.limits).variant;
  console.log(`| ${kernel}×${kernel} ${x[3]}→${cout} @${x[1]}×${x[2]} | ${cells.join(' | ')} | ${chosen} |`);
  for (const tensor of inputs) tensor.dispose();
}
gpu.destroy();
