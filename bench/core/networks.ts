import { CounterRandom } from '../../src/common/random.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { Autoencoder, DEFAULT_AUTOENCODER } from '../../src/models/autoencoder.js';
import { MobileFaceNet } from '../../src/models/mobilefacenet.js';
import type { Recognizer } from '../../src/models/recognizer.js';
import { Sphere20 } from '../../src/models/sphere20.js';
import type { Module } from '../../src/nn/module.js';
import { SGD } from '../../src/nn/sgd.js';
import { cosFace } from '../../src/ops/cosface.js';
import { Tape } from '../../src/ops/tape.js';
import { type NamedTensors, type RecordedStep, recordStep } from '../../src/tensor/recorded-step.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { JointTrainer } from '../../src/training/joint-trainer.js';
import { TrainedAutoencoder } from '../../src/training/trained-autoencoder.js';
import { type Spread, spreadOf } from './statistics.js';

/** Speed of a whole network. */
export interface NetworkResult {
  network: string;
  /** What is timed: inference, or a training step. */
  task: string;
  batch: number;
  /** Milliseconds per batch, by the wall clock. */
  time: Spread;
  /** Share of that time in which JavaScript records and submits the work. */
  jsShare: number;
}

interface Step {
  /** Milliseconds until JavaScript has submitted the work. */
  js: number;
  /** Milliseconds until the device has done it. */
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

/** Times a recorded step. Each run starts when the device has done the run before. */
async function timeRecorded(
  gpu: Gpu,
  recorded: RecordedStep<NamedTensors, NamedTensors>,
  budget: number,
): Promise<{ time: Spread; jsShare: number }> {
  return measureSteps(async () => {
    const start = performance.now();
    recorded.run();
    const js = performance.now() - start;
    await gpu.sync();
    return { js, total: performance.now() - start };
  }, budget);
}

/** Times a network's forward pass in evaluation mode on a batch of faces that is on the device already. */
async function inference(
  gpu: Gpu,
  network: string,
  model: Module,
  forward: (x: Tensor) => Tensor,
  batch: number,
  budget: number,
): Promise<NetworkResult> {
  model.initialize(gpu, 1).eval();
  const { height, width } = DEFAULT_AUTOENCODER;
  const x = Tensor.from(gpu, randomFaces(batch), [batch, height, width, 3]);
  const recorded = recordStep(gpu, { x }, ({ x }) => ({ y: forward(x) }));
  try {
    return { network, task: 'inference', batch, ...(await timeRecorded(gpu, recorded, budget)) };
  } finally {
    recorded.dispose();
    x.dispose();
    model.dispose();
  }
}

const CLASSES = 1000;

/**
 * Times a training step of a recogniser: forward, CosFace over 1,000 identities, backward, and SGD with momentum and weight
 * decay. The batch is on the device already.
 */
async function recognitionTraining(
  gpu: Gpu,
  network: string,
  model: Recognizer,
  batch: number,
  budget: number,
): Promise<NetworkResult> {
  model.initialize(gpu, 1);
  const { height, width, dimension } = model;
  const random = new CounterRandom(6);
  const values = Float32Array.from({ length: CLASSES * dimension }, () => random.normal());
  const classes = Tensor.from(gpu, values, [CLASSES, dimension]);
  const parameters = new Map([...model.parameters(), ['classes', classes]]);
  const sgd = new SGD(parameters, { momentum: 0.9, weightDecay: 5e-4 });
  const inputs = {
    x: Tensor.from(gpu, randomFaces(batch), [batch, height, width, 3]),
    labels: Tensor.from(
      gpu,
      Float32Array.from({ length: batch }, (_, k) => (37 * k) % CLASSES),
      [batch],
    ),
  };
  const recorded = recordStep(gpu, inputs, ({ x, labels }) => {
    const tape = new Tape();
    const loss = tape.record(() => cosFace(model.embed(x), classes, labels, { scale: 30, margin: 0.35 }));
    sgd.step(tape.gradients(loss, [...parameters.values()]), 1e-3);
    return { loss };
  });
  try {
    return { network, task: 'training step', batch, ...(await timeRecorded(gpu, recorded, budget)) };
  } finally {
    recorded.dispose();
    for (const tensor of [...Object.values(inputs), classes]) tensor.dispose();
    sgd.dispose();
    model.dispose();
  }
}

/** Times the step of `cameo train autoencoder`: upload, forward, backward, clipping, Adam, and reading the figures back. */
async function autoencoderTraining(gpu: Gpu, batch: number, budget: number): Promise<NetworkResult> {
  const codec = new TrainedAutoencoder(gpu, { ...DEFAULT_AUTOENCODER_TRAINING, batchSize: batch });
  const trainer = new JointTrainer(gpu, codec, []);
  const faces = { images: randomFaces(batch), labels: new Array<number>(batch).fill(0), embeddings: [] };
  const step = async (): Promise<Step> => {
    const start = performance.now();
    const done = trainer.train(faces);
    // By now, everything up to the first wait is submitted.
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

/** Times inference and training of all three networks at one batch size. */
export async function measureNetworks(gpu: Gpu, batch: number, budget: number): Promise<NetworkResult[]> {
  const autoencoder = new Autoencoder();
  const restored = (x: Tensor): Tensor => autoencoder.restore(autoencoder.compress(x, 1), 1);
  const results = [
    await inference(gpu, 'autoencoder', autoencoder, restored, batch, budget),
    await autoencoderTraining(gpu, batch, budget),
  ];
  for (const [name, make] of [
    ['MobileFaceNet', () => new MobileFaceNet()],
    ['Sphere20', () => new Sphere20()],
  ] as const) {
    const model = make();
    results.push(await inference(gpu, name, model, (x) => model.embed(x), batch, budget));
    results.push(await recognitionTraining(gpu, name, make(), batch, budget));
  }
  return results;
}
