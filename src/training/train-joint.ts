import { join } from 'node:path';
import { readKlt, writeKlt } from '../codec/codec-weights.js';
import { ArgumentError } from '../common/errors.js';
import { loadRecognizers, type OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { DEFAULT_AUGMENTATION, FaceBatches, NO_AUGMENTATION, sourceWeights } from '../data/faces/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { type Labelling, labelFaces } from '../data/faces/identity-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { KltAutoencoder } from '../models/klt-autoencoder.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { checkTensors, type HostTensors } from '../nn/host-tensor.js';
import { loadState, saveState } from '../nn/state.js';
import { fitKlt } from './components/fit-klt.js';
import { trainingSource } from './describe-source.js';
import { checkJointTraining, type JointTrainingConfig, stageAt, totalSteps, usesRecognizers } from './joint-config.js';
import { type JointBatch, type JointStep, JointTrainer } from './joint-trainer.js';
import { type JointValidation, validateJoint } from './joint-validation.js';
import { teacherEmbeddings } from './teacher-targets.js';
import type { LogRow } from './training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from './training-run.js';

export interface TrainJointOptions extends TrainingOptions<TrainingStart, JointStep, JointValidation[]> {
  config: JointTrainingConfig;
  /** A folder of aligned 112×96 faces; with identities where a stage has a CosFace term. */
  data: string;
  /** A model to begin with, instead of fitting principal components: the bytes of its file. */
  from?: Uint8Array;
  /** Recognisers of the loss, in evaluation mode; the first one has the CosFace term. */
  recognizers: readonly OpenRecognizer[];
  /** Faces of split `val` to try after each checkpoint; default 64. */
  validationFaces?: number;
}

/** The column `quantizer` has the quantization index: logs of earlier runs call it so. */
export const JOINT_LOG_COLUMNS = [
  'step',
  'stage',
  'quantizer',
  'loss',
  'psnr',
  'bytes',
  'distance',
  'cosface',
  'learning_rate',
  'val_bytes_low',
  'val_psnr_low',
  'val_distance_low',
  'val_bytes_high',
  'val_psnr_high',
  'val_distance_high',
] as const;

/**
 * Trains a codec by the stages of its configuration, alone and together with recognisers; checkpoints (every 200 steps, where
 * the options do not say) and log in `out`. Without a model to go on from, the principal components of the faces come first.
 * A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainJoint(options: TrainJointOptions): Promise<TrainingResult<JointValidation[]>> {
  const config = checkOptions(options);
  return inTrainingFolder(options, async (checkpoint) =>
    runTraining(await jointTraining(options, config), options, checkpoint),
  );
}

/** Checks what can be checked without reading faces. */
function checkOptions({ config, from, resume, recognizers }: TrainJointOptions): JointTrainingConfig {
  checkJointTraining(config);
  if (from && resume) {
    throw new ArgumentError('training: a run goes on from its checkpoint or from another model; expected one of them');
  }
  if (usesRecognizers(config) && recognizers.length === 0) {
    throw new ArgumentError('training: a stage has a distance or CosFace term; expected at least one recogniser');
  }
  const { width, height } = config.model;
  for (const { name, recognizer } of recognizers) {
    if (recognizer.height !== height || recognizer.width !== width) {
      throw new ArgumentError(
        `recogniser ${name} takes faces of ${recognizer.width}×${recognizer.height}; expected ${width}×${height}`,
      );
    }
  }
  return config;
}

/** The faces that a run learns from. */
interface JointFaces {
  set: FaceSet;
  labelling: Labelling;
  /** Indices of those that can be read. */
  usable: readonly number[];
  /** How often each of the set is drawn; undefined for equally often. */
  weights: Float64Array | undefined;
}

async function readFaces(
  { data, align, onProgress }: TrainJointOptions,
  config: JointTrainingConfig,
): Promise<JointFaces> {
  const set = await openFaceFolder(data, { split: 'train', align });
  const labelling = await labelFaces(set, (done, total) => onProgress?.('reading faces', done, total));
  const usable = [...labelling.labelled, ...labelling.unlabelled].sort((a, b) => a - b);
  const weights = Object.keys(config.sourceWeights).length
    ? sourceWeights(set.entries, config.sourceWeights)
    : undefined;
  return { set, labelling, usable, weights };
}

async function jointTraining(options: TrainJointOptions, config: JointTrainingConfig): Promise<JointTraining> {
  const { data, validationFaces = 64, recognizers } = options;
  const from = options.from && readKlt(options.from).tensors;
  if (from) checkTensors(from, new KltAutoencoder(config.model).entries(), 'the network');
  const faces = await readFaces(options, config);
  const validation =
    validationFaces > 0
      ? await openFacesIfAny(data, { split: 'val', limit: validationFaces, align: options.align })
      : null;
  const { set, labelling, usable } = faces;
  const watched = usesRecognizers(config);
  if (watched && labelling.labelled.length === 0) {
    throw new ArgumentError(`${data}: no identity has two faces; expected some for stages with recognisers`);
  }
  const gpu = await deviceOf(options.gpu);
  const embeddings = watched ? await embeddingsOf(gpu, options, set, labelling) : [];
  const model = new KltAutoencoder(config.model).initialize(gpu, config.seed);
  const watching = recognizers.map(({ recognizer }, k) => ({
    recognizer,
    classes: k === 0 && embeddings[0] ? classMeans(embeddings[0], recognizer.dimension, labelling) : undefined,
  }));
  const source = trainingSource(
    usable.map((index) => set.entries[index]),
    usable.map((index) => labelling.classOf[index]),
    watched ? recognizers.map(({ modelId }) => modelId).join(' ') : null,
  );
  const trainer = new JointTrainer(gpu, config, model, watching, source);
  const load = batchSource(config, faces, embeddings, recognizers);
  return new JointTraining(trainer, gpu, { options, faces, validation, from, load });
}

/** Embeddings of the labelled faces by each recogniser. */
async function embeddingsOf(
  gpu: Gpu,
  { recognizers, out, onProgress }: TrainJointOptions,
  faces: FaceSet,
  { labelled }: Labelling,
): Promise<Float32Array[]> {
  loadRecognizers(gpu, recognizers);
  const embeddings: Float32Array[] = [];
  for (const one of recognizers) {
    const cache = join(out, `${one.modelId}.embeddings`);
    const { dimension } = one.recognizer;
    const report = (done: number, total: number): void => onProgress?.(`embeddings of ${one.name}`, done, total);
    embeddings.push(await teacherEmbeddings(gpu, one, faces, labelled, { dimension, cache }, report));
  }
  return embeddings;
}

interface JointParts {
  options: TrainJointOptions;
  faces: JointFaces;
  /** Faces to validate with. */
  validation: FaceSet | null;
  /** Weights to start at. */
  from: HostTensors | undefined;
  load: (step: number) => Promise<JointBatch>;
}

class JointTraining implements Training<TrainingStart, JointStep, JointValidation[], JointBatch> {
  readonly steps: number;
  readonly columns = JOINT_LOG_COLUMNS;
  readonly checkpointEvery = 200;
  readonly start: Omit<TrainingStart, 'firstStep'>;
  readonly load: (step: number) => Promise<JointBatch>;

  constructor(
    readonly trainer: JointTrainer,
    private readonly gpu: Gpu,
    private readonly parts: JointParts,
  ) {
    this.steps = totalSteps(trainer.config);
    this.start = { gpu, faces: parts.faces.set, parameters: trainer.model.parameterCount };
    this.load = parts.load;
  }

  /** The principal components take minutes. */
  async begin(): Promise<void> {
    const { from, options, faces } = this.parts;
    const { set, usable, weights } = faces;
    const { model } = this.trainer;
    if (from) loadState(model, from);
    else {
      const own = weights && usable.map((index) => weights[index]);
      await fitKlt(this.gpu, model, set.subset(usable), own, options.onProgress);
    }
  }

  train(batch: JointBatch): Promise<JointStep> {
    return this.trainer.train(batch);
  }

  rowOf({ learningRate, stage: _, qIndex, ...figures }: JointStep): LogRow {
    const { index } = stageAt(this.trainer.config, figures.step);
    return { ...figures, quantizer: qIndex, stage: index, learning_rate: learningRate };
  }

  endedPart(): string | null {
    const { stage, step } = stageAt(this.trainer.config, this.trainer.step - 1);
    return step + 1 === stage.steps ? stage.name : null;
  }

  async validate(): Promise<JointValidation[]> {
    const { options, validation } = this.parts;
    const watching = options.recognizers.map(({ recognizer }) => recognizer);
    return validation ? validateJoint(this.gpu, this.trainer.model, watching, validation) : [];
  }

  validationRow(validation: JointValidation[]): LogRow {
    const cells = validation.map(({ bytes, psnr, distance }, k) => {
      const rate = ['low', 'high'][k];
      return { [`val_bytes_${rate}`]: bytes, [`val_psnr_${rate}`]: psnr, [`val_distance_${rate}`]: distance };
    });
    return Object.assign({}, ...cells);
  }

  async model(): Promise<Uint8Array> {
    const { config, model, step } = this.trainer;
    const { recognizers, metadata } = this.parts.options;
    const about: Record<string, string> = {
      ...metadata,
      'cameo.training': JSON.stringify(config),
      'cameo.steps': String(step),
    };
    if (recognizers.length > 0) {
      about['cameo.recognizers'] = recognizers.map(({ name, modelId }) => `${name} ${modelId}`).join(', ');
    }
    return writeKlt(config.model, await saveState(model), about);
  }

  /** Writes the recogniser that was trained, too. */
  async finish(): Promise<void> {
    const { recognizers, out } = this.parts.options;
    if (!this.trainer.config.stages.some(({ recognizer }) => recognizer === 'trained')) return;
    const { recognizer, name, description } = recognizers[0];
    if (!description) return;
    const path = join(out, `recognizer-${name}.safetensors`);
    await writeFileAtomic(path, writeRecognizer(description, await saveState(recognizer)));
  }
}

/**
 * The batch of a step: it depends on seed and step alone. In a stage with recognisers, faces are labelled and come
 * unchanged, because their embeddings are known; in other stages all faces come, flipped and shifted.
 */
function batchSource(
  config: JointTrainingConfig,
  { set: faces, labelling, usable, weights }: JointFaces,
  embeddings: readonly Float32Array[],
  recognizers: readonly OpenRecognizer[],
): (step: number) => Promise<JointBatch> {
  const source = (indices: readonly number[], augment: object) => {
    const own = weights && Float64Array.from(indices, (index) => weights[index]);
    const { batchSize, seed } = config;
    return {
      indices,
      set: faces.subset(indices),
      batches: new FaceBatches({ count: indices.length, batchSize, seed, augment, weights: own }),
    };
  };
  // Not shifted: the principal components are those of faces as the landmarks align them.
  const free = source(usable, { ...DEFAULT_AUGMENTATION, shift: 0 });
  const watched = embeddings.length > 0 ? source(labelling.labelled, NO_AUGMENTATION) : null;
  return async (step) => {
    const { stage } = stageAt(config, step);
    const looks = watched !== null && (stage.distance > 0 || stage.cosface > 0);
    const { indices, set, batches } = looks ? watched : free;
    const { plan, images } = await batches.load(set, step);
    const chosen = [...plan.indices].map((index) => indices[index]);
    return {
      images,
      labels: chosen.map((index) => Math.max(0, labelling.classOf[index])),
      embeddings: embeddings.map((all, k) => {
        const { dimension } = recognizers[k].recognizer;
        const own = new Float32Array(chosen.length * dimension);
        chosen.forEach((index, n) => {
          own.set(all.subarray(index * dimension, (index + 1) * dimension), n * dimension);
        });
        return own;
      }),
    };
  };
}

/** The mean direction of each class: where the weights of the CosFace loss start. */
function classMeans(embeddings: Float32Array, dimension: number, { labelled, classOf, identities }: Labelling) {
  const means = new Float32Array(identities.length * dimension);
  for (const index of labelled) {
    for (let d = 0; d < dimension; d++) means[classOf[index] * dimension + d] += embeddings[index * dimension + d];
  }
  return means;
}
