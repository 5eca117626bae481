import { CounterRandom } from '../../src/common/random.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { Autoencoder, DEFAULT_AUTOENCODER } from '../../src/models/autoencoder.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { DEFAULT_CODEC_TRAINING } from '../../src/training/codec-config.js';
import { CodecTrainer } from '../../src/training/codec-trainer.js';
import { type Spread, spreadOf } from './statistics.js';

/** Speed of a whole network. */
export interface NetworkResult {
  network: string;
  /** What is done with it. */
  task: string;
  batch: number;
  /** Milliseconds a batch, by the clock on the wall. */
  time: Spread;
  /** Share of that time in which JavaScript records the work. */
  jsShare: number;
}

interface Step {
  /** Milliseconds in JavaScript. */
  js: number;
  total: number;
}

async function measureSteps(step: () => Promise<Step>, budget: number): Promise<{ time: Spread; jsShare: number }> {
  await step(); // compiles
  const steps: Step[] = [];
  const start = performance.now();
  while (steps.length < 3 || (performance.now() - start < budget && steps.length < 30)) steps.push(await step());
  const time = spreadOf(steps.map(({ total }) => total));
  return { time, jsShare: spreadOf(steps.map(({ js }) => js)).median / time.median };
}

function randomFaces(batch: number): Float32Array {
  const { height, width } = DEFAULT_AUTOENCODER;
  const source = new CounterRandom(4);
  return Float32Array.from({ length: batch * height * width * 3 }, () => source.uniform());
}

/** Face to symbols to face, at one rate; the batch is on the device. */
async function inference(gpu: Gpu, batch: number, budget: number): Promise<NetworkResult> {
  const { height, width } = DEFAULT_AUTOENCODER;
  const model = new Autoencoder().initialize(gpu, 1);
  model.eval();
  const x = Tensor.from(gpu, randomFaces(batch), [batch, height, width, 3]);
  const step = async (): Promise<Step> => {
    const start = performance.now();
    scope(gpu, () => {
      model.restore(model.compress(x, 1), 1);
    });
    gpu.flush();
    const js = performance.now() - start;
    await gpu.sync();
    return { js, total: performance.now() - start };
  };
  try {
    return { network: 'autoencoder', task: 'inference', batch, ...(await measureSteps(step, budget)) };
  } finally {
    x.dispose();
    model.dispose();
  }
}

/** The step of `cameo train`: upload, forward, backward, clipping, Adam, and the figures read back. */
async function training(gpu: Gpu, batch: number, budget: number): Promise<NetworkResult> {
  const trainer = new CodecTrainer(gpu, { ...DEFAULT_CODEC_TRAINING, batchSize: batch });
  const faces = randomFaces(batch);
  const step = async (): Promise<Step> => {
    const start = performance.now();
    const done = trainer.train(faces);
    // Everything up to the first wait is recorded by now.
    const js = performance.now() - start;
    await done;
    return { js, total: performance.now() - start };
  };
  try {
    return { network: 'autoencoder', task: 'training step', batch, ...(await measureSteps(step, budget)) };
  } finally {
    trainer.dispose();
  }
}

/** Times whole networks at a batch size. */
export async function measureNetworks(gpu: Gpu, batch: number, budget: number): Promise<NetworkResult[]> {
  return [await inference(gpu, batch, budget), await training(gpu, batch, budget)];
}
