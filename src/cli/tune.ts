import type { Command } from 'commander';
import { codecBatch } from '../codec/codec-batch.js';
import { CounterRandom } from '../common/random.js';
import type { Gpu } from '../gpu/gpu.js';
import { openGpu } from '../gpu/node/adapters.js';
import { cacheRoots } from '../gpu/node/swiftshader.js';
import { saveTuning } from '../gpu/node/tuning-file.js';
import { type TuningRequest, tuningKey } from '../gpu/tuning.js';
import { Autoencoder, type AutoencoderConfig } from '../models/autoencoder.js';
import { type TimedCandidate, tuneConv } from '../ops/conv/tune.js';
import { mse } from '../ops/mse.js';
import { Tape } from '../ops/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { say, warn } from './terminal.js';
import { expectKind, readWeights, weightsPath } from './weights.js';

/** Adds `cameo tune` to the program. */
export function addTuneCommand(program: Command): void {
  program
    .command('tune')
    .description("measure the kernels for a model's layers on this adapter, and use the fastest from now on")
    .option(
      '--model <file>',
      'weights whose layers are measured (default: CAMEO_MODEL, else the shipped weights); a file, not standard input',
    )
    .option('--batch <n>', 'faces in a batch (default: as many as `cameo encode` takes at a time)', integer(1, 1024))
    .option('--training', 'also measure the gradients')
    .option('--force', 'measure again what has been measured before')
    .addHelpText(
      'after',
      `
A kernel whose result differs from the naive kernel's is refused. The choices are kept in the cache folder (CAMEO_CACHE),
separately for each adapter, driver and version. CAMEO_TUNING=0 ignores them.

Example:
  cameo tune --training --batch 8`,
    )
    .action(async (options: { model?: string; batch?: number; training?: boolean; force?: boolean }) => {
      const { config } = expectKind(await readWeights(weightsPath(options.model)), 'autoencoder').file;
      await checkCache();
      const gpu = await openGpu({ tuning: true });
      try {
        const requests = requestsOf(gpu, config, options.batch ?? codecBatch(gpu), options.training ?? false);
        await tuneAll(gpu, requests, options.force ?? false);
      } finally {
        gpu.destroy();
      }
    });
}

/** @throws FileError if the choices cannot be kept */
async function checkCache(): Promise<void> {
  const failures: unknown[] = [];
  for (const root of cacheRoots()) {
    try {
      await Outputs.in(root);
      return;
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

/** The choices that kernels ask for in one pass over a batch, with gradients if wanted. */
function requestsOf(gpu: Gpu, config: AutoencoderConfig, batch: number, training: boolean): TuningRequest[] {
  const model = new Autoencoder(config).initialize(gpu, 1);
  const size = [batch, config.height, config.width, 3];
  const random = new CounterRandom(1);
  const faces = Float32Array.from({ length: batch * config.height * config.width * 3 }, () => random.uniform());
  const requests = gpu.tuning.collect(() =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, faces, size);
      const tape = new Tape();
      const loss = tape.record(() => mse(model.reconstruct(model.compress(x, 0, { mode: 'straightThrough' }), 0), x));
      if (training) tape.gradients(loss, [...model.parameters().values()]);
    }),
  );
  model.dispose();
  return requests;
}

async function tuneAll(gpu: Gpu, requests: readonly TuningRequest[], force: boolean): Promise<void> {
  const { kind, description, device } = gpu.description;
  say(`${description || device} (${kind === 'hardware' ? 'GPU' : 'software adapter, not a GPU'})`);
  const gains: number[] = [];
  let path = '';
  for (const [k, request] of requests.entries()) {
    const at = `[${k + 1}/${requests.length}] ${describe(request)}`;
    if (!force && gpu.tuning.has(request)) {
      say(`${at}: already measured`);
      continue;
    }
    const tuning = await tuneConv(gpu, request);
    if (!tuning) continue;
    path = saveTuning(gpu); // after each, so that Ctrl-C loses nothing
    const { chosen, estimated, timed, refused } = tuning;
    if (estimated) gains.push(estimated.ms / chosen.ms);
    const before = estimated ? `${estimated.ms.toFixed(2)} ms by estimate` : `estimate refused`;
    say(`${at}: ${name(chosen.config)}, ${chosen.ms.toFixed(2)} ms (${before}, ${timed.length} tried)`);
    for (const { config, reason } of refused) {
      warn(`cameo: ${tuningKey(request)}: refused ${name(config)}: ${reason}`);
    }
  }
  if (gains.length > 0) {
    const gain = Math.exp(gains.reduce((sum, value) => sum + Math.log(value), 0) / gains.length);
    say(`${gain.toFixed(2)} times faster than by estimate (geometric mean of ${gains.length}); kept in ${path}`);
  }
}

function describe({ family, problem }: TuningRequest): string {
  const { batch, input, output, cin, cout, kernel } = problem as Record<string, number & number[]>;
  return `${family} ${kernel.join('×')} ${batch}×${input.join('×')}×${cin} → ${output.join('×')}×${cout}`;
}

function name(config: TimedCandidate['config']): string {
  const { variant, ...numbers } = config;
  return `${variant} ${JSON.stringify(numbers).replace(/["{}]/g, '')}`.trim();
}
