import { ArgumentError, CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
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
import { Tape } from '../ops/tape.js';
import { affine } from '../ops/unary.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { parseCheckpoint, writeCheckpoint } from './checkpoint.js';
import { type JointSettings, type JointStage, stageAt, totalSteps } from './joint-config.js';
import type { Tensors, TrainedCodec } from './trained-codec.js';
import { assertSameSource, type TrainingSource } from './training-source.js';

/** Figures of one step. */
export interface JointStep {
  step: number;
  stage: string;
  /** The codec's rate of the step's faces: a quantization index, or the index of a rate. */
  setting: number;
  /** The loss of the gradients. */
  loss: number;
  /** Mean squared error of samples in [0, 1]. */
  mse: number;
  /** dB, peak 1. */
  psnr: number;
  /** Bytes a face, as the codec counts them. */
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

type Figures = Record<'loss' | 'error' | 'bits' | 'distance' | 'cosface', Tensor>;
/** The figures, and what the codec adds to them. */
type Recorded = RecordedStep<Tensors, Figures & Tensors>;

const WARM_UP = 50;

/** Directions of the classes. */
class Classes extends Module {
  readonly directions: Parameter;

  constructor(count: number, dimension: number) {
    super();
    this.directions = this.parameter('directions', { shape: [count, dimension], init: filled(1) });
  }
}

/**
 * Trains a codec, alone and together with recognisers that embed restored faces. The loss of a face is a sum: weighted squared
 * error; the weighted bits; and by stage 1 − SSIM, the distance of embeddings, and CosFace on identity labels (Wang et al.
 * 2018, arXiv 1801.09414). All state is in the checkpoint, so a resumed run computes the same bits as one that was not stopped.
 */
export class JointTrainer<Config extends JointSettings = JointSettings> {
  /** Steps done. */
  step = 0;
  readonly config: Config;
  readonly #classes: Classes | null;
  readonly #inputs: Tensors;
  #optimizer: { stage: number; adam: Adam } | null = null;
  #recorded: { stage: number; steps: Map<number, Recorded> } | null = null;

  /** @param codec becomes the trainer's */
  constructor(
    private readonly gpu: Gpu,
    readonly codec: TrainedCodec<Config>,
    readonly recognizers: readonly JointRecognizer[],
    /** Identifies the training data: stored in checkpoints, and compared at a resume if both sides have it. */
    private readonly source: TrainingSource | null = null,
  ) {
    this.config = codec.config;
    const { batchSize, model } = codec.config;
    const first = recognizers[0];
    this.#classes = null;
    if (first?.classes) {
      const { dimension } = first.recognizer;
      this.#classes = new Classes(first.classes.length / dimension, dimension);
      this.#classes.directions.set(gpu, first.classes);
    }
    const input = (shape: readonly number[]): Tensor => keep(Tensor.zeros(gpu, shape));
    this.#inputs = { x: input([batchSize, model.height, model.width, 3]), labels: input([batchSize]) };
    for (const [name, shape] of Object.entries(codec.inputs)) this.#inputs[name] = input(shape);
    recognizers.forEach(({ recognizer }, k) => {
      this.#inputs[`embeddings${k}`] = input([batchSize, recognizer.dimension]);
    });
  }

  /** The first recogniser's parameters are trained too where a stage says so. */
  #trained(stage: JointStage): Map<string, Tensor> {
    const { codec } = this;
    const all = new Map([...codec.network.parameters()].filter(([name]) => codec.trains(name, stage)));
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

  /** @throws ArgumentError where the loss is no number any more */
  async train({ images, labels, embeddings }: JointBatch): Promise<JointStep> {
    const { config, codec, step } = this;
    const { index, stage } = stageAt(config, step);
    const plan = await codec.plan(step, stage, images);
    const recorded = this.#stepOf(index, stage, plan.recording);
    const { inputs, outputs } = recorded;
    inputs.x.write(images);
    inputs.labels.write(Float32Array.from(labels));
    embeddings.forEach((values, k) => {
      inputs[`embeddings${k}`].write(values);
    });
    for (const [name, values] of Object.entries(plan.inputs)) inputs[name].write(values);
    const learningRate = this.#learningRate();
    recorded.run();
    const [loss, mse, bits, distance, cosface] = await Promise.all(
      [outputs.loss, outputs.error, outputs.bits, outputs.distance, outputs.cosface].map((figure) => figure.item()),
    );
    if (!Number.isFinite(loss)) {
      throw new ArgumentError(
        `training: the loss of step ${step} is ${loss}; the last checkpoint is kept: try a lower learning rate`,
      );
    }
    const bytes = await codec.finish(plan, stage, bits, outputs);
    this.step++;
    const { setting } = plan;
    const psnr = -10 * Math.log10(mse);
    return { step, stage: stage.name, setting, loss, mse, psnr, bytes, distance, cosface, learningRate };
  }

  #stepOf(index: number, stage: JointStage, recording: number): Recorded {
    if (this.#recorded?.stage !== index) {
      this.#disposeRecorded();
      this.#recorded = { stage: index, steps: new Map() };
    }
    const { steps } = this.#recorded!;
    let recorded = steps.get(recording);
    if (!recorded) {
      recorded = this.#record(index, stage, recording);
      steps.set(recording, recorded);
    }
    return recorded;
  }

  #disposeRecorded(): void {
    for (const recorded of this.#recorded?.steps.values() ?? []) recorded.dispose();
    this.#recorded = null;
  }

  #record(index: number, stage: JointStage, recording: number): Recorded {
    const { config, codec } = this;
    const trained = this.#trained(stage);
    const adam = this.#adamOf(index, trained);
    codec.enter(stage); // each time: a validation in between switches to evaluation
    return recordStep(this.gpu, this.#inputs, (inputs): Figures & Tensors => {
      const tape = new Tape();
      const figures = tape.record(() => {
        const { x, errorWeight } = inputs;
        const { restored, bits, rateLoss, results } = codec.pass(x, inputs, stage, {
          recording,
          stream: () => this.step,
        });
        const error = mse(restored, x);
        let loss = mul(error, errorWeight);
        if (rateLoss) loss = add(loss, rateLoss);
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
        return { ...results, loss, error, bits, distance, cosface };
      });
      const grads = tape.gradients(figures.loss, [...trained.values()]);
      const { scale } = clipGradients(grads.values(), config.clipNorm);
      adam.step(grads, () => this.#learningRate(), scale);
      return figures;
    });
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
    const { step, config, source, codec } = this;
    const { index } = stageAt(config, step);
    const tuned = config.stages.some(({ recognizer }) => recognizer === 'trained');
    return writeCheckpoint(
      codec.format,
      { step, config, source, codec: codec.state() },
      {
        model: await saveState(codec.network),
        optimizer: this.#optimizer?.stage === index ? await this.#optimizer.adam.saveState() : new Map(),
        classes: this.#classes ? await saveState(this.#classes) : new Map(),
        recognizer: tuned ? await saveState(this.recognizers[0].recognizer) : new Map(),
      },
    );
  }

  /**
   * Goes on from a checkpoint. Stages that have not begun may differ from the checkpoint's. So may the length of the current
   * stage: it then ends earlier or later, and its learning rate falls accordingly from here on.
   * @throws CheckpointError for a file that is not one, or was made with another configuration
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(this.codec.format, bytes);
    const { index: begun, step: done } = stageAt(state.config, state.step);
    const own = this.config.stages[begun];
    if (done > 0 && !(own && own.steps >= done)) {
      throw new CheckpointError(`the checkpoint has done ${done} steps of stage ${begun + 1}; this run has fewer`);
    }
    // At the end of a stage the next one has not begun.
    const bound = done > 0 ? begun + 1 : begun;
    for (const key of Object.keys(this.config) as (keyof Config)[]) {
      const part = (config: Config): string =>
        JSON.stringify(
          key === 'stages'
            ? config.stages.slice(0, bound).map((stage, k) => (k === begun ? { ...stage, steps: 0 } : stage))
            : config[key],
        );
      if (part(state.config) !== part(this.config)) {
        throw new CheckpointError(
          `the checkpoint was made with ${String(key)} ${part(state.config)}; this run has ${part(this.config)}`,
        );
      }
    }
    if (state.source && this.source) {
      // Other recognisers may take part from the beginning of a stage.
      const teacher = done > 0 ? state.source.teacher : this.source.teacher;
      assertSameSource({ ...state.source, teacher }, this.source);
    }
    loadState(this.codec.network, withoutPrefix(tensors, 'model.'));
    this.codec.restoreState(state.codec);
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
    this.#disposeRecorded();
    for (const input of Object.values(this.#inputs)) input.dispose();
    this.#optimizer?.adam.dispose();
    this.#classes?.dispose();
    this.codec.dispose();
  }
}
