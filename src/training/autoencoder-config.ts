import { ArgumentError } from '../common/errors.js';
import { type AutoencoderConfig, DEFAULT_AUTOENCODER } from '../models/autoencoder.js';

/** Everything that decides what a training run computes: saved with each checkpoint, and equal after a resume. */
export interface AutoencoderTrainingConfig {
  model: AutoencoderConfig;
  /** Unsigned 32-bit integer: first weights, order and changes of pictures, quantization noise. */
  seed: number;
  steps: number;
  batchSize: number;
  /** Peak learning rate of Adam; linear warm-up, then half a cosine to a hundredth. */
  learningRate: number;
  warmUpSteps: number;
  /** Global gradient norm above which gradients are scaled down. */
  clipNorm: number;
  /** Share of the steps, at the end, that train with rounding (straight-through) in place of noise. */
  roundingShare: number;
  /** Estimated bytes of a face that each rate is steered to (entropy of the symbols, without container). */
  targetBytes: number[];
  /** How often a face of a source is drawn; 1 for sources that are not named. */
  sourceWeights: Record<string, number>;
}

export const DEFAULT_AUTOENCODER_TRAINING: AutoencoderTrainingConfig = {
  model: DEFAULT_AUTOENCODER,
  seed: 1,
  steps: 9000,
  batchSize: 16,
  learningRate: 2e-3,
  warmUpSteps: 100,
  clipNorm: 1,
  roundingShare: 0.15,
  targetBytes: [230, 420, 760],
  sourceWeights: {},
};

/** @throws ArgumentError that names the value that is out of range */
export function checkAutoencoderTraining(config: AutoencoderTrainingConfig): AutoencoderTrainingConfig {
  const integer = (name: keyof AutoencoderTrainingConfig, low: number, high: number): void => {
    const value = config[name] as number;
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new ArgumentError(`training: ${name} is ${value}; expected an integer from ${low} to ${high}`);
    }
  };
  const between = (name: keyof AutoencoderTrainingConfig, low: number, high: number): void => {
    const value = config[name];
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      throw new ArgumentError(`training: ${name} is ${value}; expected a number from ${low} to ${high}`);
    }
  };
  integer('seed', 0, 2 ** 32 - 1);
  integer('steps', 1, 1e9);
  integer('batchSize', 1, 4096);
  integer('warmUpSteps', 0, 1e9);
  between('learningRate', 1e-9, 1);
  between('clipNorm', 1e-9, 1e9);
  between('roundingShare', 0, 1);
  const { targetBytes, model } = config;
  if (targetBytes.length !== model.rates || targetBytes.some((bytes) => typeof bytes !== 'number' || !(bytes > 0))) {
    throw new ArgumentError(
      `training: targetBytes is [${targetBytes}]; expected ${model.rates} positive numbers, one a rate`,
    );
  }
  return config;
}
