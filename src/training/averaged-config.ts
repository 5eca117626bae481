import { checkSetting } from './check-setting.js';

/** How the weights of a network are learnt. */
export interface AveragedTrainerConfig {
  /** Unsigned 32-bit integer: first weights, and what the pictures show. */
  seed: number;
  steps: number;
  /** Peak learning rate of AdamW; linear warm-up, then half a cosine to 0. */
  learningRate: number;
  warmUpSteps: number;
  /** Decoupled weight decay. */
  weightDecay: number;
  /** Global gradient norm above which gradients are scaled down. */
  clipNorm: number;
  /** Decay of the running average of the weights, which is what is validated and saved. */
  averageDecay: number;
}

/** @throws ArgumentError that names the value that is out of range */
export function checkAveragedTraining<Config extends AveragedTrainerConfig>(config: Config): Config {
  const { seed, steps, learningRate, warmUpSteps, weightDecay, clipNorm, averageDecay } = config;
  checkSetting('seed', seed, 0, 2 ** 32 - 1, true);
  checkSetting('steps', steps, 1, 1e9, true);
  checkSetting('learningRate', learningRate, 1e-9, 1);
  checkSetting('warmUpSteps', warmUpSteps, 0, 1e9, true);
  checkSetting('weightDecay', weightDecay, 0, 1);
  checkSetting('clipNorm', clipNorm, 1e-9, 1e9);
  checkSetting('averageDecay', averageDecay, 0, 0.999999);
  return config;
}
