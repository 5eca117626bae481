import { join } from 'node:path';
import { deviceOf } from '../../gpu/device-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import {
  LandmarkRefiner,
  REFINER_SIDE,
  REFINER_VALUES,
  refinerTensors,
  withRefiner,
} from '../../models/landmark-refiner.js';
import { saveState } from '../../nn/state.js';
import { mul, sub } from '../../ops/binary.js';
import { sum } from '../../ops/reduce.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type AveragedStep, AveragedTrainer } from '../averaged-trainer.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint } from '../checkpoint.js';
import { type InputBatch, runOverBatches } from '../run-over-batches.js';
import type { LogRow } from '../training-log.js';
import {
  inTrainingFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from '../training-run.js';
import type { TrainingSource } from '../training-source.js';
import { checkLandmarkTraining, type LandmarkTrainingConfig } from './landmark-config.js';
import { drawCrops, type FaceOfPhoto, facesOf, type LandmarkBatch } from './landmark-crops.js';
import { smoothL1 } from './loss.js';
import { type DetectorPhotos, type LoadedPhotos, loadSplits, tellPhotos } from './photos.js';
import { withTeacher } from './teacher-landmarks.js';

export type LandmarkStart = TrainingStart<DetectorPhotos>;
export type LandmarkStep = AveragedStep<never>;

/** How far landmarks are off on crops of held-out photographs. */
export interface LandmarkValidation {
  crops: number;
  /** Mean distance to the right ones, in distances of the eyes of a face seen from the front. */
  nme: number;
}

export interface TrainLandmarksOptions extends TrainingOptions<LandmarkStart, LandmarkStep, LandmarkValidation | null> {
  config: LandmarkTrainingConfig;
  /** A folder of photographs with landmarks, as for `trainDetector`. */
  data: string;
  /** The weights file of the detector whose landmarks are to be refined: the models are that file with the refiner in it. */
  detector: Uint8Array;
  /** The weights file of another detector, whose landmarks are learnt instead of those of the labels. */
  teacher?: Uint8Array;
  /** A file of a detector with a refiner of the same sizes, whose weights a new run starts with. */
  from?: Uint8Array;
}

export const LANDMARK_LOG_COLUMNS = ['step', 'loss', 'learning_rate', 'val_nme'] as const;

const FORMAT: CheckpointFormat<CheckpointState<LandmarkTrainingConfig>> = {
  key: 'cameo.landmarks-checkpoint',
  training: 'landmark training',
  check: (state) => ({ ...state, config: checkLandmarkTraining(state.config) }),
};

type LandmarkInputs = 'points' | 'scale' | 'weight';

/** Trains a refiner of landmarks on crops. */
export class LandmarkTrainer extends AveragedTrainer<LandmarkTrainingConfig, LandmarkRefiner, LandmarkInputs, never> {
  constructor(gpu: Gpu, config: LandmarkTrainingConfig, source: TrainingSource | null = null) {
    const { batchSize, model } = checkLandmarkTraining(config);
    const values = [batchSize, REFINER_VALUES];
    const shapes = { x: [batchSize, REFINER_SIDE, REFINER_SIDE, 3], points: values, scale: values, weight: values };
    const figures = (output: Tensor, { points, scale, weight }: Record<LandmarkInputs, Tensor>) => ({
      loss: sum(mul(smoothL1(sub(mul(output, scale), points)), weight)),
    });
    super(gpu, config, { format: FORMAT, network: () => new LandmarkRefiner(model), shapes, figures }, source);
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): LandmarkTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }
}

/**
 * Trains a network that places landmarks in crops about faces, with checkpoints and a log in `out`, and writes it into the
 * detector's file at the end. A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, and for a detector's file that is damaged;
 * FileError, FormatError, ArgumentError
 */
export async function trainLandmarks(
  options: TrainLandmarksOptions,
): Promise<TrainingResult<LandmarkValidation | null>> {
  return inTrainingFolder(
    options,
    async (checkpoint) => runTraining(await landmarkTraining(options, checkpoint === null), options, checkpoint),
    ['best.safetensors', ...(options.teacher ? [TEACHER_FILE] : [])],
  );
}

/** The landmarks of a teacher, in the folder of the run. */
const TEACHER_FILE = 'teacher-landmarks.json';

async function landmarkTraining(options: TrainLandmarksOptions, fresh: boolean): Promise<LandmarkTraining> {
  const { data, teacher, from, out, onProgress } = options;
  const config = checkLandmarkTraining(options.config);
  const weights = fresh && from ? refinerTensors(from) : null;
  const labelled = await loadSplits(data, onProgress);
  const gpu = await deviceOf(options.gpu);
  const kept = join(out, TEACHER_FILE);
  const { train, validation, source } = teacher
    ? await withTeacher(gpu, labelled, teacher, kept, onProgress)
    : labelled;
  const trainer = new LandmarkTrainer(gpu, config, source);
  try {
    if (weights) trainer.startFrom(weights);
  } catch (error) {
    trainer.dispose();
    throw error;
  }
  return new LandmarkTraining(trainer, gpu, train, validation, options);
}

/** Crops that a validation looks at, and the seed of what they show. */
const VALIDATION_STEPS = 24;
const VALIDATION_SEED = 20160411;

class LandmarkTraining implements Training<LandmarkStart, LandmarkStep, LandmarkValidation | null, LandmarkBatch> {
  readonly steps: number;
  readonly columns = LANDMARK_LOG_COLUMNS;
  readonly checkpointEvery = 500;
  readonly start: Omit<LandmarkStart, 'firstStep'>;
  readonly #faces: readonly FaceOfPhoto[];

  constructor(
    readonly trainer: LandmarkTrainer,
    private readonly gpu: Gpu,
    photos: LoadedPhotos,
    private readonly validation: LoadedPhotos | null,
    private readonly options: TrainLandmarksOptions,
  ) {
    this.steps = trainer.config.steps;
    this.#faces = facesOf(photos);
    this.start = { gpu, faces: tellPhotos(options.data, photos), parameters: trainer.network.parameterCount };
  }

  async load(step: number): Promise<LandmarkBatch> {
    return drawCrops(this.#faces, this.trainer.config, step);
  }

  train(batch: LandmarkBatch): Promise<LandmarkStep> {
    return this.trainer.train({ ...batch });
  }

  rowOf({ learningRate, ...figures }: LandmarkStep): LogRow {
    return { ...figures, learning_rate: learningRate };
  }

  async validate(): Promise<LandmarkValidation | null> {
    const faces = facesOf({ boxed: this.validation?.boxed ?? [], pointed: [] });
    if (faces.length === 0) return null;
    const { batchSize } = this.trainer.config;
    const body = (x: Tensor) => ({ values: this.trainer.network.forward(x) });
    const shape = [batchSize, REFINER_SIDE, REFINER_SIDE, 3];
    let error = 0;
    await runOverBatches(this.gpu, shape, validationCrops(faces, batchSize), body, ({ values }, batch) => {
      error += totalError(values, batch);
    });
    const crops = VALIDATION_STEPS * batchSize;
    return { crops, nme: error / crops };
  }

  validationRow(validation: LandmarkValidation | null): LogRow {
    return validation ? { val_nme: validation.nme } : {};
  }

  score({ val_nme: nme = Number.NaN }: LogRow): number {
    return -nme;
  }

  async model(validation: LandmarkValidation | null): Promise<Uint8Array> {
    const { config, network, step } = this.trainer;
    return withRefiner(this.options.detector, config.model, await saveState(network), {
      'cameo.landmarks-training': JSON.stringify(config),
      'cameo.landmarks-steps': String(step),
      'cameo.landmarks-validation': JSON.stringify(validation),
    });
  }
}

async function* validationCrops(
  faces: readonly FaceOfPhoto[],
  batchSize: number,
): AsyncGenerator<InputBatch<LandmarkBatch>> {
  for (let step = 0; step < VALIDATION_STEPS; step++) {
    const batch = drawCrops(faces, { batchSize, seed: VALIDATION_SEED }, step);
    yield { values: batch.x, known: batch };
  }
}

/** The mean error of each crop's landmarks, summed over the crops. */
function totalError(values: Float32Array, { points, scale }: LandmarkBatch): number {
  let total = 0;
  for (let k = 0; k < values.length; k += 2) {
    total += Math.hypot(values[k] * scale[k] - points[k], values[k + 1] * scale[k + 1] - points[k + 1]);
  }
  return total / (REFINER_VALUES / 2);
}
