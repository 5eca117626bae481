import { join } from 'node:path';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { loadRecognizers, type OpenRecognizer, type ReadRecognizer } from '../data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { type Labelling, labelFaces } from '../data/faces/identity-set.js';
import { readRegularFile } from '../data/files/read-file.js';
import { deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import type { KltAutoencoder } from '../models/klt-autoencoder.js';
import { MobileFaceNet } from '../models/mobilefacenet.js';
import { type RecognizerDescription, readRecognizer, writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { trainingSource } from './describe-source.js';
import { FaceGenerator } from './face-generator.js';
import { GeneratedFaces } from './generated-faces.js';
import { classMeans, type DrawnFaces, RecognitionBatches } from './recognition-batches.js';
import {
  checkRecognitionTraining,
  type RecognitionTrainingConfig,
  recognizerOf,
  withNewLossNames,
} from './recognition-config.js';
import { type RecognitionStep, RecognitionTrainer } from './recognition-trainer.js';
import { type RecognitionValidation, validateRecognition } from './recognition-validation.js';
import { TeacherTargets } from './teacher-targets.js';
import type { LogRow } from './training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from './training-run.js';

export interface RecognitionStart extends TrainingStart {
  labelling: Labelling;
}

/** `checkpointEvery` is one epoch by default. */
export interface TrainRecognitionOptions
  extends TrainingOptions<RecognitionStart, RecognitionStep, RecognitionValidation | null> {
  config: RecognitionTrainingConfig;
  /** A folder of aligned 112×96 faces with identities: by manifest, or a folder an identity. */
  data: string;
  /** Only faces of these sources. */
  sources?: readonly string[];
  /** Validation looks at faces of these sources only; those of `sources` when absent. */
  validationSources?: readonly string[];
  /** Whose weights the network of a new run starts at, instead of random ones; those of the classes are still random. */
  from?: ReadRecognizer;
  /** The recogniser whose embeddings are learnt, if `config.distillation` is above 0. */
  teacher?: OpenRecognizer;
  /** File of the teacher's embeddings, by the content of pictures; one in `out` when absent. */
  embeddings?: string;
  /** Makes faces, if `config.generatedBatch` is above 0. */
  codec?: { model: KltAutoencoder | ((gpu: Gpu) => KltAutoencoder); id: string };
  /** Where they are kept; in `out` when absent. */
  generatedFolder?: string;
}

export interface TrainRecognitionResult extends TrainingResult<RecognitionValidation> {
  /** True if the resumed run was already finished: nothing was computed, and its files did not change. */
  unchanged: boolean;
}

export const RECOGNITION_LOG_COLUMNS = [
  'step',
  'loss',
  'classification',
  'distance',
  'margin',
  'learning_rate',
  'val_accuracy',
  'val_tar_2',
  'val_tar_3',
  'val_distance',
] as const;

/**
 * Trains a recogniser on identity-labelled faces, with checkpoints and a log in `out`. After each checkpoint the held-out
 * identities of split `val` are compared; the best network so far (by TAR at FAR 1e-3, then 1e-2) is kept as `best.safetensors`,
 * the last as `model.safetensors`. A run that is stopped and resumed computes the same as one that is not; a finished
 * run does not change.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainRecognition(given: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  const options = { ...given, config: withNewLossNames(given.config) };
  checkHelpers(options);
  return inTrainingFolder(
    options,
    async (checkpoint) => {
      if (checkpoint) checkStart(options, checkpoint);
      const done = checkpoint && (await finishedResult(options, checkpoint));
      if (done) return done;
      const result = await runTraining(await recognitionTraining(options), options, checkpoint);
      return { ...result, unchanged: false };
    },
    ['best.safetensors'],
  );
}

/** Checks that what a configuration asks for is there. */
function checkHelpers({ config, teacher, codec, from }: TrainRecognitionOptions): void {
  checkRecognitionTraining(config);
  if (config.distillation > 0 !== (teacher !== undefined)) {
    throw new ArgumentError('training: distillation above 0 needs a teacher, and a teacher needs distillation above 0');
  }
  if (config.generatedBatch > 0 !== (codec !== undefined)) {
    throw new ArgumentError('training: generated faces need a codec, and a codec needs generatedBatch above 0');
  }
  hintingTeacher({ config, teacher });
  if (from) checkFits(from, config);
}

/**
 * The teacher whose maps are learnt; undefined without hints.
 * @throws ArgumentError for one whose maps are not those of the network
 */
function hintingTeacher({
  config,
  teacher,
}: Pick<TrainRecognitionOptions, 'config' | 'teacher'>): MobileFaceNet | undefined {
  if (config.hints === 0 || !teacher) return undefined;
  const { name, recognizer } = teacher;
  const { width, height } = config.model;
  if (recognizer instanceof MobileFaceNet && recognizer.width === width && recognizer.height === height)
    return recognizer;
  throw new ArgumentError(
    `training: hints is ${config.hints}, which needs a MobileFaceNet for ${width}×${height} as the teacher; ${name} is a ${recognizer.constructor.name} for ${recognizer.width}×${recognizer.height}`,
  );
}

/** @throws ArgumentError for the weights of another network than the one that is to be trained */
function checkFits({ name, description, recognizer }: ReadRecognizer, config: RecognitionTrainingConfig): void {
  const [theirs, ours] = [description && networkText(description), networkText(recognizerOf(config))];
  if (theirs === ours) return;
  throw new ArgumentError(
    `training: the weights to start at, ${name}, are of ${theirs ?? recognizer.constructor.name}; the settings are of ${ours}`,
  );
}

/** Architecture and sizes: `cameo-face (channels [4,8,8,8], …)`. */
function networkText({ architecture, ...sizes }: RecognizerDescription): string {
  const names = Object.keys(sizes).sort() as (keyof typeof sizes)[];
  return `${architecture} (${names.map((name) => `${name} ${JSON.stringify(sizes[name])}`).join(', ')})`;
}

/** @throws CheckpointError if a run that goes on is to start at other weights than it did */
function checkStart({ from }: TrainRecognitionOptions, checkpoint: Uint8Array): void {
  const started = RecognitionTrainer.startOf(checkpoint).from;
  if (!from || from.modelId === started?.modelId) return;
  const text = (one: { name: string; modelId: string }): string => `the weights of ${one.name} (${one.modelId})`;
  throw new CheckpointError(
    `the checkpoint's run started at ${started ? text(started) : 'random weights'}; this one is to start at ${text(from)}`,
  );
}

/** The result of a run that was already finished; null if there is work to do. */
async function finishedResult(
  { out, config }: TrainRecognitionOptions,
  checkpoint: Uint8Array,
): Promise<TrainRecognitionResult | null> {
  const { step: steps } = RecognitionTrainer.startOf(checkpoint);
  if (steps < config.steps || (await stepsOfModel(join(out, 'model.safetensors'))) !== steps) return null;
  return { finished: true, steps, lastLoss: Number.NaN, validation: null, unchanged: true };
}

async function recognitionTraining(options: TrainRecognitionOptions): Promise<RecognitionTraining> {
  const { data, out, sources, teacher, codec, config, generatedFolder: folder = out } = options;
  const faces = await openFaceFolder(data, { split: 'train', sources, align: options.align });
  // There may be none.
  const validationFaces = await openFacesIfAny(data, {
    split: 'val',
    sources: options.validationSources ?? sources,
    align: options.align,
  });
  const labelling = await labelFaces(faces, (done, total) => options.onProgress?.('reading faces', done, total));
  const { labelled, classOf, identities } = labelling;
  const early = codec && (await deviceOf(options.gpu));
  const generator = early ? new FaceGenerator(early, codecOn(early, codec.model)) : null;
  const generated = generator
    ? new GeneratedFaces(generator, faces, labelled, config.generated, config.seed, folder, codec!.id)
    : null;
  const batches = new RecognitionBatches(data, config, faces, labelling, generated);
  const source = trainingSource(
    batches.used.map((index) => faces.entries[index]),
    batches.used.map((index) => classOf[index]),
    teacher?.modelId ?? null,
    codec?.id,
  );
  const gpu = early ?? (await deviceOf(options.gpu));
  loadRecognizers(gpu, [teacher]);
  const trainer = new RecognitionTrainer(gpu, config, identities, source, hintingTeacher(options));
  // A run that goes on has its weights from its checkpoint.
  const { from } = options;
  if (from && !options.resume) trainer.startFrom(from.tensors, { name: from.name, modelId: from.modelId });
  return new RecognitionTraining(trainer, gpu, {
    options,
    faces,
    validationFaces,
    labelling,
    batches,
    generator,
    generated,
  });
}

/** What a run is made of. */
interface RecognitionParts {
  options: TrainRecognitionOptions;
  faces: FaceSet;
  validationFaces: FaceSet | null;
  labelling: Labelling;
  batches: RecognitionBatches;
  generator: FaceGenerator | null;
  generated: GeneratedFaces | null;
}

class RecognitionTraining
  implements Training<RecognitionStart, RecognitionStep, RecognitionValidation | null, DrawnFaces>
{
  readonly steps: number;
  readonly columns: readonly string[];
  readonly checkpointEvery: number;
  readonly start: Omit<RecognitionStart, 'firstStep'>;
  #targets: TeacherTargets | null = null;
  #validationTargets: TeacherTargets | null = null;
  /** The teacher's embeddings of the faces to validate with. */
  #wanted: Float32Array | null = null;

  constructor(
    readonly trainer: RecognitionTrainer,
    private readonly gpu: Gpu,
    private readonly parts: RecognitionParts,
  ) {
    const { faces, labelling } = parts;
    const { steps, batchSize } = trainer.config;
    this.steps = steps;
    this.columns = trainer.config.hints > 0 ? [...RECOGNITION_LOG_COLUMNS, 'hints'] : RECOGNITION_LOG_COLUMNS;
    this.checkpointEvery = Math.max(1, Math.ceil(labelling.labelled.length / batchSize));
    this.start = { gpu, faces, labelling, parameters: trainer.network.parameterCount };
  }

  /** Opens the teacher's embeddings. */
  async open(): Promise<void> {
    const { faces, validationFaces } = this.parts;
    this.#targets = await this.#targetsOf(faces);
    if (!validationFaces) return;
    this.#validationTargets = await this.#targetsOf(validationFaces);
    this.#wanted = (await this.#validationTargets?.of(await validationFaces.readable(), this.#told)) ?? null;
    await this.#validationTargets?.save();
  }

  async #targetsOf(set: FaceSet): Promise<TeacherTargets | null> {
    const { out, teacher, embeddings } = this.parts.options;
    const { model, teacherViews: views } = this.trainer.config;
    if (!teacher) return null;
    const cache = embeddings ?? join(out, `teacher-${teacher.modelId}.embeddings`);
    return TeacherTargets.open(this.gpu, teacher, set, { dimension: model.dimension, views, cache });
  }

  #told = (done: number, total: number): void => {
    this.parts.options.onProgress?.('embeddings of the teacher', done, total);
  };

  prepare(step: number): Promise<void> {
    return this.parts.batches.prepare(step);
  }

  /** Faces are read, degraded and turned. */
  load(step: number): Promise<DrawnFaces> {
    return this.parts.batches.load(step);
  }

  async train(batch: DrawnFaces): Promise<RecognitionStep> {
    return this.trainer.train({ ...batch, teacher: await this.#teacherOf(batch) });
  }

  /** The targets of a batch; the first time that a face comes, the teacher looks at it. */
  async #teacherOf(batch: DrawnFaces): Promise<Float32Array | null> {
    const { labelling, generated } = this.parts;
    if (!this.#targets) return null;
    const { teacherClasses, labelStart, hints } = this.trainer.config;
    const found = hints > 0 ? null : await this.#targets.ofBatch(batch, generated);
    if (teacherClasses && this.trainer.step === labelStart) {
      this.trainer.setClasses(classMeans(await this.#targets.of(labelling.labelled, this.#told), labelling));
    }
    return found;
  }

  rowOf({ learningRate, ...figures }: RecognitionStep): LogRow {
    return { ...figures, learning_rate: learningRate };
  }

  async validate(): Promise<RecognitionValidation | null> {
    const { validationFaces } = this.parts;
    if (!validationFaces) return null;
    const found = await validateRecognition(this.gpu, this.trainer.network, validationFaces, this.#wanted);
    this.trainer.resumeTraining();
    return found;
  }

  validationRow(validation: RecognitionValidation | null): LogRow {
    if (!validation || Number.isNaN(validation.tar3)) return {};
    const { accuracy, tar2, tar3, distance = Number.NaN } = validation;
    return { val_accuracy: accuracy, val_tar_2: tar2, val_tar_3: tar3, val_distance: distance };
  }

  /** TAR at FAR 1e-3, then 1e-2. */
  score({ val_tar_3: tar3 = Number.NaN, val_tar_2: tar2 }: LogRow): number {
    return tar3 + 1e-3 * tar2;
  }

  async model(validation: RecognitionValidation | null): Promise<Uint8Array> {
    const { config, network, step, from } = this.trainer;
    const { teacher, metadata } = this.parts.options;
    const about: Record<string, string> = {
      ...metadata,
      'cameo.training': JSON.stringify(config),
      'cameo.steps': String(step),
      'cameo.validation': JSON.stringify(validation),
    };
    if (from) about['cameo.from'] = `${from.name} ${from.modelId}`;
    if (teacher) about['cameo.teacher'] = `${teacher.name} ${teacher.modelId}`;
    return writeRecognizer(recognizerOf(config), await saveState(network), about);
  }

  async save(): Promise<void> {
    await this.#targets?.save();
  }

  dispose(): void {
    this.#targets?.dispose();
    this.#validationTargets?.dispose();
    this.parts.generator?.dispose();
  }
}

/** The steps that a model was trained for; null for a file that is missing, damaged or says nothing of it. */
async function stepsOfModel(path: string): Promise<number | null> {
  try {
    const steps = readRecognizer(await readRegularFile(path, Infinity)).metadata.get('cameo.steps');
    return steps === undefined ? null : Number(steps);
  } catch {
    return null; // it is written again
  }
}

const codecOn = (gpu: Gpu, model: KltAutoencoder | ((gpu: Gpu) => KltAutoencoder)): KltAutoencoder =>
  typeof model === 'function' ? model(gpu) : model;
