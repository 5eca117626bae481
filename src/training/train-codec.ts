import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import { FaceBatches, sourceWeights } from '../data/faces/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { prepareFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { TRAINING_LOCK, withWriterLock } from '../data/files/writer-lock.js';
import { type DeviceSource, deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { writeAutoencoder } from '../models/model-file.js';
import { saveState } from '../nn/state.js';
import { type CodecTrainingConfig, checkCodecTraining } from './codec-config.js';
import { type CodecStep, CodecTrainer } from './codec-trainer.js';
import { type Validation, validateCodec } from './codec-validation.js';
import { trainingSource } from './describe-source.js';
import { TrainingLog } from './training-log.js';

export interface TrainCodecOptions {
  /** Opened, where it is to be opened, when all else has been checked. */
  gpu: DeviceSource;
  config: CodecTrainingConfig;
  /** A folder of aligned faces, with or without a manifest. */
  data: string;
  /** Folder for checkpoint.safetensors, log.csv and model.safetensors. */
  out: string;
  /** Goes on from the checkpoint in `out`. */
  resume?: boolean;
  /** Steps between checkpoints; default 200. */
  checkpointEvery?: number;
  /** Faces of the validation split to try after each checkpoint; default 96, 0 for none. */
  validationFaces?: number;
  /** Text to store in the model's metadata (command, data, licence). */
  metadata?: Record<string, string>;
  /** Ends after the current step, with a checkpoint. */
  signal?: AbortSignal;
  onStart?: (info: { gpu: Gpu; faces: FaceSet; firstStep: number; parameters: number }) => void;
  onStep?: (step: CodecStep) => void;
  /** After each checkpoint. */
  onCheckpoint?: (log: TrainingLog, validation: Validation[]) => Promise<void> | void;
}

export interface TrainCodecResult {
  /** False when `signal` ended the run before its last step. */
  finished: boolean;
  steps: number;
  lastLoss: number;
}

/** Columns of log.csv; the validation columns are filled on the rows of checkpoints. */
export function logColumns(rates: number): string[] {
  const validation = Array.from({ length: rates }, (_, r) => [`val_psnr_${r}`, `val_bytes_${r}`]).flat();
  return ['step', 'rate', 'loss', 'psnr', 'bytes', 'rate_weight', 'learning_rate', ...validation];
}

/**
 * Trains the codec on a folder of faces, with checkpoints and a log in `out`, and writes the weights at the end.
 * A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainCodec(options: TrainCodecOptions): Promise<TrainCodecResult> {
  await prepareFolder(options.out, ['checkpoint.safetensors', 'log.csv', 'model.safetensors']);
  return withWriterLock(join(options.out, TRAINING_LOCK), options.out, () => trainCodecAlone(options));
}

async function trainCodecAlone(options: TrainCodecOptions): Promise<TrainCodecResult> {
  const { data, out, signal, checkpointEvery = 200, validationFaces = 96 } = options;
  const config = checkCodecTraining(options.config);
  const checkpointPath = join(out, 'checkpoint.safetensors');
  const faces = await openFaceFolder(data, { split: 'train' });
  const weights = Object.keys(config.sourceWeights).length
    ? sourceWeights(faces.entries, config.sourceWeights)
    : undefined;
  const batches = new FaceBatches({ count: faces.count, batchSize: config.batchSize, seed: config.seed, weights });
  const validation =
    validationFaces > 0
      ? await openFacesIfAny(data, { split: 'val', limit: validationFaces }) // a folder may have none
      : null;

  const unlabelled = new Array<number>(faces.count).fill(-1);
  await faces.batch([0]); // throws where no face is readable
  const gpu = await deviceOf(options.gpu);
  const trainer = new CodecTrainer(gpu, config, trainingSource(faces.entries, unlabelled, null));
  try {
    const log = new TrainingLog(join(out, 'log.csv'), logColumns(config.model.rates));
    if (options.resume) {
      trainer.restore(await readCheckpoint(checkpointPath));
      await log.resume(trainer.step);
    }
    options.onStart?.({ gpu, faces, firstStep: trainer.step, parameters: trainer.model.parameterCount });

    const save = async (lastRow: Record<string, number>): Promise<void> => {
      const results = validation ? await validateCodec(gpu, trainer.model, validation) : [];
      results.forEach(({ psnr, bytes }, rate) => {
        lastRow[`val_psnr_${rate}`] = psnr;
        lastRow[`val_bytes_${rate}`] = bytes;
      });
      log.add(lastRow);
      await writeFileAtomic(checkpointPath, await trainer.checkpoint(), { durable: true });
      await log.write();
      await options.onCheckpoint?.(log, results);
    };

    let lastLoss = Number.NaN;
    let next = trainer.step < config.steps ? batches.load(faces, trainer.step) : null;
    while (next && !signal?.aborted) {
      const { images } = await next;
      // The next batch is decoded while the GPU works.
      next = trainer.step + 1 < config.steps ? batches.load(faces, trainer.step + 1) : null;
      const step = await trainer.train(images);
      lastLoss = step.loss;
      options.onStep?.(step);
      const row: Record<string, number> = {
        step: step.step,
        rate: step.rate,
        loss: step.loss,
        psnr: step.psnr,
        bytes: step.bytes,
        rate_weight: step.rateWeight,
        learning_rate: step.learningRate,
      };
      const due = trainer.step % checkpointEvery === 0 || trainer.step === config.steps || signal?.aborted;
      if (due) await save(row);
      else log.add(row);
    }
    await next; // no read is left behind when the run was stopped

    const finished = trainer.step >= config.steps;
    if (finished) {
      const metadata = { ...options.metadata, 'cameo.training': JSON.stringify(config) };
      const tensors = await saveState(trainer.model);
      await writeFileAtomic(join(out, 'model.safetensors'), writeAutoencoder(config.model, tensors, metadata));
    }
    return { finished, steps: trainer.step, lastLoss };
  } finally {
    trainer.dispose();
  }
}

/** Reads a checkpoint's bytes. @throws CheckpointError when there is none */
export async function readCheckpoint(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CheckpointError(`no checkpoint to resume from: ${path} cannot be read`, { cause });
  }
}
