import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import { ensureFolder, writeFileAtomic } from '../data/atomic-file.js';
import { FaceBatches, sourceWeights } from '../data/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces.js';
import { balancedWeights, type Labelling, labelFaces } from '../data/identity-set.js';
import type { OpenRecognizer } from '../data/recognizer-source.js';
import { TRAINING_LOCK, withWriterLock } from '../data/writer-lock.js';
import type { Gpu } from '../gpu/gpu.js';
import { readRecognizer, writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { trainingSource } from './describe-source.js';
import { checkRecognitionTraining, type RecognitionTrainingConfig } from './recognition-config.js';
import { type RecognitionBatch, type RecognitionStep, RecognitionTrainer } from './recognition-trainer.js';
import { type RecognitionValidation, validateRecognition } from './recognition-validation.js';
import { teacherEmbeddings } from './teacher.js';
import { readCheckpoint } from './train-codec.js';
import { TrainingLog } from './training-log.js';

export interface TrainRecognitionOptions {
  gpu: Gpu;
  config: RecognitionTrainingConfig;
  /** A folder of aligned 112×96 faces with identities: by manifest, or a folder an identity. */
  data: string;
  /** Only faces of these sources. */
  sources?: readonly string[];
  /** Folder for checkpoint, log, best and last model. */
  out: string;
  resume?: boolean;
  /** Steps between checkpoints, and validations; default one epoch. */
  checkpointEvery?: number;
  /** Whose embeddings are learnt where `config.distillation` is above 0. */
  teacher?: OpenRecognizer;
  /** Text to store in the model's metadata. */
  metadata?: Record<string, string>;
  signal?: AbortSignal;
  onStart?: (info: { faces: FaceSet; labelling: Labelling; firstStep: number; parameters: number }) => void;
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
] as const;

/** Draws the batch of a step: it depends on seed and step alone. */
async function drawBatch(
  step: number,
  config: RecognitionTrainingConfig,
  sets: { faces: FaceSet; batches: FaceBatches; indices: readonly number[] }[],
  classOf: Int32Array,
  teacher: Float32Array | null,
): Promise<RecognitionBatch> {
  const parts = await Promise.all(sets.map(({ faces, batches }) => batches.load(faces, step)));
  const chosen = parts.flatMap(({ plan }, k) => [...plan.indices].map((index) => sets[k].indices[index]));
  const size = parts[0].images.length / config.batchSize;
  const images = new Float32Array(chosen.length * size);
  let at = 0;
  for (const part of parts) {
    images.set(part.images, at);
    at += part.images.length;
  }
  const labels = chosen.slice(0, config.batchSize).map((index) => classOf[index]);
  if (!teacher) return { images, labels, teacher };
  const { dimension } = config.model;
  const wanted = new Float32Array(chosen.length * dimension);
  chosen.forEach((index, k) => {
    wanted.set(teacher.subarray(index * dimension, (index + 1) * dimension), k * dimension);
  });
  return { images, labels, teacher: wanted };
}

/**
 * Trains a recogniser on identity-labelled faces, with checkpoints and a log in `out`. After each checkpoint the held-out
 * identities of split `val` are compared; the best network so far (by TAR at FAR 1e-3, then 1e-2) is kept as `best.safetensors`,
 * the last as `model.safetensors`. A run that is stopped and resumed computes the same as one that is not; one that is
 * finished stays as it is.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainRecognition(options: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  await ensureFolder(options.out);
  return withWriterLock(join(options.out, TRAINING_LOCK), options.out, () => trainRecognitionAlone(options));
}

async function trainRecognitionAlone(options: TrainRecognitionOptions): Promise<TrainRecognitionResult> {
  const { gpu, data, out, signal, sources } = options;
  const config = checkRecognitionTraining(options.config);
  if (config.distillation > 0 !== (options.teacher !== undefined)) {
    throw new ArgumentError('training: distillation above 0 needs a teacher, and a teacher needs distillation above 0');
  }
  const checkpointPath = join(out, 'checkpoint.safetensors');
  const checkpoint = options.resume ? await readCheckpoint(checkpointPath) : null;
  if (checkpoint) {
    const steps = RecognitionTrainer.stepsOf(checkpoint);
    if (steps >= config.steps && (await stepsOfModel(join(out, 'model.safetensors'))) === steps) {
      return { finished: true, steps, lastLoss: Number.NaN, validation: null, unchanged: true };
    }
  }
  const faces = await openFaceFolder(data, { split: 'train', sources });
  const validationFaces = await openFacesIfAny(data, { split: 'val', sources }); // there may be none
  const labelling = await labelFaces(faces, (done, total) => options.onProgress?.('reading faces', done, total));
  const { labelled, unlabelled, classOf, identities } = labelling;
  if (identities.length < 2) {
    throw new ArgumentError(`${data}: ${identities.length} identities with at least two faces; expected at least 2`);
  }
  if (config.unlabelledBatch > 0 && unlabelled.length === 0) {
    throw new ArgumentError(`${data}: unlabelledBatch is ${config.unlabelledBatch}, but every face has a label`);
  }
  const subset = (indices: readonly number[], batchSize: number, seed: number, weights?: Float64Array) => ({
    faces: faces.subset(indices),
    indices,
    batches: new FaceBatches({ count: indices.length, batchSize, seed, augment: config.augment, weights }),
  });
  const entries = labelled.map((index) => faces.entries[index]);
  const bySource =
    Object.keys(config.sourceWeights).length > 0 ? sourceWeights(entries, config.sourceWeights) : undefined;
  const weights = config.balanced ? balancedWeights(labelled, classOf) : bySource;
  const sets = [subset(labelled, config.batchSize, config.seed, weights)];
  if (config.unlabelledBatch > 0) sets.push(subset(unlabelled, config.unlabelledBatch, (config.seed ^ 0x5eed) >>> 0));

  const every = options.checkpointEvery ?? Math.max(1, Math.ceil(labelled.length / config.batchSize));

  const used = [...labelled, ...(config.unlabelledBatch > 0 ? unlabelled : [])];
  const source = trainingSource(
    used.map((index) => faces.entries[index]),
    used.map((index) => classOf[index]),
    options.teacher?.modelId ?? null,
  );

  const trainer = new RecognitionTrainer(gpu, config, identities, source);
  try {
    const log = new TrainingLog(join(out, 'log.csv'), RECOGNITION_LOG_COLUMNS);
    if (checkpoint) {
      trainer.restore(checkpoint);
      await log.resume(trainer.step);
    }
    const teacher = options.teacher
      ? await teacherEmbeddings(
          gpu,
          options.teacher,
          faces,
          used,
          config.model.dimension,
          join(out, 'teacher.safetensors'),
          (done, total) => options.onProgress?.(`embeddings of the teacher`, done, total),
        )
      : null;
    options.onStart?.({ faces, labelling, firstStep: trainer.step, parameters: trainer.network.parameterCount });

    const modelBytes = async (validation: RecognitionValidation | null): Promise<Uint8Array> => {
      const metadata: Record<string, string> = {
        ...options.metadata,
        'cameo.training': JSON.stringify(config),
        'cameo.steps': String(trainer.step),
        'cameo.validation': JSON.stringify(validation),
      };
      if (options.teacher) metadata['cameo.teacher'] = `${options.teacher.name} ${options.teacher.modelId}`;
      const description = { architecture: 'cameo-face' as const, ...trainer.network.config };
      return writeRecognizer(description, await saveState(trainer.network), metadata);
    };
    let validation: RecognitionValidation | null = null;
    const score = (tar3: number, tar2: number): number => tar3 + 1e-3 * tar2;
    const validate = async (): Promise<RecognitionValidation | null> => {
      const found = validationFaces && (await validateRecognition(gpu, trainer.network, validationFaces));
      trainer.network.train();
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
        if (score(validation.tar3, validation.tar2) > bestBefore) {
          await writeFileAtomic(join(out, 'best.safetensors'), await modelBytes(validation));
        }
      }
      log.add(row);
      await writeFileAtomic(checkpointPath, await trainer.checkpoint(), { durable: true });
      await log.write();
      await options.onCheckpoint?.(log, validation);
    };

    let lastLoss = Number.NaN;
    const draw = (step: number): Promise<RecognitionBatch> | null =>
      step < config.steps ? drawBatch(step, config, sets, classOf, teacher) : null;
    let next = draw(trainer.step);
    while (next && !signal?.aborted) {
      const batch = await next;
      next = draw(trainer.step + 1); // decoded and turned while the GPU works
      const step = await trainer.train(batch);
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
    trainer.dispose();
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
