import { FaceBatches, sourceWeights } from '../data/faces/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { writeAutoencoder } from '../models/model-file.js';
import { saveState } from '../nn/state.js';
import { type AutoencoderTrainingConfig, checkAutoencoderTraining } from './autoencoder-config.js';
import { type AutoencoderStep, AutoencoderTrainer } from './autoencoder-trainer.js';
import { type AutoencoderValidation, validateAutoencoder } from './autoencoder-validation.js';
import { trainingSource } from './describe-source.js';
import type { LogRow } from './training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from './training-run.js';

export interface TrainAutoencoderOptions
  extends TrainingOptions<TrainingStart, AutoencoderStep, AutoencoderValidation[]> {
  config: AutoencoderTrainingConfig;
  /** A folder of aligned faces, with or without a manifest. */
  data: string;
  /** Faces of the validation split to try after each checkpoint; default 96, 0 for none. */
  validationFaces?: number;
}

/** `validation` has an element a rate; none where there are no validation faces. */
export type TrainAutoencoderResult = TrainingResult<AutoencoderValidation[]>;

/** Columns of log.csv; the validation columns are filled on the rows of checkpoints. */
export function autoencoderLogColumns(rates: number): string[] {
  const validation = Array.from({ length: rates }, (_, r) => [`val_psnr_${r}`, `val_bytes_${r}`]).flat();
  return ['step', 'rate', 'loss', 'psnr', 'bytes', 'rate_weight', 'learning_rate', ...validation];
}

/**
 * Trains the autoencoder on a folder of faces, with checkpoints (every 200 steps, where the options do not say) and a log in `out`,
 * and writes the weights at the end. A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainAutoencoder(options: TrainAutoencoderOptions): Promise<TrainAutoencoderResult> {
  return inTrainingFolder(options, async (checkpoint) =>
    runTraining(await autoencoderTraining(options), options, checkpoint),
  );
}

async function autoencoderTraining(options: TrainAutoencoderOptions): Promise<AutoencoderTraining> {
  const { data, validationFaces = 96 } = options;
  const config = checkAutoencoderTraining(options.config);
  const faces = await openFaceFolder(data, { split: 'train', align: options.align });
  const weights = Object.keys(config.sourceWeights).length
    ? sourceWeights(faces.entries, config.sourceWeights)
    : undefined;
  const batches = new FaceBatches({ count: faces.count, batchSize: config.batchSize, seed: config.seed, weights });
  const validation =
    validationFaces > 0
      ? await openFacesIfAny(data, { split: 'val', limit: validationFaces, align: options.align }) // a folder may have none
      : null;
  const unlabelled = new Array<number>(faces.count).fill(-1);
  await faces.batch([0]); // throws where no face is readable
  const gpu = await deviceOf(options.gpu);
  const trainer = new AutoencoderTrainer(gpu, config, trainingSource(faces.entries, unlabelled, null));
  return new AutoencoderTraining(trainer, gpu, faces, batches, validation, options.metadata);
}

class AutoencoderTraining implements Training<TrainingStart, AutoencoderStep, AutoencoderValidation[], Float32Array> {
  readonly steps: number;
  readonly columns: readonly string[];
  readonly checkpointEvery = 200;
  readonly start: Omit<TrainingStart, 'firstStep'>;

  constructor(
    readonly trainer: AutoencoderTrainer,
    private readonly gpu: Gpu,
    private readonly faces: FaceSet,
    private readonly batches: FaceBatches,
    private readonly validationFaces: FaceSet | null,
    private readonly metadata: Readonly<Record<string, string>> = {},
  ) {
    const { config, model } = trainer;
    this.steps = config.steps;
    this.columns = autoencoderLogColumns(config.model.rates);
    this.start = { gpu, faces, parameters: model.parameterCount };
  }

  async load(step: number): Promise<Float32Array> {
    return (await this.batches.load(this.faces, step)).images;
  }

  train(images: Float32Array): Promise<AutoencoderStep> {
    return this.trainer.train(images);
  }

  rowOf({ step, rate, loss, psnr, bytes, rateWeight, learningRate }: AutoencoderStep): LogRow {
    return { step, rate, loss, psnr, bytes, rate_weight: rateWeight, learning_rate: learningRate };
  }

  async validate(): Promise<AutoencoderValidation[]> {
    return this.validationFaces ? validateAutoencoder(this.gpu, this.trainer.model, this.validationFaces) : [];
  }

  validationRow(validation: AutoencoderValidation[]): LogRow {
    const cells = validation.map(({ psnr, bytes }, rate) => ({
      [`val_psnr_${rate}`]: psnr,
      [`val_bytes_${rate}`]: bytes,
    }));
    return Object.assign({}, ...cells);
  }

  async model(): Promise<Uint8Array> {
    const { config, model } = this.trainer;
    const metadata = { ...this.metadata, 'cameo.training': JSON.stringify(config) };
    return writeAutoencoder(config.model, await saveState(model), metadata);
  }
}
