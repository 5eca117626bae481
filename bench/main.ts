import { Command } from 'commander';
import { openGpu } from '../src/gpu/node/adapters.js';
import { prepareEngine } from './core/engine.js';
import { timeByTurns } from './core/runnable.js';
import { spreadOf } from './core/statistics.js';
import { allWorks, operands } from './core/work.js';
import { benchLayers } from './layers.js';
import { runPeers } from './peers/run.js';

interface Options {
  batch?: number;
  layers?: string;
  kinds?: string;
  quick?: boolean;
  peers?: boolean;
}

/** Times the layers of the networks on our engine, or on ours and on other libraries. */
async function main(): Promise<void> {
  const program = new Command('bench')
    .description('Times convs, deconvs, products and their gradients on the layers of the networks')
    .option('--batch <n>', 'pictures a batch (default 4 on software adapters, else 32)', Number)
    .option('--layers <text>', 'only layers whose name, or network, contains this')
    .option('--kinds <list>', 'only these kinds, such as "conv forward,deconv" (parts of their names)')
    .option('--quick', 'few samples')
    .option('--peers', 'compare with other WebGPU libraries on the same device')
    .parse();
  const { batch, layers, kinds, quick, peers } = program.opts<Options>();
  const gpu = await openGpu();
  const { kind, description, device } = gpu.description;
  const software = kind !== 'hardware';
  const pictures = batch ?? (software ? 4 : 32);
  console.log(`${description || device} (${software ? 'software adapter, not a GPU' : 'GPU'}), batch ${pictures}`);
  const chosen = benchLayers().filter(
    ({ name, counts }) => !layers || name.includes(layers) || Object.keys(counts).includes(layers),
  );
  const works = allWorks(chosen, pictures).filter(
    (work) =>
      (!kinds || kinds.split(',').some((part) => work.kind.includes(part.trim()))) &&
      (!layers || Object.keys(work.counts).length > 0),
  );
  const budget = quick ? 150 : 500;
  if (peers) {
    await runPeers(gpu, works, budget, console.log);
  } else {
    for (const work of works) {
      const runnable = prepareEngine(gpu, work, operands(work));
      runnable.run();
      await runnable.finish();
      const { samples } = await timeByTurns([runnable], { budget });
      const rate = (2 * work.multiplyAdds) / spreadOf(samples[0]).median / 1e6;
      console.log(`${work.kind.padEnd(26)} ${work.layer.padEnd(42)} ${rate.toFixed(2).padStart(8)} GFLOP/s`);
      runnable.dispose();
    }
  }
  gpu.destroy();
}

await main();
