import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import { loadRecognizers, type OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { type Augmentation, FaceBatches, NO_AUGMENTATION, sourceWeights } from '../data/faces/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { type Labelling, labelFaces } from '../data/faces/identity-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';
import { deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { recognizerToOnnx } from '../models/onnx-networks.js';
import type { Recognizer } from '../models/recognizer.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { WidenedRecognizer } from '../models/widened-recognizer.js';
import type { HostTensors } from '../nn/host-tensor.js';
import { loadState, saveState } from '../nn/state.js';
import { trainingSource } from './describe-source.js';
import { type JointSettings, stageAt, totalSteps, usesRecognizers } from './joint-config.js';
import { type JointBatch, type JointStep, JointTrainer } from './joint-trainer.js';
import { teacherEmbeddings } from './teacher-targets.js';
import type { TrainedCodec } from './trained-codec.js';
import type { LogRow } from './training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from './training-run.js';

/** Options of a training by stages, of any codec. */
export interface JointTrainingOptions<Config extends JointSettings, Validation>
  extends TrainingOptions<TrainingStart, JointStep, Validation[]> {
  config: Config;
  /** A folder of aligned 112×96 faces; with identities where a stage has a CosFace term. */
  data: string;
  /** A model to begin with: the bytes of its file. */
  from?: Uint8Array;
  /** Recognisers of the loss, in evaluation mode; the first one has the CosFace term. */
  recognizers: readonly OpenRecognizer[];
  /** Faces of split `val` to try after each checkpoint; default 64. */
  validationFaces?: number;
}

/** What a run without a file to begin with learns from. */
export interface UsableFaces {
  /** Faces that can be read. */
  set: FaceSet;
  /** How often each is drawn; undefined for equally often. */
  weights: ArrayLike<number> | undefined;
  /** Those of the loss. */
  recognizers: readonly Recognizer[];
}

/** A codec that can be trained by stages: what is its own in the files and figures of a run. */
export interface TrainableCodec<Config extends JointSettings, Codec extends TrainedCodec<Config>, Validation> {
  /** @throws ArgumentError */
  check(config: Config): void;
  /** Changes of the faces in stages without recognisers. */
  augment: Partial<Augmentation>;
  /** Columns of log.csv. */
  columns: readonly string[];
  /** The weights in a file to begin with. @throws CheckpointError for another network's */
  read(file: Uint8Array, config: Config): HostTensors;
  open(gpu: Gpu, config: Config): Codec;
  /** Makes what a run without a file to begin with starts with. */
  begin?(gpu: Gpu, codec: Codec, faces: UsableFaces, onProgress: JointProgress): Promise<void>;
  /** Prepares what a run that begins with a file's weights needs beside them. */
  loaded?(codec: Codec): Promise<void>;
  /** What the log says of a step beside what is the same for every codec. */
  rowOf(step: JointStep, codec: Codec): LogRow;
  validate(gpu: Gpu, codec: Codec, recognizers: readonly Recognizer[], faces: FaceSet): Promise<Validation[]>;
  validationRow(validation: readonly Validation[]): LogRow;
  /** The weights file. */
  write(config: Config, tensors: HostTensors, metadata: Readonly<Record<string, string>>): Uint8Array;
}

type JointProgress = TrainingOptions<TrainingStart, JointStep, unknown>['onProgress'];

/**
 * Trains a codec by the stages of its configuration, alone and together with recognisers; checkpoints (every 200 steps, where
 * the options do not say) and log in `out`. A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function runJointTraining<Config extends JointSettings, Codec extends TrainedCodec<Config>, Validation>(
  given: JointTrainingOptions<Config, Validation>,
  kind: TrainableCodec<Config, Codec, Validation>,
): Promise<TrainingResult<Validation[]>> {
  kind.check(given.config);
  const options = { ...given, recognizers: given.recognizers.map(ofCodedFaces(given.config.model)) };
  checkOptions(options);
  return inTrainingFolder(options, async (checkpoint) =>
    runTraining(await jointTraining(options, kind), options, checkpoint),
  );
}

/** A recogniser of faces of 112×112 looks at those of 96×112. */
const ofCodedFaces =
  ({ width, height }: { width: number; height: number }) =>
  (one: OpenRecognizer): OpenRecognizer => {
    const { recognizer } = one;
    const wider = width === FACE_WIDTH && height === FACE_HEIGHT && recognizer.width === 112;
    if (!wider || recognizer.height !== height) return one;
    return { ...one, recognizer: new WidenedRecognizer(recognizer, width) };
  };

/** Checks what can be checked without reading faces. */
function checkOptions({ config, from, resume, recognizers }: JointTrainingOptions<JointSettings, never>): void {
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

async function readFaces({
  data,
  align,
  onProgress,
  config,
}: JointTrainingOptions<JointSettings, never>): Promise<JointFaces> {
  const set = await openFaceFolder(data, { split: 'train', align });
  await set.batch([0]); // throws where no face is readable
  const labelling = await labelFaces(set, (done, total) => onProgress?.('reading faces', done, total));
  const usable = [...labelling.labelled, ...labelling.unlabelled].sort((a, b) => a - b);
  const weights = Object.keys(config.sourceWeights).length
    ? sourceWeights(set.entries, config.sourceWeights)
    : undefined;
  return { set, labelling, usable, weights };
}

async function jointTraining<Config extends JointSettings, Codec extends TrainedCodec<Config>, Validation>(
  options: JointTrainingOptions<Config, Validation>,
  kind: TrainableCodec<Config, Codec, Validation>,
): Promise<JointTraining<Config, Codec, Validation>> {
  const { data, validationFaces = 64, recognizers, config } = options;
  const from = options.from && kind.read(options.from, config);
  const faces = await readFaces(options);
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
  const codec = kind.open(gpu, config);
  const watching = recognizers.map(({ recognizer }, k) => ({
    recognizer,
    classes: k === 0 && embeddings[0] ? classMeans(embeddings[0], recognizer.dimension, labelling) : undefined,
  }));
  const source = trainingSource(
    usable.map((index) => set.entries[index]),
    usable.map((index) => labelling.classOf[index]),
    watched ? recognizers.map(({ modelId }) => modelId).join(' ') : null,
  );
  const trainer = new JointTrainer(gpu, codec, watching, source);
  const load = batchSource(config, faces, embeddings, recognizers, kind.augment);
  return new JointTraining(trainer, codec, gpu, { options, kind, faces, validation, from, load });
}

/** Embeddings of the labelled faces by each recogniser. */
async function embeddingsOf(
  gpu: Gpu,
  { recognizers, out, onProgress }: JointTrainingOptions<JointSettings, never>,
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

interface JointParts<Config extends JointSettings, Codec extends TrainedCodec<Config>, Validation> {
  options: JointTrainingOptions<Config, Validation>;
  kind: TrainableCodec<Config, Codec, Validation>;
  faces: JointFaces;
  /** Faces to validate with. */
  validation: FaceSet | null;
  /** Weights to start at. */
  from: HostTensors | undefined;
  load: (step: number) => Promise<JointBatch>;
}

class JointTraining<Config extends JointSettings, Codec extends TrainedCodec<Config>, Validation>
  implements Training<TrainingStart, JointStep, Validation[], JointBatch>
{
  readonly steps: number;
  readonly columns: readonly string[];
  readonly checkpointEvery = 200;
  readonly start: Omit<TrainingStart, 'firstStep'>;
  readonly load: (step: number) => Promise<JointBatch>;

  constructor(
    readonly trainer: JointTrainer<Config>,
    private readonly codec: Codec,
    private readonly gpu: Gpu,
    private readonly parts: JointParts<Config, Codec, Validation>,
  ) {
    this.steps = totalSteps(trainer.config);
    this.columns = parts.kind.columns;
    this.start = { gpu, faces: parts.faces.set, parameters: codec.network.parameterCount };
    this.load = parts.load;
  }

  async begin(): Promise<void> {
    const { from, options, faces, kind } = this.parts;
    const { set, usable, weights } = faces;
    if (from) {
      loadState(this.codec.network, from);
      await kind.loaded?.(this.codec);
    } else {
      const own = weights && usable.map((index) => weights[index]);
      const recognizers = options.recognizers.map(({ recognizer }) => recognizer);
      const all = { set: set.subset(usable), weights: own, recognizers };
      await kind.begin?.(this.gpu, this.codec, all, options.onProgress);
    }
  }

  train(batch: JointBatch): Promise<JointStep> {
    return this.trainer.train(batch);
  }

  rowOf(figures: JointStep): LogRow {
    const { step, loss, psnr, bytes, distance, cosface, learningRate } = figures;
    const { index } = stageAt(this.trainer.config, step);
    const own = this.parts.kind.rowOf(figures, this.codec);
    return { step, stage: index, loss, psnr, bytes, distance, cosface, learning_rate: learningRate, ...own };
  }

  endedPart(): string | null {
    const { stage, step } = stageAt(this.trainer.config, this.trainer.step - 1);
    return step + 1 === stage.steps ? stage.name : null;
  }

  async validate(): Promise<Validation[]> {
    const { options, validation, kind } = this.parts;
    const watching = options.recognizers.map(({ recognizer }) => recognizer);
    return validation ? kind.validate(this.gpu, this.codec, watching, validation) : [];
  }

  validationRow(validation: Validation[]): LogRow {
    return this.parts.kind.validationRow(validation);
  }

  async model(): Promise<Uint8Array> {
    const { config, step } = this.trainer;
    const { options, kind } = this.parts;
    const { recognizers, metadata } = options;
    const about: Record<string, string> = {
      ...metadata,
      'cameo.training': JSON.stringify(config),
      'cameo.steps': String(step),
    };
    if (recognizers.length > 0) {
      about['cameo.recognizers'] = recognizers.map(({ name, modelId }) => `${name} ${modelId}`).join(', ');
    }
    return kind.write(config, await saveState(this.codec.network), about);
  }

  /** Writes the recogniser that was trained, too. */
  async finish(): Promise<void> {
    const { recognizers, out } = this.parts.options;
    if (!this.trainer.config.stages.some(({ recognizer }) => recognizer === 'trained')) return;
    const { recognizer, name, description } = recognizers[0];
    const [extension, file] = description
      ? ['safetensors', writeRecognizer(description, await saveState(recognizer))]
      : ['onnx', await recognizerToOnnx(recognizer)];
    await writeFileAtomic(join(out, `recognizer-${name}.${extension}`), file);
  }
}

/**
 * The batch of a step: it depends on seed and step alone. In a stage with recognisers, faces are labelled and come
 * unchanged, because their embeddings are known; in other stages all faces come, flipped and shifted.
 */
function batchSource(
  config: JointSettings,
  { set: faces, labelling, usable, weights }: JointFaces,
  embeddings: readonly Float32Array[],
  recognizers: readonly OpenRecognizer[],
  augment: Partial<Augmentation>,
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
  const free = source(usable, augment);
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
