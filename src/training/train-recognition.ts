import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import { prepareFolder, writeFileAtomic } from '../data/atomic-file.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces.js';
import { type Labelling, labelFaces } from '../data/identity-set.js';
import { loadRecognizers, type OpenRecognizer } from '../data/recognizer-source.js';
import { TRAINING_LOCK, withWriterLock } from '../data/writer-lock.js';
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

async function trainRecognitionAlone(options: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  const { data, out, signal, sources } = options;
  const config = checkRecognitionTraining(options.config);
  if (config.distillation > 0 !== (options.teacher !== undefined)) {
    throw new ArgumentError('training: distillation above 0 needs a teacher, and a teacher needs distillation above 0');
  }
  const cache = options.embeddings ?? join(out, `teacher-${options.teacher?.modelId}.embeddings`);
  const checkpointPath = join(out, 'checkpoint.safetensors');
  if (config.generatedBatch > 0 !== (options.codec !== undefined)) {
    throw new ArgumentError('training: generated faces need a codec, and a codec needs generatedBatch above 0');
  }
  const checkpoint = options.resume ? await readCheckpoint(checkpointPath) : null;
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
  const early = options.codec && (await deviceOf(options.gpu));
  const generator = early && new FaceGenerator(early, codecOn(early, options.codec!.model));
  const generated = generator
    ? new GeneratedFaces(
        generator,
        faces,
        labelled,
        config.generated,
        config.seed,
        options.generatedFolder ?? out,
        options.codec!.id,
      )
    : null;
  const batches = new RecognitionBatches(data, config, faces, labelling, generated);
  const every = options.checkpointEvery ?? Math.max(1, Math.ceil(labelled.length / config.batchSize));
  const { used } = batches;
  const source = trainingSource(
    used.map((index) => faces.entries[index]),
    used.map((index) => classOf[index]),
    options.teacher?.modelId ?? null,
    options.codec?.id,
  );

  const gpu = early ?? (await deviceOf(options.gpu));
  loadRecognizers(gpu, [options.teacher]);
  const trainer = new RecognitionTrainer(gpu, config, identities, source);
  const opened: ({ dispose(): void } | null | undefined)[] = [trainer, generator];
  try {
    const log = new TrainingLog(join(out, 'log.csv'), RECOGNITION_LOG_COLUMNS);
    if (checkpoint) {
      trainer.restore(checkpoint);
      await log.resume(trainer.step);
    }
    const targetsOf = (set: FaceSet): Promise<TeacherTargets> | null => {
      const { distillation, model, teacherViews: views } = config;
      if (distillation === 0) return null;
      return TeacherTargets.open(gpu, options.teacher!, set, { dimension: model.dimension, views, cache });
    };
    const told = (done: number, total: number): void => options.onProgress?.('embeddings of the teacher', done, total);
    const targets = await targetsOf(faces);
    opened.push(targets);
    const validationTargets = validationFaces && (await targetsOf(validationFaces));
    opened.push(validationTargets);
    const wanted = validationTargets && (await validationTargets.of(await validationFaces!.readable(), told));
    await validationTargets?.save();
    options.onStart?.({ gpu, faces, labelling, firstStep: trainer.step, parameters: trainer.network.parameterCount });

    const modelBytes = async (validation: RecognitionValidation | null): Promise<Uint8Array> => {
      const metadata: Record<string, string> = {
        ...options.metadata,
        'cameo.training': JSON.stringify(config),
        'cameo.steps': String(trainer.step),
        'cameo.validation': JSON.stringify(validation),
      };
      if (options.teacher) metadata['cameo.teacher'] = `${options.teacher.name} ${options.teacher.modelId}`;
      return writeRecognizer(recognizerOf(config), await saveState(trainer.network), metadata);
    };
    let validation: RecognitionValidation | null = null;
    const score = (tar3: number, tar2: number): number => tar3 + 1e-3 * tar2;
    const validate = async (): Promise<RecognitionValidation | null> => {
      const found = validationFaces && (await validateRecognition(gpu, trainer.network, validationFaces, wanted));
      trainer.resumeTraining();
      return found;
    };
    const save = async (row: Record<string, number>): Promise<void> => {
      validation = await validate();
      const bestBefore = Math.max(
        ...log.series('val_tar_3').map(([, tar3], k) => score(tar3, log.series('val_tar_2')[k][1])),
      );
      if (validation && !Number.isNaN(validation.tar3)) {
        row.val_accuracy = validation.accuracy;
        row.val_tar_2 = validation.tar2;
        row.val_tar_3 = validation.tar3;
        if (validation.distance !== undefined) row.val_distance = validation.distance;
        if (score(validation.tar3, validation.tar2) > bestBefore) {
          await writeFileAtomic(join(out, 'best.safetensors'), await modelBytes(validation));
        }
      }
      log.add(row);
      await targets?.save();
      await writeFileAtomic(checkpointPath, await trainer.checkpoint(), { durable: true });
      await log.write();
      await options.onCheckpoint?.(log, validation);
    };

    let lastLoss = Number.NaN;
    const draw = (step: number): Promise<DrawnFaces> | null => (step < config.steps ? batches.load(step) : null);
    await batches.prepare(trainer.step);
    let next = draw(trainer.step);
    while (next && !signal?.aborted) {
      const batch = await next;
      // The first time that a face comes, the teacher looks at it.
      const teacher = targets && (await targets.ofBatch(batch, generated));
      if (targets && config.teacherClasses && trainer.step === config.labelStart) {
        trainer.setClasses(classMeans(await targets.of(labelled, told), labelling));
      }
      await batches.prepare(trainer.step + 1);
      next = draw(trainer.step + 1); // read, spoilt and turned while the GPU works
      const step = await trainer.train({ ...batch, teacher });
      lastLoss = step.loss;
      options.onStep?.(step);
      const { learningRate, ...rest } = step;
      const row: Record<string, number> = { ...rest, learning_rate: learningRate };
      const due = trainer.step % every === 0 || trainer.step === config.steps || signal?.aborted;
      if (due) await save(row);
      else log.add(row);
    }
    await next; // no read is left behind when the run was stopped

    const finished = trainer.step >= config.steps;
    if (finished) {
      // A run that ended after its last checkpoint, before its model was written, has not validated here.
      validation ??= await validate();
      await writeFileAtomic(join(out, 'model.safetensors'), await modelBytes(validation));
    }
    return { finished, steps: trainer.step, lastLoss, validation, unchanged: false };
  } finally {
    for (const one of opened.reverse()) one?.dispose();
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
