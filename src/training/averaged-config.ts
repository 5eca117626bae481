import { ArgumentError } from '../common/errors.js';

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

/** @throws ArgumentError that names the value where it is out of range */
export function checkNumber<Config extends object>(
  config: Config,
  name: keyof Config & string,
  low: number,
  high: number,
  integer = false,
): void {
  const value: unknown = config[name];
  if (typeof value !== 'number' || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
    const kind = integer ? 'an integer' : 'a number';
    throw new ArgumentError(`training: ${name} is ${JSON.stringify(value)}; expected ${kind} from ${low} to ${high}`);
  }
}

/** @throws ArgumentError that names the value that is out of range */
export function checkAveragedTraining<Config extends AveragedTrainerConfig>(config: Config): Config {
  const settings: AveragedTrainerConfig = config;
  checkNumber(settings, 'seed', 0, 2 ** 32 - 1, true);
  checkNumber(settings, 'steps', 1, 1e9, true);
  checkNumber(settings, 'learningRate', 1e-9, 1);
  checkNumber(settings, 'warmUpSteps', 0, 1e9, true);
  checkNumber(settings, 'weightDecay', 0, 1);
  checkNumber(settings, 'clipNorm', 1e-9, 1e9);
  checkNumber(settings, 'averageDecay', 0, 0.999999);
  return config;
}
