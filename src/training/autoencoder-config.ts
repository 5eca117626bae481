import { ArgumentError } from '../common/errors.js';
import { type AutoencoderConfig, DEFAULT_AUTOENCODER } from '../models/autoencoder.js';
import { checkSetting } from './check-setting.js';
import { checkJointSettings, DEFAULT_STAGE, type JointSettings } from './joint-config.js';

/** Everything that decides what a training run of the autoencoder computes: saved with each checkpoint, and equal after a resume. */
export interface AutoencoderTrainingConfig extends JointSettings {
  model: AutoencoderConfig;
  /** Weight of the mean squared error of samples in [0, 1]. */
  errorWeight: number;
  /** Bytes of a face's PNG file that each rate is steered to, in stages that train the encoder. */
  targetBytes: number[];
}

export const DEFAULT_AUTOENCODER_TRAINING: AutoencoderTrainingConfig = {
  model: DEFAULT_AUTOENCODER,
  seed: 1,
  batchSize: 16,
  stages: [
    { ...DEFAULT_STAGE, name: 'codec', steps: 7600, learningRate: 2e-3, quantization: 'noise' },
    { ...DEFAULT_STAGE, name: 'decoder', steps: 1400, learningRate: 5e-4, train: 'decoder' },
  ],
  errorWeight: 400,
  targetBytes: [350, 500, 700],
  scale: 30,
  margin: 0.35,
  clipNorm: 1,
  sourceWeights: {},
};

/** @throws ArgumentError that names the value that is out of range */
export function checkAutoencoderTraining(config: AutoencoderTrainingConfig): AutoencoderTrainingConfig {
  const { targetBytes, model, errorWeight } = config;
  checkSetting('errorWeight', errorWeight, 1e-9, 1e9);
  const numbers = Array.isArray(targetBytes) && targetBytes.every((bytes) => typeof bytes === 'number' && bytes > 0);
  if (!numbers || targetBytes.length !== model.rates) {
    throw new ArgumentError(
      `training: targetBytes is [${targetBytes}]; expected ${model.rates} positive numbers, one a rate`,
    );
  }
  checkJointSettings(config);
  for (const { name, quantization } of config.stages) {
    if (quantization === 'encoder') {
      throw new ArgumentError(
        `training: quantization of stage "${name}" is "encoder", which is the codec's; expected noise or straightThrough`,
      );
    }
  }
  return config;
}
