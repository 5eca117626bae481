import { ArgumentError, CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { MobileFaceNet } from '../models/mobilefacenet.js';
import type { Recognizer } from '../models/recognizer.js';
import { buildRecognizer } from '../models/recognizer-file.js';
import { Adam } from '../nn/adam.js';
import { clipGradients } from '../nn/clip.js';
import { type HostTensors, withoutPrefix } from '../nn/host-tensor.js';
import { xavierUniform } from '../nn/init.js';
import { Module } from '../nn/module.js';
import { Muon } from '../nn/muon.js';
import type { Parameter } from '../nn/parameter.js';
import { cosine, type Schedule, warmUp } from '../nn/schedule.js';
import { loadState, saveState } from '../nn/state.js';
import { averageDecay, averageWeights } from '../nn/weight-average.js';
import { add, mul } from '../ops/binary.js';
import { reshape, slice } from '../ops/layout.js';
import { marginLoss } from '../ops/margin-loss.js';
import { l2Normalize } from '../ops/normalize.js';
import { sum } from '../ops/reduce.js';
import { Tape } from '../ops/tape.js';
import { affine } from '../ops/unary.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint, writeCheckpoint } from './checkpoint.js';
import { type HintTargets, hintDistance, hintTargets } from './hints.js';
import {
  checkRecognitionTraining,
  DEFAULT_RECOGNITION_TRAINING,
  facesInStep,
  type RecognitionTrainingConfig,
  recognizerOf,
  withNewLossNames,
} from './recognition-config.js';
import { assertSameConfig } from './same-config.js';
import { assertSameSource, type TrainingSource } from './training-source.js';

/** Figures of one step. */
export interface RecognitionStep {
  step: number;
  /** the loss of the gradients */
  loss: number;
  /** the margin loss of the labelled faces, nats */
  classification: number;
  /** 1 − cos(embedding, teacher's), mean; 0 without a teacher */
  distance: number;
  /** Mean distance of the maps to the teacher's, in variances of the teacher's; 0 where they are not compared. */
  hints: number;
  margin: number;
  learningRate: number;
}

/** What a step learns from: labelled faces first, then those without label and generated ones. */
export interface RecognitionBatch {
  /** [batchSize + unlabelledBatch + generatedBatch, H, W, 3] in [0, 1] */
  images: Float32Array;
  /** Classes of the first batchSize. */
  labels: ArrayLike<number>;
  /** The teacher's embeddings of all, each of length 1; null without a teacher, or with hints. */
  teacher: Float32Array | null;
  /** With hints: the faces that the teacher looks at, like `images`. */
  clean?: Float32Array;
}

/** The network, and the class weights that only training needs. */
class Trained extends Module {
  readonly network: Recognizer;
  readonly classes: Parameter;

  constructor(config: RecognitionTrainingConfig, classes: number) {
    super();
    this.network = this.child('network', buildRecognizer(recognizerOf(config)));
    const shape = [classes, this.network.dimension];
    this.classes = this.parameter('classes', { shape, init: xavierUniform(shape[1], shape[0]) });
  }
}

type RecognitionInputs = { x: Tensor; labels: Tensor; labelWeight: Tensor; teacher: Tensor; clean: Tensor };
type StepFigures = { loss: Tensor; classification: Tensor; distance: Tensor; hints: Tensor };

/** The recogniser whose weights a run started at. */
export interface StartedFrom {
  name: string;
  /** Of its weights file. */
  modelId: string;
}

interface RecognitionState extends CheckpointState<RecognitionTrainingConfig> {
  identities: readonly string[];
  /** Absent where the first weights were random. */
  from?: StartedFrom;
}

const FORMAT: CheckpointFormat<RecognitionState> = {
  key: 'cameo.recognition-checkpoint',
  training: 'recognition training',
  check(state) {
    // A checkpoint of an earlier version lacks later settings; it was trained as their defaults do.
    const saved = withNewLossNames(state.config);
    const augment = { ...saved.augment, scale: saved.augment.scale ?? 0 };
    const config = checkRecognitionTraining({ ...DEFAULT_RECOGNITION_TRAINING, ...saved, augment });
    if (!Array.isArray(state.identities)) {
      throw new CheckpointError(`step ${state.step}, identities ${typeof state.identities}`);
    }
    const { from } = state;
    if (from !== undefined && (typeof from?.name !== 'string' || typeof from.modelId !== 'string')) {
      throw new CheckpointError(`from is ${JSON.stringify(from)}; expected a name and a modelId`);
    }
    return { ...state, config };
  },
};

/**
 * Trains a recogniser on identity labels, and on a teacher's embeddings if there is a teacher. All state is in the
 * checkpoint, so a resumed run computes the same bits as one that was not stopped.
 */
export class RecognitionTrainer {
  readonly optimizer: Adam;
  /** Trains what the other one does not; null where that trains all. */
  readonly #muon: Muon | null = null;
  /** Steps done. */
  step = 0;
  readonly #trained: Trained;
  /** The running average of the network's weights; null without. */
  readonly #average: Recognizer | null = null;
  readonly #schedule: Schedule;
  readonly #inputs: RecognitionInputs;
  #from: StartedFrom | undefined;
  #recorded: RecordedStep<RecognitionInputs, StepFigures> | null = null;
  /** Whether the recorded step is one of teacher forcing. */
  #forced = false;

  constructor(
    private readonly gpu: Gpu,
    readonly config: RecognitionTrainingConfig,
    /** Names of the classes; a checkpoint fits these only. */
    readonly identities: readonly string[],
    /** Noted in checkpoints, and compared with what they note. */
    readonly source?: TrainingSource,
    /** Whose maps are learnt, if `config.hints` is above 0; in evaluation mode. */
    private readonly teacher?: MobileFaceNet,
  ) {
    checkRecognitionTraining(config);
    if (config.hints > 0 !== (teacher !== undefined)) {
      throw new ArgumentError('training: hints above 0 need the teacher itself, and the teacher needs hints above 0');
    }
    this.#trained = new Trained(config, identities.length).initialize(gpu, config.seed);
    if (config.averageDecay > 0) {
      this.#average = buildRecognizer(recognizerOf(config)).initialize(gpu, config.seed);
      this.#average.eval();
    }
    const { learningRate, steps, warmUpSteps, weightDecay, batchSize, model } = config;
    const [matrices, others] = this.#byOptimizer();
    this.optimizer = new Adam(others, { weightDecay, decoupled: true });
    if (matrices.size > 0) this.#muon = new Muon(matrices, { weightDecay });
    const falling = cosine(learningRate, Math.max(1, steps - warmUpSteps), learningRate / 100);
    this.#schedule = warmUp(falling, warmUpSteps);
    const faces = facesInStep(config);
    const pictures = [faces, model.height, model.width, 3];
    this.#inputs = {
      x: keep(Tensor.zeros(gpu, pictures)),
      clean: keep(Tensor.zeros(gpu, config.hints > 0 ? pictures : [])),
      labels: keep(Tensor.zeros(gpu, [batchSize])),
      labelWeight: keep(Tensor.zeros(gpu, [])),
      teacher: keep(Tensor.zeros(gpu, [faces, model.dimension])),
    };
  }

  /** What training changes. */
  #parameters(): Map<string, Tensor> {
    const all = [...this.#trained.parameters()];
    const fixed = this.config.fixedHead ? /^network\.head(Norm)?\./ : /$^/;
    return new Map(all.filter(([name]) => !fixed.test(name)));
  }

  /** The parameters that Muon trains, and those that AdamW does. */
  #byOptimizer(): [Map<string, Tensor>, Map<string, Tensor>] {
    const all = [...this.#parameters()];
    // The weights of a depthwise conv have one input channel.
    const dense = (name: string, { shape }: Tensor): boolean =>
      this.config.optimizer === 'muon' &&
      name.startsWith('network.') &&
      shape.length > 1 &&
      shape[shape.length - 2] > 1;
    return [new Map(all.filter((one) => dense(...one))), new Map(all.filter((one) => !dense(...one)))];
  }

  /** The network to use: that of the averaged weights, if there are any. */
  get network(): Recognizer {
    return this.#average ?? this.#trained.network;
  }

  /** To be called after `network` was used in evaluation mode. */
  resumeTraining(): void {
    this.#trained.network.train();
  }

  /** The recogniser whose weights the run started with; undefined if they were random. */
  get from(): StartedFrom | undefined {
    return this.#from;
  }

  /**
   * Starts the network at weights of a file; those of the classes stay as they are. To be called before the first step.
   * @throws CheckpointError for tensors that do not fit
   */
  startFrom(tensors: HostTensors, from: StartedFrom): void {
    loadState(this.#trained.network, tensors);
    if (this.#average) loadState(this.#average, tensors);
    this.#from = from;
  }

  /** Starts the weights of the classes at these, [classes, dimension]. To be called before the first step. */
  setClasses(values: Float32Array): void {
    this.#trained.classes.set(this.gpu, values);
  }

  /** The margin of the current step: it rises linearly to the loss's own. sphereface's factor is fixed; there λ falls. */
  get #rise(): number {
    const { labelStart, marginWarmUpSteps } = this.config;
    return Math.min(1, Math.max(0, (this.step + 1 - labelStart) / (marginWarmUpSteps + 1)));
  }

  /** The weight of the loss on labels in the current step. */
  get #labelWeight(): number {
    return this.config.labelStart === 0 ? 1 : this.#rise;
  }

  get margin(): number {
    const { loss, margin } = this.config.loss;
    return loss === 'sphereface' ? margin : margin * this.#rise;
  }

  /** The scale of the current step. */
  get scale(): number {
    const { firstScale, loss } = this.config;
    return firstScale === 0 ? loss.scale : firstScale + (loss.scale - firstScale) * this.#rise;
  }

  /** λ of sphereface, from 1000 down to its own: Liu et al. 2017, arXiv 1704.08063, appendix. */
  get #lambda(): number {
    const { lambda } = this.config.loss;
    return this.#rise >= 1 ? lambda : Math.max(lambda, 1000 ** (1 - this.#rise) - 1);
  }

  async train({ images, labels, teacher, clean }: RecognitionBatch): Promise<RecognitionStep> {
    const recorded = this.#step();
    recorded.inputs.x.write(images);
    recorded.inputs.labels.write(Float32Array.from(labels));
    recorded.inputs.labelWeight.write(Float32Array.of(this.#labelWeight));
    if (teacher) recorded.inputs.teacher.write(teacher);
    if (clean) recorded.inputs.clean.write(clean);
    recorded.run();
    const figures = recorded.outputs;
    const [loss, classification, distance, hints] = await Promise.all(
      [figures.loss, figures.classification, figures.distance, figures.hints].map((figure) => figure.item()),
    );
    const { step, margin } = this;
    const learningRate = this.#schedule(step);
    this.step++;
    return { step, loss, classification, distance, hints, margin, learningRate };
  }

  #step(): RecordedStep<RecognitionInputs, StepFigures> {
    const forced = this.step < this.config.teacherForcingSteps;
    if (this.#recorded && forced === this.#forced) return this.#recorded;
    this.#recorded?.dispose();
    this.#forced = forced;
    const { config } = this;
    const { network, classes } = this.#trained;
    network.train();
    this.#recorded = recordStep(this.gpu, this.#inputs, (inputs) => {
      const targets = this.teacher ? hintTargets(this.teacher, inputs.clean) : null;
      const tape = new Tape();
      const figures = tape.record(() => {
        const { x, labels, labelWeight } = inputs;
        const { embeddings, hints } = this.#outputs(x, targets);
        const { batchSize, distillation } = config;
        const labelledOnes =
          x.shape[0] > batchSize ? slice(embeddings, [0, 0], [batchSize, network.dimension]) : embeddings;
        const schedule = {
          loss: config.loss.loss,
          scale: () => this.scale,
          margin: () => this.margin,
          lambda: () => this.#lambda,
        };
        const classification = marginLoss(labelledOnes, classes.tensor, labels, schedule);
        const wanted = targets ? l2Normalize(rowsOf(targets.maps)) : inputs.teacher;
        const distance = affine(sum(mul(l2Normalize(embeddings), wanted)), -1 / x.shape[0], 1);
        if (distillation === 0) return { loss: affine(classification, 1), classification, distance, hints };
        const taught = add(mul(classification, labelWeight), affine(distance, distillation));
        return { loss: targets ? add(taught, affine(hints, config.hints)) : taught, classification, distance, hints };
      });
      const grads = tape.gradients(figures.loss, [...this.#parameters().values()]);
      const { scale } = clipGradients(grads.values(), config.clipNorm);
      for (const optimizer of [this.optimizer, this.#muon]) {
        optimizer?.step(grads, () => this.#schedule(this.step), scale);
      }
      if (this.#average) averageWeights(this.#average, network, () => averageDecay(config.averageDecay, this.step));
      return figures;
    });
    return this.#recorded;
  }

  /** What the network makes of faces; with hints, how far its maps are from the teacher's. */
  #outputs(x: Tensor, targets: HintTargets | null): { embeddings: Tensor; hints: Tensor } {
    const { network } = this.#trained;
    if (!targets || !(network instanceof MobileFaceNet)) {
      return { embeddings: network.embed(x), hints: Tensor.zeros(this.gpu, []) };
    }
    const maps = network.maps(x, this.#forced ? targets.maps : undefined);
    return { embeddings: rowsOf(maps), hints: hintDistance(maps, targets) };
  }

  /** Everything needed to go on: a safetensors file. */
  async checkpoint(): Promise<Uint8Array> {
    const { step, config, identities, source, from } = this;
    return writeCheckpoint(
      FORMAT,
      { step, config, identities, source, from },
      {
        model: await saveState(this.#trained),
        optimizer: await this.optimizer.saveState(),
        muon: (await this.#muon?.saveState()) ?? new Map(),
        average: this.#average ? await saveState(this.#average) : new Map(),
      },
    );
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): RecognitionTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }

  /** The steps done by the run that a checkpoint is of, and whose weights it started at. */
  static startOf(bytes: Uint8Array): { step: number; from: StartedFrom | undefined } {
    const { step, from } = parseCheckpoint(FORMAT, bytes).state;
    return { step, from };
  }

  /**
   * Goes on from a checkpoint. Only `steps` may differ from the checkpoint's: this shortens or lengthens the run, and
   * with it the learning-rate schedule from here on.
   * @throws CheckpointError for a file that is not one, or was made with another configuration, other identities,
   *   another teacher or other faces (where it notes the latter two: earlier versions did not)
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(FORMAT, bytes);
    assertSameConfig(state.config, this.config);
    if (JSON.stringify(state.identities) !== JSON.stringify(this.identities)) {
      throw new CheckpointError(
        `the checkpoint has ${state.identities.length} identities, the data ${this.identities.length}, and they differ`,
      );
    }
    if (state.source && this.source) assertSameSource(state.source, this.source);
    loadState(this.#trained, withoutPrefix(tensors, 'model.'));
    this.optimizer.loadState(withoutPrefix(tensors, 'optimizer.'));
    this.#muon?.loadState(withoutPrefix(tensors, 'muon.'));
    if (this.#average) loadState(this.#average, withoutPrefix(tensors, 'average.'));
    this.step = state.step;
    this.#from = state.from;
  }

  dispose(): void {
    this.#recorded?.dispose();
    for (const input of Object.values(this.#inputs)) input.dispose();
    this.optimizer.dispose();
    this.#muon?.dispose();
    this.#average?.dispose();
    this.#trained.dispose();
  }
}

/** The last of the maps, [N,1,1,D], as embeddings [N,D]. */
function rowsOf(maps: readonly Tensor[]): Tensor {
  const last = maps[maps.length - 1];
  return reshape(last, [last.shape[0], -1]);
}
