import { ArgumentError } from '../../common/errors.js';
import {
  checkSingleShot,
  DEFAULT_SINGLE_SHOT,
  SINGLE_SHOT_MULTIPLE,
  type SingleShotConfig,
} from '../../models/single-shot.js';
import { type AveragedTrainerConfig, checkAveragedTraining } from '../averaged-config.js';
import { checkSetting } from '../check-setting.js';

/** Everything that decides what a training run computes: saved with each checkpoint, and equal after a resume. */
export interface DetectorTrainingConfig extends AveragedTrainerConfig {
  model: SingleShotConfig;
  /** Mosaics in a step. */
  batchSize: number;
  /** Width and height of a mosaic in pixels, a multiple of 32. */
  side: number;
  /** Weights of the losses of boxes and of landmarks beside that of scores. */
  boxWeight: number;
  landmarkWeight: number;
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
  checkSingleShot(config.model);
  checkSetting('batchSize', config.batchSize, 1, 4096, true);
  checkSetting('side', config.side, 64, 1024, true);
  if (config.side % SINGLE_SHOT_MULTIPLE !== 0) {
    throw new ArgumentError(`training: side is ${config.side}; expected a multiple of ${SINGLE_SHOT_MULTIPLE}`);
  }
  checkSetting('boxWeight', config.boxWeight, 0, 1e6);
  checkSetting('landmarkWeight', config.landmarkWeight, 0, 1e6);
  return checkAveragedTraining(config);
}
