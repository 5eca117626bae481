import { CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { Autoencoder } from '../models/autoencoder.js';
import { Adam } from '../nn/adam.js';
import { clipGradients } from '../nn/clip.js';
import { withoutPrefix } from '../nn/host-tensor.js';
import { cosine, type Schedule, warmUp } from '../nn/schedule.js';
import { loadState, saveState } from '../nn/state.js';
import { add, mul } from '../ops/binary.js';
import { mse } from '../ops/mse.js';
import { affine } from '../ops/unary.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { Tape } from '../tensor/tape.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { type AutoencoderTrainingConfig, checkAutoencoderTraining } from './autoencoder-config.js';
import {
  type CheckpointFormat,
  type CheckpointState,
  isCheckpointOf,
  parseCheckpoint,
  writeCheckpoint,
} from './checkpoint.js';
import { assertSameConfig } from './same-config.js';
import { assertSameSource, type TrainingSource } from './training-source.js';

/** Figures of one step, as the progress bar and the log show them. */
export interface AutoencoderStep {
  step: number;
  rate: number;
  /** distortion + weighted rate: the loss of the gradients */
  loss: number;
  /** Mean squared error over samples in [0, 1]. */
  mse: number;
  /** dB, peak 1. */
  psnr: number;
  /** Estimated bytes a face. */
  bytes: number;
  /** Weight of the rate term. */
  rateWeight: number;
  learningRate: number;
}

/** Inputs of a step, which the recorded steps of all rates share. */
type AutoencoderInputs = {
  /** Faces [batchSize, H, W, 3]. */
  x: Tensor;
  /** Weight of the bits in the loss, []. */
  weight: Tensor;
};
type StepMode = 'noise' | 'straightThrough';
/** Scalars. */
type StepFigures = { loss: Tensor; distortion: Tensor; bits: Tensor };

/** The distortion term is this times the mean squared error of samples in [0, 1]. */
const DISTORTION_SCALE = 100;
const FIRST_RATE_WEIGHT = 0.1;
/** Largest change of a rate's weight in one visit, in natural-log units. */
const STEERING = 0.02;

interface AutoencoderState extends CheckpointState<AutoencoderTrainingConfig> {
  rateWeights: number[];
}

const FORMAT: CheckpointFormat<AutoencoderState> = {
  // The first name of this training stays in its files.
  key: 'cameo.codec-checkpoint',
  training: 'autoencoder training',
  check(state) {
    const { step, rateWeights, config } = state;
    checkAutoencoderTraining(config);
    const fit = Array.isArray(rateWeights) && rateWeights.length === config.model.rates;
    if (!fit || !rateWeights.every((weight) => weight > 0)) {
      throw new CheckpointError(`step ${step}, rate weights [${rateWeights}]`);
    }
    return state;
  },
};

/**
 * Trains an autoencoder for several rates at once. Step k serves rate k mod rates, on a batch that depends on seed and k
 * alone; the weight of a rate's bits is steered until the estimated size meets the rate's target. All state is in the
 * checkpoint, so a resumed run computes the same bits as one that was not stopped.
 */
export class AutoencoderTrainer {
  readonly model: Autoencoder;
  readonly optimizer: Adam;
  /** Steps done. */
  step = 0;
  readonly #rateWeights: number[];
  readonly #schedule: Schedule;
  readonly #inputs: AutoencoderInputs;
  /** By rate: the step as it was recorded, and the mode of quantization in it. */
  readonly #recorded = new Map<number, { mode: StepMode; recorded: RecordedStep<AutoencoderInputs, StepFigures> }>();

  constructor(
    private readonly gpu: Gpu,
    readonly config: AutoencoderTrainingConfig,
    /** Identifies the training data: stored in checkpoints, and compared at a resume if both sides have it. */
    private readonly source: TrainingSource | null = null,
  ) {
    checkAutoencoderTraining(config);
    this.model = new Autoencoder(config.model).initialize(gpu, config.seed);
    this.optimizer = new Adam(this.model.parameters());
    this.#rateWeights = new Array(config.model.rates).fill(FIRST_RATE_WEIGHT);
    const { height, width } = config.model;
    this.#inputs = {
      x: keep(Tensor.zeros(gpu, [config.batchSize, height, width, 3])),
      weight: keep(Tensor.zeros(gpu, [])),
    };
    const { learningRate, steps, warmUpSteps } = config;
    const falling = cosine(learningRate, Math.max(1, steps - warmUpSteps), learningRate / 100);
    this.#schedule = warmUp(falling, warmUpSteps);
  }

  /**
   * One step.
   * @param images [batchSize, H, W, 3] in [0, 1]
   */
  async train(images: Float32Array): Promise<AutoencoderStep> {
    const { config, step } = this;
    const { height, width } = config.model;
    const rate = step % config.model.rates;
    const rateWeight = this.#rateWeights[rate];
    const rounding = step >= config.steps * (1 - config.roundingShare);
    const recorded = this.#stepFor(rate, rounding ? 'straightThrough' : 'noise');
    recorded.inputs.x.write(images);
    recorded.inputs.weight.write(Float32Array.of(rateWeight / (config.batchSize * height * width)));
    recorded.run();
    const { loss: total, distortion, bits: size } = recorded.outputs;
    const [loss, error, bits] = await Promise.all([total, distortion, size].map((figure) => figure.item()));
    const learningRate = this.#schedule(step);
    this.step++;

    const bytes = bits / 8 / config.batchSize;
    const excess = Math.max(-1, Math.min(1, bytes / config.targetBytes[rate] - 1));
    this.#rateWeights[rate] *= Math.exp(STEERING * excess);
    const psnr = -10 * Math.log10(error);
    return { step, rate, loss, mse: error, psnr, bytes, rateWeight, learningRate };
  }

  /** The step of a rate and mode. Its inputs, and functions of `this.step`, change from run to run. */
  #stepFor(rate: number, mode: StepMode): RecordedStep<AutoencoderInputs, StepFigures> {
    const known = this.#recorded.get(rate);
    if (known?.mode === mode) return known.recorded;
    known?.recorded.dispose();
    const { config, model } = this;
    model.train();
    const recorded = recordStep(this.gpu, this.#inputs, ({ x, weight }) => {
      const tape = new Tape();
      const figures = tape.record(() => {
        const symbols = model.compress(x, rate, { mode, seed: config.seed, stream: () => this.step });
        const distortion = mse(model.reconstruct(symbols, rate), x);
        const bits = model.bits(symbols, rate);
        return { loss: add(affine(distortion, DISTORTION_SCALE), mul(bits, weight)), distortion, bits };
      });
      const grads = tape.gradients(figures.loss, [...model.parameters().values()]);
      const { scale } = clipGradients(grads.values(), config.clipNorm);
      this.optimizer.step(grads, () => this.#schedule(this.step), scale);
      return figures;
    });
    this.#recorded.set(rate, { mode, recorded });
    return recorded;
  }

  /** Everything needed to go on: a safetensors file. */
  async checkpoint(): Promise<Uint8Array> {
    const { step, config, source } = this;
    return writeCheckpoint(
      FORMAT,
      { step, rateWeights: this.#rateWeights, config, source },
      { model: await saveState(this.model), optimizer: await this.optimizer.saveState() },
    );
  }

  /** Whether a file is a checkpoint of this training. @throws CheckpointError for no safetensors file */
  static isCheckpoint(bytes: Uint8Array): boolean {
    return isCheckpointOf(FORMAT, bytes);
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): AutoencoderTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }

  /**
   * Goes on from a checkpoint. Only `steps` may differ from the checkpoint's: this shortens or lengthens the run, and
   * with it the learning-rate schedule from here on.
   * @throws CheckpointError for a file that is not one, or was made with another configuration or from other faces
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(FORMAT, bytes);
    assertSameConfig(state.config, this.config);
    if (state.source && this.source) assertSameSource(state.source, this.source);
    loadState(this.model, withoutPrefix(tensors, 'model.'));
    this.optimizer.loadState(withoutPrefix(tensors, 'optimizer.'));
    this.step = state.step;
    this.#rateWeights.splice(0, this.#rateWeights.length, ...state.rateWeights);
  }

  dispose(): void {
    for (const { recorded } of this.#recorded.values()) recorded.dispose();
    this.#inputs.x.dispose();
    this.#inputs.weight.dispose();
    this.optimizer.dispose();
    this.model.dispose();
  }
}
