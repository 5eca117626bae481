import { ArgumentError } from '../../common/errors.js';
import {
  checkSingleShot,
  DEFAULT_SINGLE_SHOT,
  SINGLE_SHOT_MULTIPLE,
  type SingleShotConfig,
} from '../../models/single-shot.js';

/** Everything that decides what a training run computes: saved with each checkpoint, and equal after a resume. */
export interface DetectorTrainingConfig {
  model: SingleShotConfig;
  /** Unsigned 32-bit integer: first weights, and what mosaics show. */
  seed: number;
  steps: number;
  /** Mosaics in a step. */
  batchSize: number;
  /** Width and height of a mosaic in pixels, a multiple of 32. */
  side: number;
  /** Peak learning rate of AdamW; linear warm-up, then half a cosine to 0. */
  learningRate: number;
  warmUpSteps: number;
  /** Decoupled weight decay. */
  weightDecay: number;
  /** Global gradient norm above which gradients are scaled down. */
  clipNorm: number;
  /** Weights of the losses of boxes and of landmarks beside that of scores. */
  boxWeight: number;
  landmarkWeight: number;
  /** Decay of the running average of the weights, which is what is validated and saved. */
  averageDecay: number;
}

export const DEFAULT_DETECTOR_TRAINING: DetectorTrainingConfig = {
  model: DEFAULT_SINGLE_SHOT,
  seed: 1,
  steps: 8000,
  batchSize: 16,
  side: 160,
  learningRate: 3e-3,
  warmUpSteps: 200,
  weightDecay: 1e-3,
  clipNorm: 5,
  boxWeight: 2,
  landmarkWeight: 1,
  averageDecay: 0.998,
};

/** @throws ArgumentError that names the value that is out of range */
export function checkDetectorTraining(config: DetectorTrainingConfig): DetectorTrainingConfig {
  const check = (name: keyof DetectorTrainingConfig, low: number, high: number, integer = false): void => {
    const value = config[name];
    if (typeof value !== 'number' || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
      const kind = integer ? 'an integer' : 'a number';
      throw new ArgumentError(`training: ${name} is ${JSON.stringify(value)}; expected ${kind} from ${low} to ${high}`);
    }
  };
  checkSingleShot(config.model);
  check('seed', 0, 2 ** 32 - 1, true);
  check('steps', 1, 1e9, true);
  check('batchSize', 1, 4096, true);
  check('side', 64, 1024, true);
  if (config.side % SINGLE_SHOT_MULTIPLE !== 0) {
    throw new ArgumentError(`training: side is ${config.side}; expected a multiple of ${SINGLE_SHOT_MULTIPLE}`);
  }
  check('learningRate', 1e-9, 1);
  check('warmUpSteps', 0, 1e9, true);
  check('weightDecay', 0, 1);
  check('clipNorm', 1e-9, 1e9);
  check('boxWeight', 0, 1e6);
  check('landmarkWeight', 0, 1e6);
  check('averageDecay', 0, 0.999999);
  return config;
}
