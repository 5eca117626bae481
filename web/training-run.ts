import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import type { Gpu } from '../src/gpu/gpu.js';
import type { Autoencoder, AutoencoderConfig } from '../src/models/autoencoder.js';
import { type AutoencoderFile, loadAutoencoder, writeAutoencoder } from '../src/models/model-file.js';
import { withoutPrefix } from '../src/nn/host-tensor.js';
import { readSafetensors } from '../src/nn/safetensors.js';
import { loadState } from '../src/nn/state.js';
import { scope, Tensor } from '../src/tensor/tensor.js';
import type { AutoencoderTrainingConfig } from '../src/training/autoencoder-config.js';
import { DEFAULT_STAGE } from '../src/training/joint-config.js';
import { type JointStep, JointTrainer } from '../src/training/joint-trainer.js';
import { TrainedAutoencoder } from '../src/training/trained-autoencoder.js';
import { batchOf, SMALL_HEIGHT, SMALL_WIDTH, unitPixels } from './training-faces.js';

const MODEL: AutoencoderConfig = {
  height: SMALL_HEIGHT,
  width: SMALL_WIDTH,
  stages: [12, 24, 32],
  latentChannels: 8,
  residualBlocks: 0,
  rates: 1,
};

/** Milliseconds between two snapshots. After a loss of the device, at most this much is computed again. */
const SNAPSHOT_MS = 1000;
/** Weight of the mean squared error in the loss. */
const ERROR_WEIGHT = 100;
/** Nobody is recognised here. */
const NO_LABELS = [0, 0, 0, 0];
/** Number of faces that the page shows. */
const SHOWN = 4;

export interface TrainingSettings {
  steps: number;
  /** Estimated bytes per face that training aims at. */
  targetBytes: number;
  /** Weights to start from, as `weights` gives them; null for random weights. */
  start: AutoencoderFile | null;
}

/** Some faces, and the same faces restored by the network with hard rounding. */
export interface Look {
  originals: Uint8Array[];
  restored: Uint8Array[];
}

export interface TrainingListener {
  onStep(step: JointStep): void;
  onLook(look: Look): void;
}

/**
 * Trains a small autoencoder on pictures in memory. The loss is rate plus distortion, with noise in place of rounding. Every second,
 * weights and state of the optimiser are copied from the device. After a loss of the device, training goes on from the last copy. The
 * steps since then give the same results as before, because batches depend on the step alone.
 */
export class TrainingRun {
  /** Figures by step. */
  readonly steps: JointStep[] = [];
  #checkpoint: Uint8Array | null = null;
  #stop = false;

  constructor(
    private readonly device: DeviceKeeper,
    private readonly faces: readonly Uint8Array[],
    readonly settings: TrainingSettings,
    private readonly listener: TrainingListener,
  ) {}

  get done(): boolean {
    return this.steps.length >= this.settings.steps;
  }

  /** Trains until all steps are done, or `stop` is called. */
  async run(): Promise<void> {
    this.#stop = false;
    await this.device.run((gpu) => this.#trainOn(gpu));
  }

  stop(): void {
    this.#stop = true;
  }

  /** The weights of the last snapshot, as `AutoencoderCodec` reads them; null before the first. */
  weights(): Uint8Array | null {
    if (!this.#checkpoint) return null;
    const tensors = withoutPrefix(readSafetensors(this.#checkpoint).tensors, 'model.');
    return writeAutoencoder(MODEL, tensors, { steps: String(this.steps.length), trained: 'in the demo page' });
  }

  async #trainOn(gpu: Gpu): Promise<void> {
    const { steps, targetBytes } = this.settings;
    // One stage, whose length may change when a run goes on.
    const stage = { ...DEFAULT_STAGE, name: 'noise', steps, learningRate: 4e-3, quantization: 'noise' as const };
    const config: AutoencoderTrainingConfig = {
      model: MODEL,
      seed: 1,
      stages: [stage],
      batchSize: 4,
      errorWeight: ERROR_WEIGHT,
      targetBytes: [targetBytes],
      scale: 30,
      margin: 0.35,
      clipNorm: 1,
      sourceWeights: {},
    };
    const codec = new TrainedAutoencoder(gpu, config);
    const trainer = new JointTrainer(gpu, codec, []);
    try {
      if (this.#checkpoint) trainer.restore(this.#checkpoint);
      else if (this.settings.start) loadState(codec.network, this.settings.start.tensors);
      let last = performance.now();
      while (!this.#stop && trainer.step < steps) {
        const figures = await trainer.train({
          images: batchOf(this.faces, trainer.step, config.batchSize),
          labels: NO_LABELS,
          embeddings: [],
        });
        this.steps[figures.step] = figures;
        this.listener.onStep(figures);
        if (performance.now() - last < SNAPSHOT_MS) continue;
        await this.#snapshot(gpu, trainer, codec.network);
        last = performance.now();
      }
      await this.#snapshot(gpu, trainer, codec.network);
    } finally {
      if (!gpu.lost) trainer.dispose();
    }
  }

  async #snapshot(gpu: Gpu, trainer: JointTrainer, model: Autoencoder): Promise<void> {
    const checkpoint = await trainer.checkpoint();
    model.eval(); // this does not change the recorded training step
    const look = lookAt(gpu, model, this.faces);
    model.train();
    this.#checkpoint = checkpoint;
    this.listener.onLook(await look);
  }
}

/** Faces as the start weights restore them, before any training. */
export async function firstLook(gpu: Gpu, start: AutoencoderFile, faces: readonly Uint8Array[]): Promise<Look> {
  const model = loadAutoencoder(gpu, start);
  try {
    return await lookAt(gpu, model, faces);
  } finally {
    if (!gpu.lost) model.dispose();
  }
}

async function lookAt(gpu: Gpu, model: Autoencoder, faces: readonly Uint8Array[]): Promise<Look> {
  const originals = faces.slice(0, SHOWN);
  const pixels = scope(gpu, () => {
    const x = Tensor.from(gpu, unitPixels(originals), [originals.length, SMALL_HEIGHT, SMALL_WIDTH, 3]);
    return model.restore(model.compress(x, 0), 0);
  });
  const values = await pixels.read();
  pixels.dispose();
  const bytes = Uint8Array.from(values, (value) => Math.round(255 * value));
  const size = bytes.length / originals.length;
  return { originals, restored: originals.map((_, k) => bytes.slice(k * size, (k + 1) * size)) };
}
