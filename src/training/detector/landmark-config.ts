import { checkRefiner, DEFAULT_REFINER, type LandmarkRefinerConfig } from '../../models/landmark-refiner.js';
import { type AveragedTrainerConfig, checkAveragedTraining } from '../averaged-config.js';
import { checkSetting } from '../check-setting.js';

/** Everything that decides what a training of landmarks computes: saved with each checkpoint, and equal after a resume. */
export interface LandmarkTrainingConfig extends AveragedTrainerConfig {
  model: LandmarkRefinerConfig;
  /** Crops in a step. */
  batchSize: number;
}

export const DEFAULT_LANDMARK_TRAINING: LandmarkTrainingConfig = {
  model: DEFAULT_REFINER,
  seed: 1,
  steps: 6000,
  batchSize: 32,
  learningRate: 3e-3,
  warmUpSteps: 200,
  weightDecay: 1e-3,
  clipNorm: 5,
  averageDecay: 0.998,
};

/** @throws ArgumentError that names the value that is out of range */
export function checkLandmarkTraining(config: LandmarkTrainingConfig): LandmarkTrainingConfig {
  checkRefiner(config.model);
  checkSetting('batchSize', config.batchSize, 1, 4096, true);
  return checkAveragedTraining(config);
}
