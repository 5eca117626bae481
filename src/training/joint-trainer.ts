import { ArgumentError, CheckpointError } from '../common/errors.js';
import { CounterRandom } from '../common/random.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltAutoencoder, quantizationInputs } from '../models/klt-autoencoder.js';
import type { Recognizer } from '../models/recognizer.js';
import { Adam } from '../nn/adam.js';
import { clipGradients } from '../nn/clip.js';
import { withoutPrefix } from '../nn/host-tensor.js';
import { filled } from '../nn/init.js';
import { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { cosine, warmUp } from '../nn/schedule.js';
import { loadState, saveState } from '../nn/state.js';
import { add, mul } from '../ops/binary.js';
import { marginLoss } from '../ops/margin-loss.js';
import { mse } from '../ops/mse.js';
import { l2Normalize } from '../ops/normalize.js';
import { sum } from '../ops/reduce.js';
import { ssim } from '../ops/ssim.js';
import { affine } from '../ops/unary.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { Tape } from '../tensor/tape.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint, writeCheckpoint } from './checkpoint.js';
import {
  checkJointTraining,
  type JointStage,
  type JointTrainingConfig,
  stageAt,
  totalSteps,
  withNewJointNames,
} from './joint-config.js';
import { SimulatedEncoder, type SimulatedEncoding } from './simulated-encoder.js';
import { assertSameSource, type TrainingSource } from './training-source.js';

/** Figures of one step. */
export interface JointStep {
  step: number;
  stage: string;
  /** The quantization index of the step's faces. */
  qIndex: number;
  /** The loss of the gradients. */
  loss: number;
  /** dB, peak 1. */
  psnr: number;
  /** Estimated bytes a face. */
  bytes: number;
  /** 1 − cos of embeddings, mean over faces and recognisers; 0 without. */
  distance: number;
  /** CosFace loss, nats; 0 without. */
  cosface: number;
  learningRate: number;
}

export interface JointBatch {
  /** [batchSize, H, W, 3] in [0, 1]. */
  images: Float32Array;
  /** Class of each face; read where a stage has a CosFace term. */
  labels: ArrayLike<number>;
  /** Unit embeddings of the originals, [batchSize, dimension] a recogniser; read where a stage has a distance term. */
  embeddings: readonly Float32Array[];
}

/** A recogniser that the codec is trained with, in evaluation mode, and its classes' directions. */
export interface JointRecognizer {
  recognizer: Recognizer;
  /** [classes, dimension]: where the CosFace loss starts; of the first recogniser alone. */
  classes?: Float32Array;
}

type Inputs = Record<string, Tensor>;
type Figures = { loss: Tensor; error: Tensor; bits: Tensor; distance: Tensor; cosface: Tensor };

const FORMAT: CheckpointFormat<CheckpointState<JointTrainingConfig>> = {
  key: 'cameo.joint-checkpoint',
  training: 'joint training of the codec',
  check(state) {
    const config = withNewJointNames(state.config);
    checkJointTraining(config);
    return { ...state, config };
  },
};
const WARM_UP = 50;
const QUANTIZER_STREAM = 0x51000000;
/** Brings the loss near 1, where the clipping of gradients is meant to be. */
const LOSS_SCALE = 1 / 256;
const DECODER = /^(synthesis\.|logRestore|logScale)/;

/** Directions of the classes. */
class Classes extends Module {
  readonly directions: Parameter;

  constructor(count: number, dimension: number) {
    super();
    this.directions = this.parameter('directions', { shape: [count, dimension], init: filled(1) });
  }
}

/**
 * Trains a codec together with recognisers that embed restored faces. The loss of a face is a sum: squared error over the
 * squared quantization step, so that all rates count equally; the weighted bits; and by stage 1 − SSIM, the distance of
 * embeddings, and CosFace on identity labels (Wang et al. 2018, arXiv 1801.09414). The quantization index of a
 * step depends on seed and step alone; all state is in the checkpoint.
 */
export class JointTrainer {
  /** Steps done. */
  step = 0;
  readonly #classes: Classes | null;
  readonly #inputs: Inputs;
  #encoder: SimulatedEncoder | null = null;
  #optimizer: { stage: number; adam: Adam } | null = null;
  #recorded: { stage: number; recorded: RecordedStep<Inputs, Figures> } | null = null;

  /** @param model with its principal components; it becomes the trainer's */
  constructor(
    private readonly gpu: Gpu,
    readonly config: JointTrainingConfig,
    readonly model: KltAutoencoder,
    readonly recognizers: readonly JointRecognizer[],
    /** Identifies the training data: stored in checkpoints, and compared at a resume if both sides have it. */
    private readonly source: TrainingSource | null = null,
  ) {
    checkJointTraining(config);
    const first = recognizers[0];
    this.#classes = null;
    if (first?.classes) {
      const { dimension } = first.recognizer;
      this.#classes = new Classes(first.classes.length / dimension, dimension);
      this.#classes.directions.set(gpu, first.classes);
    }
    const { height, width } = config.model;
    const input = (shape: number[]): Tensor => keep(Tensor.zeros(gpu, shape));
    this.#inputs = {
      x: input([config.batchSize, height, width, 3]),
      labels: input([config.batchSize]),
      logGain: input([1]),
      fineness: input([1]),
      errorWeight: input([]),
      encoded: input([config.batchSize, model.latentCount]),
    };
    recognizers.forEach(({ recognizer }, k) => {
      this.#inputs[`embeddings${k}`] = input([config.batchSize, recognizer.dimension]);
    });
  }

  /** The first recogniser's parameters are trained too where a stage says so. */
  #trained(stage: JointStage): Map<string, Tensor> {
    const all = new Map([...this.model.parameters()].filter(([name]) => stage.train === 'all' || DECODER.test(name)));
    // They affect the encoder's choice, which has no gradient.
    if (stage.quantization === 'encoder') all.delete('logScale');
    if (stage.cosface > 0 && this.#classes) all.set('classes.directions', this.#classes.directions.tensor);
    if (stage.recognizer === 'trained') {
      for (const [name, tensor] of this.recognizers[0].recognizer.parameters()) all.set(`recognizer.${name}`, tensor);
    }
    return all;
  }

  #learningRate(): number {
    const { stage, step } = stageAt(this.config, this.step);
    const warm = Math.min(WARM_UP, Math.floor(stage.steps / 10));
    const falling = cosine(stage.learningRate, Math.max(1, stage.steps - warm), stage.learningRate / 100);
    return warmUp(falling, warm)(step);
  }

  /** The quantization index of a step. */
  qIndexOf(step: number): number {
    const [low, high] = this.config.steps;
    return low + Math.floor(new CounterRandom(this.config.seed, QUANTIZER_STREAM, step).uniform() * (high - low + 1));
  }

  async train({ images, labels, embeddings }: JointBatch): Promise<JointStep> {
    const { config, step } = this;
    const { index, stage } = stageAt(config, step);
    const recorded = this.#stepOf(index, stage);
    const qIndex = this.qIndexOf(step);
    const { logGain, fineness } = quantizationInputs(qIndex, config.model.steps);
    const { height, width } = config.model;
    const inputs = recorded.inputs;
    inputs.x.write(images);
    inputs.labels.write(Float32Array.from(labels));
    inputs.logGain.write(Float32Array.of(logGain));
    inputs.fineness.write(Float32Array.of(fineness));
    // The step is 4·e^−logGain, in units of a sample's range.
    const squaredStep = (4 * Math.exp(-logGain)) ** 2;
    inputs.errorWeight.write(Float32Array.of((LOSS_SCALE * height * width * 3) / squaredStep));
    embeddings.forEach((values, k) => {
      inputs[`embeddings${k}`].write(values);
    });
    const encoded = stage.quantization === 'encoder' ? await this.#simulate(images, qIndex) : null;
    if (encoded) inputs.encoded.write(encoded.values);
    const learningRate = this.#learningRate();
    recorded.run();
    const { outputs } = recorded;
    const [loss, error, bits, distance, cosface] = await Promise.all(
      [outputs.loss, outputs.error, outputs.bits, outputs.distance, outputs.cosface].map((figure) => figure.item()),
    );
    if (!Number.isFinite(loss)) {
      throw new ArgumentError(
        `training: the loss of step ${step} is ${loss}; the last checkpoint is kept: try a lower learning rate`,
      );
    }
    this.step++;
    const all = encoded ? encoded.bits.reduce((sum, own) => sum + own, 0) : bits;
    const bytes = all / 8 / config.batchSize;
    const psnr = -10 * Math.log10(error);
    return { step, stage: stage.name, qIndex, loss, psnr, bytes, distance, cosface, learningRate };
  }

  #simulate(images: Float32Array, qIndex: number): Promise<SimulatedEncoding> {
    this.#encoder ??= new SimulatedEncoder(this.gpu, this.model, this.config.batchSize);
    return this.#encoder.encode(images, qIndex);
  }

  #stepOf(index: number, stage: JointStage): RecordedStep<Inputs, Figures> {
    if (this.#recorded?.stage === index) return this.#recorded.recorded;
    this.#recorded?.recorded.dispose();
    this.#recorded = null;
    const { config, model } = this;
    const trained = this.#trained(stage);
    const adam = this.#adamOf(index, trained);
    const recorded = recordStep(this.gpu, this.#inputs, (inputs) => {
      const tape = new Tape();
      const figures = tape.record(() => {
        const { x, errorWeight } = inputs;
        const step = { logGain: inputs.logGain, fineness: inputs.fineness };
        const mode = stage.quantization;
        const symbols =
          mode === 'encoder'
            ? inputs.encoded
            : model.quantize(model.analyse(x, step), { mode, seed: config.seed, stream: () => this.step });
        const restored = model.reconstruct(symbols, step);
        const error = mse(restored, x);
        const bits = model.bits(symbols, step);
        let loss = mul(error, errorWeight);
        // The bits of the encoder's choice cannot be trained.
        if (mode !== 'encoder') loss = add(loss, affine(bits, (LOSS_SCALE * config.rateWeight) / config.batchSize));
        if (stage.ssim > 0) loss = add(loss, affine(ssim(restored, x), -stage.ssim, stage.ssim));
        let distance = affine(error, 0);
        let cosface = affine(error, 0);
        if (stage.distance > 0 || stage.cosface > 0) {
          const found = this.recognizers.map(({ recognizer }) => recognizer.embed(restored));
          const count = this.recognizers.length * config.batchSize;
          const cosines = found.map((embedding, k) => sum(mul(l2Normalize(embedding), inputs[`embeddings${k}`])));
          distance = affine(cosines.reduce(add), -1 / count, 1);
          loss = add(loss, affine(distance, stage.distance));
          if (stage.cosface > 0) {
            const { scale, margin } = config;
            const loss1 = { loss: 'cosface', scale, margin, lambda: 0 } as const;
            cosface = marginLoss(found[0], this.#classes!.directions.tensor, inputs.labels, loss1);
            loss = add(loss, affine(cosface, stage.cosface));
          }
        }
        return { loss, error, bits, distance, cosface };
      });
      const grads = tape.gradients(figures.loss, [...trained.values()]);
      const { scale } = clipGradients(grads.values(), config.clipNorm);
      adam.step(grads, () => this.#learningRate(), scale);
      return figures;
    });
    this.#recorded = { stage: index, recorded };
    return recorded;
  }

  /** Each stage starts with an optimiser of its own. */
  #adamOf(index: number, trained: ReadonlyMap<string, Tensor>): Adam {
    if (this.#optimizer?.stage !== index) {
      this.#optimizer?.adam.dispose();
      this.#optimizer = { stage: index, adam: new Adam(trained) };
    }
    return this.#optimizer.adam;
  }

  /** Everything needed to go on: a safetensors file. */
  async checkpoint(): Promise<Uint8Array> {
    const { step, config, source } = this;
    const { index } = stageAt(config, step);
    const tuned = config.stages.some(({ recognizer }) => recognizer === 'trained');
    return writeCheckpoint(
      FORMAT,
      { step, config, source },
      {
        model: await saveState(this.model),
        optimizer: this.#optimizer?.stage === index ? await this.#optimizer.adam.saveState() : new Map(),
        classes: this.#classes ? await saveState(this.#classes) : new Map(),
        recognizer: tuned ? await saveState(this.recognizers[0].recognizer) : new Map(),
      },
    );
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): JointTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }

  /**
   * Goes on from a checkpoint. Stages that have not begun may differ from the checkpoint's. So may the length of the current
   * stage: it then ends earlier or later, and its learning rate falls accordingly from here on.
   * @throws CheckpointError for a file that is not one, or was made with another configuration
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(FORMAT, bytes);
    const { index: begun, step: done } = stageAt(state.config, state.step);
    const own = this.config.stages[begun];
    if (done > 0 && !(own && own.steps >= done)) {
      throw new CheckpointError(`the checkpoint has done ${done} steps of stage ${begun + 1}; this run has fewer`);
    }
    // At the end of a stage the next one has not begun.
    const bound = done > 0 ? begun + 1 : begun;
    for (const key of Object.keys(this.config) as (keyof JointTrainingConfig)[]) {
      const part = (config: JointTrainingConfig): string =>
        JSON.stringify(
          key === 'stages'
            ? config.stages.slice(0, bound).map((stage, k) => (k === begun ? { ...stage, steps: 0 } : stage))
            : config[key],
        );
      if (part(state.config) !== part(this.config)) {
        throw new CheckpointError(
          `the checkpoint was made with ${key} ${part(state.config)}; this run has ${part(this.config)}`,
        );
      }
    }
    if (state.source && this.source) {
      // Other recognisers may take part from the beginning of a stage.
      const teacher = done > 0 ? state.source.teacher : this.source.teacher;
      assertSameSource({ ...state.source, teacher }, this.source);
    }
    loadState(this.model, withoutPrefix(tensors, 'model.'));
    if (this.#classes) loadState(this.#classes, withoutPrefix(tensors, 'classes.'));
    const recognizer = withoutPrefix(tensors, 'recognizer.');
    if (recognizer.size > 0) loadState(this.recognizers[0].recognizer, recognizer);
    this.step = state.step;
    const { index, stage } = stageAt(this.config, state.step);
    const optimizer = withoutPrefix(tensors, 'optimizer.');
    if (optimizer.size > 0 && index === begun) this.#adamOf(index, this.#trained(stage)).loadState(optimizer);
  }

  get finished(): boolean {
    return this.step >= totalSteps(this.config);
  }

  dispose(): void {
    this.#encoder?.dispose();
    this.#recorded?.recorded.dispose();
    for (const input of Object.values(this.#inputs)) input.dispose();
    this.#optimizer?.adam.dispose();
    this.#classes?.dispose();
    this.model.dispose();
  }
}
