import { Command } from 'commander';
import { type ConvShape, convMultiplyAdds } from '../src/common/conv-geometry.js';
import { CounterRandom } from '../src/common/random.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { conv2dOp } from '../src/ops/conv.js';
import { scope, Tensor } from '../src/tensor/tensor.js';

/** The convs of the autoencoder at 112×96; its transposed convs are the input gradients of the last four. */
const LAYERS: [name: string, big: [number, number], cin: number, cout: number, kernel: number, stride: number][] = [
  ['down 1', [112, 96], 3, 16, 5, 2],
  ['down 2', [56, 48], 16, 32, 3, 2],
  ['down 3', [28, 24], 32, 64, 3, 2],
  ['down 4', [14, 12], 64, 128, 3, 2],
  ['residual', [7, 6], 128, 128, 3, 1],
  ['up 1', [14, 12], 64, 128, 4, 2],
  ['up 2', [28, 24], 32, 64, 4, 2],
  ['up 3', [56, 48], 16, 32, 4, 2],
  ['up 4', [112, 96], 3, 16, 4, 2],
];

function random(gpu: Gpu, shape: number[]): Tensor {
  const source = new CounterRandom(1);
  const size = shape.reduce((product, extent) => product * extent, 1);
  return Tensor.from(
    gpu,
    Float32Array.from({ length: size }, () => source.uniform() - 0.5),
    shape,
  );
}

/** Median time of one run in milliseconds, after a warm-up that compiles; several runs a sample, several samples. */
async function time(gpu: Gpu, run: () => void): Promise<number> {
  run();
  await gpu.sync();
  const samples: number[] = [];
  for (let sample = 0; sample < 7; sample++) {
    const start = performance.now();
    for (let k = 0; k < 3; k++) run();
    await gpu.sync();
    samples.push((performance.now() - start) / 3);
  }
  return samples.sort((a, b) => a - b)[3];
}

/** Throughput of the conv kernels on the autoencoder's layers. Times include padding and arranging of operands. */
async function main(): Promise<void> {
  const program = new Command('bench')
    .description("GFLOP/s of conv forward, input gradient and weight gradient on the autoencoder's layers")
    .option('--batch <n>', 'pictures a batch', Number, 8)
    .option('--naive', 'also time the naive kernels')
    .parse();
  const { batch, naive } = program.opts<{ batch: number; naive?: boolean }>();
  const gpu = await openGpu();
  const { kind, description, device } = gpu.description;
  const what = kind === 'hardware' ? 'GPU' : 'software adapter, not a GPU';
  console.log(`${description || device} (${what}), batch ${batch}`);
  console.log('layer      MFLOP   variant   forward   input gradient   weight gradient   (GFLOP/s)');
  for (const [name, big, cin, cout, kernel, stride] of LAYERS) {
    const padding = Math.floor((kernel - 1) / 2);
    const small: [number, number] = [big[0] / stride, big[1] / stride];
    const attrs = {
      stride: [stride, stride] as const,
      padding: [padding, padding, padding, padding] as const,
      dilation: [1, 1] as const,
      groups: 1,
    };
    const shape: ConvShape = {
      batch,
      big,
      small,
      cin,
      cout,
      kernel: [kernel, kernel],
      ...attrs,
      padding: [padding, padding],
    };
    const flop = 2 * convMultiplyAdds(shape);
    const x = random(gpu, [batch, ...big, cin]);
    const w = random(gpu, [kernel, kernel, cin, cout]);
    const dy = random(gpu, [batch, ...small, cout]);
    for (const variant of naive ? (['register', 'naive'] as const) : (['register'] as const)) {
      const op = conv2dOp({ variant });
      const gradient = (needs: boolean[]) => () =>
        scope(gpu, () => {
          op.backward({ inputs: [x, w], output: dy, saved: [], attrs, dy, needs });
        });
      const forward = await time(gpu, () => scope(gpu, () => void op.forward([x, w], attrs, dy.shape)));
      const inputGradient = await time(gpu, gradient([true, false]));
      const weightGradient = await time(gpu, gradient([false, true]));
      const rate = (ms: number): string => (flop / ms / 1e6).toFixed(2).padStart(9);
      const size = (flop / 1e6).toFixed(0).padStart(5);
      console.log(
        `${name.padEnd(10)} ${size}   ${variant.padEnd(8)} ${rate(forward)}        ${rate(inputGradient)}         ${rate(weightGradient)}`,
      );
    }
    for (const tensor of [x, w, dy]) tensor.dispose();
  }
  gpu.destroy();
}

await main();
