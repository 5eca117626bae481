import { deviceOf } from '../../gpu/device-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import { writeSingleShot } from '../../models/single-shot.js';
import { saveState } from '../../nn/state.js';
import type { LogRow } from '../training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from '../training-run.js';
import { type DetectorBatch, drawBatch } from './batches.js';
import { checkDetectorTraining, type DetectorTrainingConfig } from './config.js';
import { type DetectorPhotos, type LoadedPhotos, loadSplits, tellPhotos } from './photos.js';
import { type DetectorStep, DetectorTrainer } from './trainer.js';
import { type DetectorValidation, validateDetector } from './validation.js';

export type DetectorStart = TrainingStart<DetectorPhotos>;

export interface TrainDetectorOptions extends TrainingOptions<DetectorStart, DetectorStep, DetectorValidation | null> {
  config: DetectorTrainingConfig;
  /**
   * A folder with `photos`, or with a manifest of its own: photographs with boxes and landmarks. Beside `photos`, `profiles` with landmarks
   * alone is made use of.
   */
  data: string;
}

export const DETECTOR_LOG_COLUMNS = [
  'step',
  'loss',
  'scores',
  'places',
  'learning_rate',
  'val_recall',
  'val_false_positives',
  'val_nme',
] as const;

/**
 * Trains a face detector on photographs whose faces are known, with checkpoints and a log in `out`, and writes the weights at the end. All
 * photographs are kept in memory. A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit; FileError, FormatError, ArgumentError
 */
export async function trainDetector(options: TrainDetectorOptions): Promise<TrainingResult<DetectorValidation | null>> {
  return inTrainingFolder(
    options,
    async (checkpoint) => runTraining(await detectorTraining(options), options, checkpoint),
    ['best.safetensors'],
  );
}

async function detectorTraining(options: TrainDetectorOptions): Promise<DetectorTraining> {
  const config = checkDetectorTraining(options.config);
  const { train, validation, source } = await loadSplits(options.data, options.onProgress);
  const gpu = await deviceOf(options.gpu);
  const trainer = new DetectorTrainer(gpu, config, source);
  return new DetectorTraining(trainer, gpu, train, validation, options);
}

class DetectorTraining implements Training<DetectorStart, DetectorStep, DetectorValidation | null, DetectorBatch> {
  readonly steps: number;
  readonly columns = DETECTOR_LOG_COLUMNS;
  readonly checkpointEvery = 500;
  readonly start: Omit<DetectorStart, 'firstStep'>;

  constructor(
    readonly trainer: DetectorTrainer,
    private readonly gpu: Gpu,
    private readonly photos: LoadedPhotos,
    private readonly validation: LoadedPhotos | null,
    private readonly options: TrainDetectorOptions,
  ) {
    this.steps = trainer.config.steps;
    this.start = { gpu, faces: tellPhotos(options.data, photos), parameters: trainer.network.parameterCount };
  }

  load(step: number): Promise<DetectorBatch> {
    return drawBatch(this.photos, this.trainer.config, step);
  }

  train({ images, targets }: DetectorBatch): Promise<DetectorStep> {
    return this.trainer.train({ x: images, ...targets });
  }

  rowOf({ learningRate, ...figures }: DetectorStep): LogRow {
    return { ...figures, learning_rate: learningRate };
  }

  async validate(): Promise<DetectorValidation | null> {
    if (!this.validation) return null;
    return validateDetector(this.gpu, this.trainer.network, this.validation, this.trainer.config);
  }

  validationRow(validation: DetectorValidation | null): LogRow {
    if (!validation) return {};
    const { recall, falsePositives, nme } = validation;
    return { val_recall: recall, val_false_positives: falsePositives, val_nme: nme };
  }

  /** Recall, minus penalties for false positives and landmark errors. */
  score({ val_recall: recall = Number.NaN, val_false_positives: wrong, val_nme: nme }: LogRow): number {
    return recall - 0.2 * wrong - nme;
  }

  async model(validation: DetectorValidation | null): Promise<Uint8Array> {
    const { config, network, step } = this.trainer;
    return writeSingleShot(config.model, await saveState(network), {
      ...this.options.metadata,
      'cameo.training': JSON.stringify(config),
      'cameo.steps': String(step),
      'cameo.validation': JSON.stringify(validation),
    });
  }
}
