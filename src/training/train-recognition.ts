import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import { loadRecognizers, type OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { type Labelling, labelFaces } from '../data/faces/identity-set.js';
import { prepareFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { TRAINING_LOCK, withWriterLock } from '../data/files/writer-lock.js';
import { type DeviceSource, deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import type { KltAutoencoder } from '../models/klt-autoencoder.js';
import { readRecognizer, writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { trainingSource } from './describe-source.js';
import { FaceGenerator } from './face-generator.js';
import { GeneratedFaces } from './generated-faces.js';
import { classMeans, type DrawnFaces, RecognitionBatches } from './recognition-batches.js';
import { checkRecognitionTraining, type RecognitionTrainingConfig, recognizerOf } from './recognition-config.js';
import { type RecognitionStep, RecognitionTrainer } from './recognition-trainer.js';
import { type RecognitionValidation, validateRecognition } from './recognition-validation.js';
import { TeacherTargets } from './teacher-targets.js';
import { readCheckpoint } from './train-codec.js';
import { TrainingLog } from './training-log.js';

export interface TrainRecognitionOptions {
  /** Opened, where it is to be opened, when all else has been checked. */
  gpu: DeviceSource;
  config: RecognitionTrainingConfig;
  /** A folder of aligned 112×96 faces with identities: by manifest, or a folder an identity. */
  data: string;
  /** Only faces of these sources. */
  sources?: readonly string[];
  /** Validation looks at faces of these sources only; those of `sources` when absent. */
  validationSources?: readonly string[];
  /** Folder for checkpoint, log, best and last model. */
  out: string;
  resume?: boolean;
  /** Steps between checkpoints, and validations; default one epoch. */
  checkpointEvery?: number;
  /** Whose embeddings are learnt where `config.distillation` is above 0. */
  teacher?: OpenRecognizer;
  /** File of the teacher's embeddings, by the content of pictures; one in `out` when absent. */
  embeddings?: string;
  /** What makes faces where `config.generatedBatch` is above 0. */
  codec?: { model: KltAutoencoder | ((gpu: Gpu) => KltAutoencoder); id: string };
  /** Where they are kept; in `out` when absent. */
  generatedFolder?: string;
  /** Text to store in the model's metadata. */
  metadata?: Record<string, string>;
  signal?: AbortSignal;
  onStart?: (info: { gpu: Gpu; faces: FaceSet; labelling: Labelling; firstStep: number; parameters: number }) => void;
  onProgress?: (what: string, done: number, total: number) => void;
  onStep?: (step: RecognitionStep) => void;
  onCheckpoint?: (log: TrainingLog, validation: RecognitionValidation | null) => Promise<void> | void;
}

export interface TrainRecognitionResult {
  finished: boolean;
  steps: number;
  lastLoss: number;
  /** Of the last checkpoint. */
  validation: RecognitionValidation | null;
  /** True where the resumed run was finished before: nothing was computed, and its files are as they were. */
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
 * the last as `model.safetensors`. A run that is stopped and resumed computes the same as one that is not; one that is
 * finished stays as it is.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainRecognition(options: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  await prepareFolder(options.out, ['checkpoint.safetensors', 'log.csv', 'model.safetensors', 'best.safetensors']);
  return withWriterLock(join(options.out, TRAINING_LOCK), options.out, () => trainRecognitionAlone(options));
}

/** Checks that what a configuration asks for is there. */
function checkHelpers({ config, teacher, codec }: TrainRecognitionOptions): RecognitionTrainingConfig {
  checkRecognitionTraining(config);
  if (config.distillation > 0 !== (teacher !== undefined)) {
    throw new ArgumentError('training: distillation above 0 needs a teacher, and a teacher needs distillation above 0');
  }
  if (config.generatedBatch > 0 !== (codec !== undefined)) {
    throw new ArgumentError('training: generated faces need a codec, and a codec needs generatedBatch above 0');
  }
  return config;
}

async function trainRecognitionAlone(options: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  const { data, out, sources, teacher, codec } = options;
  const config = checkHelpers(options);
  const checkpoint = options.resume ? await readCheckpoint(join(out, CHECKPOINT)) : null;
  if (checkpoint) {
    const steps = RecognitionTrainer.stepsOf(checkpoint);
    if (steps >= config.steps && (await stepsOfModel(join(out, 'model.safetensors'))) === steps) {
      return { finished: true, steps, lastLoss: Number.NaN, validation: null, unchanged: true };
    }
  }
  const faces = await openFaceFolder(data, { split: 'train', sources });
  // There may be none.
  const validationFaces = await openFacesIfAny(data, { split: 'val', sources: options.validationSources ?? sources });
  const labelling = await labelFaces(faces, (done, total) => options.onProgress?.('reading faces', done, total));
  const { labelled, classOf, identities } = labelling;
  const early = codec && (await deviceOf(options.gpu));
  const generator = early && new FaceGenerator(early, codecOn(early, codec!.model));
  const folder = options.generatedFolder ?? out;
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
  const trainer = new RecognitionTrainer(gpu, config, identities, source);
  const run = new RecognitionRun(options, gpu, { trainer, faces, validationFaces, labelling, batches, generated });
  try {
    await run.open(checkpoint);
    return await run.train();
  } finally {
    run.dispose();
    generator?.dispose();
    trainer.dispose();
  }
}

const CHECKPOINT = 'checkpoint.safetensors';

/** What a run is made of. */
interface RunParts {
  trainer: RecognitionTrainer;
  faces: FaceSet;
  validationFaces: FaceSet | null;
  labelling: Labelling;
  batches: RecognitionBatches;
  generated: GeneratedFaces | null;
}

/** One run: its log, what the teacher says, and its checkpoints. */
class RecognitionRun {
  readonly #log: TrainingLog;
  #targets: TeacherTargets | null = null;
  #validationTargets: TeacherTargets | null = null;
  /** The teacher's embeddings of the faces to validate with. */
  #wanted: Float32Array | null = null;
  #validation: RecognitionValidation | null = null;

  constructor(
    private readonly options: TrainRecognitionOptions,
    private readonly gpu: Gpu,
    private readonly parts: RunParts,
  ) {
    this.#log = new TrainingLog(join(options.out, 'log.csv'), RECOGNITION_LOG_COLUMNS);
  }

  get #config(): RecognitionTrainingConfig {
    return this.parts.trainer.config;
  }

  /** Goes on from a checkpoint, if there is one, and opens the teacher's embeddings. */
  async open(checkpoint: Uint8Array | null): Promise<void> {
    const { trainer, faces, validationFaces, labelling } = this.parts;
    if (checkpoint) {
      trainer.restore(checkpoint);
      await this.#log.resume(trainer.step);
    }
    this.#targets = await this.#targetsOf(faces);
    if (validationFaces) {
      this.#validationTargets = await this.#targetsOf(validationFaces);
      const readable = await validationFaces.readable();
      this.#wanted = (await this.#validationTargets?.of(readable, this.#told)) ?? null;
      await this.#validationTargets?.save();
    }
    const { step, network } = trainer;
    this.options.onStart?.({ gpu: this.gpu, faces, labelling, firstStep: step, parameters: network.parameterCount });
  }

  async #targetsOf(set: FaceSet): Promise<TeacherTargets | null> {
    const { out, teacher, embeddings } = this.options;
    const { model, teacherViews: views } = this.#config;
    if (!teacher) return null;
    const cache = embeddings ?? join(out, `teacher-${teacher.modelId}.embeddings`);
    return TeacherTargets.open(this.gpu, teacher, set, { dimension: model.dimension, views, cache });
  }

  #told = (done: number, total: number): void => {
    this.options.onProgress?.('embeddings of the teacher', done, total);
  };

  async train(): Promise<TrainRecognitionResult> {
    const { options, parts } = this;
    const { trainer, batches, labelling } = parts;
    const { steps } = this.#config;
    const every = options.checkpointEvery ?? Math.max(1, Math.ceil(labelling.labelled.length / this.#config.batchSize));
    let lastLoss = Number.NaN;
    const draw = (step: number): Promise<DrawnFaces> | null => (step < steps ? batches.load(step) : null);
    if (trainer.step < steps) await batches.prepare(trainer.step);
    let next = draw(trainer.step);
    while (next && !options.signal?.aborted) {
      const batch = await next;
      const teacher = await this.#teacherOf(batch);
      if (trainer.step + 1 < steps) await batches.prepare(trainer.step + 1);
      next = draw(trainer.step + 1); // read, spoilt and turned while the GPU works
      const step = await trainer.train({ ...batch, teacher });
      lastLoss = step.loss;
      options.onStep?.(step);
      const { learningRate, ...rest } = step;
      const row: Record<string, number> = { ...rest, learning_rate: learningRate };
      if (trainer.step % every === 0 || trainer.step === steps || options.signal?.aborted) await this.#save(row);
      else this.#log.add(row);
    }
    await next; // no read is left behind when the run was stopped

    const finished = trainer.step >= steps;
    if (finished) {
      // A run that ended after its last checkpoint, before its model was written, has not validated here.
      this.#validation ??= await this.#validate();
      await writeFileAtomic(join(options.out, 'model.safetensors'), await this.#modelBytes());
    }
    return { finished, steps: trainer.step, lastLoss, validation: this.#validation, unchanged: false };
  }

  /** The targets of a batch; the first time that a face comes, the teacher looks at it. */
  async #teacherOf(batch: DrawnFaces): Promise<Float32Array | null> {
    const { trainer, labelling, generated } = this.parts;
    if (!this.#targets) return null;
    const found = await this.#targets.ofBatch(batch, generated);
    if (this.#config.teacherClasses && trainer.step === this.#config.labelStart) {
      trainer.setClasses(classMeans(await this.#targets.of(labelling.labelled, this.#told), labelling));
    }
    return found;
  }

  async #modelBytes(): Promise<Uint8Array> {
    const { trainer } = this.parts;
    const { teacher } = this.options;
    const metadata: Record<string, string> = {
      ...this.options.metadata,
      'cameo.training': JSON.stringify(this.#config),
      'cameo.steps': String(trainer.step),
      'cameo.validation': JSON.stringify(this.#validation),
    };
    if (teacher) metadata['cameo.teacher'] = `${teacher.name} ${teacher.modelId}`;
    return writeRecognizer(recognizerOf(this.#config), await saveState(trainer.network), metadata);
  }

  async #validate(): Promise<RecognitionValidation | null> {
    const { trainer, validationFaces } = this.parts;
    if (!validationFaces) return null;
    const found = await validateRecognition(this.gpu, trainer.network, validationFaces, this.#wanted);
    trainer.resumeTraining();
    return found;
  }

  /** Validates, adds the step's row to the log, and writes checkpoint and log, and the model where it is the best yet. */
  async #save(row: Record<string, number>): Promise<void> {
    const { out, onCheckpoint } = this.options;
    const validation = await this.#validate();
    this.#validation = validation;
    const score = (tar3: number, tar2: number): number => tar3 + 1e-3 * tar2;
    const second = this.#log.series('val_tar_2');
    const bestBefore = Math.max(...this.#log.series('val_tar_3').map(([, tar3], k) => score(tar3, second[k][1])));
    if (validation && !Number.isNaN(validation.tar3)) {
      row.val_accuracy = validation.accuracy;
      row.val_tar_2 = validation.tar2;
      row.val_tar_3 = validation.tar3;
      if (validation.distance !== undefined) row.val_distance = validation.distance;
      if (score(validation.tar3, validation.tar2) > bestBefore) {
        await writeFileAtomic(join(out, 'best.safetensors'), await this.#modelBytes());
      }
    }
    this.#log.add(row);
    await this.#targets?.save();
    await writeFileAtomic(join(out, CHECKPOINT), await this.parts.trainer.checkpoint(), { durable: true });
    await this.#log.write();
    await onCheckpoint?.(this.#log, validation);
  }

  dispose(): void {
    this.#targets?.dispose();
    this.#validationTargets?.dispose();
  }
}

/** The steps that a model was trained for; null for a file that is missing, damaged or says nothing of it. */
async function stepsOfModel(path: string): Promise<number | null> {
  try {
    const steps = readRecognizer(await readFile(path)).metadata.get('cameo.steps');
    return steps === undefined ? null : Number(steps);
  } catch {
    return null; // it is written anew
  }
}

const codecOn = (gpu: Gpu, model: KltAutoencoder | ((gpu: Gpu) => KltAutoencoder)): KltAutoencoder =>
  typeof model === 'function' ? model(gpu) : model;
