import { ArgumentError } from '../common/errors.js';
import { checkLossSpec, type LossSpec } from '../common/loss-spec.js';
import { type Augmentation, DEFAULT_AUGMENTATION } from '../data/batches.js';
import { type CameoFaceConfig, checkCameoFace, DEFAULT_CAMEO_FACE } from '../models/cameo-face.js';

/** Everything that decides what a training run computes: saved with each checkpoint, and equal after a resume. */
export interface RecognitionTrainingConfig {
  model: CameoFaceConfig;
  loss: LossSpec;
  /** Steps over which the margin rises from 0 to its value. */
  marginWarmUpSteps: number;
  /** Scale of the logits in the first step; it changes linearly to the loss's s in as many steps. 0: s from the start. */
  firstScale: number;
  /** Unsigned 32-bit integer: first weights, order and changes of pictures. */
  seed: number;
  steps: number;
  /** Faces with a label in a step. */
  batchSize: number;
  /** Faces without a label in a step, which only a teacher makes use of. */
  unlabelledBatch: number;
  /** Peak learning rate of AdamW; linear warm-up, then half a cosine to a hundredth. */
  learningRate: number;
  warmUpSteps: number;
  /** Decoupled weight decay. */
  weightDecay: number;
  /** Global gradient norm above which gradients are scaled down. */
  clipNorm: number;
  /** True: every identity is drawn as often as any other, then one of its faces; false: every face is. */
  balanced: boolean;
  /** How often a face of a source is drawn, in relation to 1 for sources not named. Not together with `balanced`. */
  sourceWeights: Record<string, number>;
  augment: Augmentation;
  /** Weight of 1 − cos(embedding, teacher's embedding) beside the loss on labels; 0 without a teacher. */
  distillation: number;
}

export const DEFAULT_RECOGNITION_TRAINING: RecognitionTrainingConfig = {
  model: DEFAULT_CAMEO_FACE,
  loss: { loss: 'cosface', s: 30, m: 0.35, lambda: 0 },
  marginWarmUpSteps: 500,
  firstScale: 0,
  seed: 1,
  steps: 4000,
  batchSize: 32,
  unlabelledBatch: 0,
  learningRate: 2e-3,
  warmUpSteps: 100,
  weightDecay: 1e-3,
  clipNorm: 5,
  balanced: false,
  sourceWeights: {},
  augment: { ...DEFAULT_AUGMENTATION, shift: 3, brightness: 0.06, contrast: 0.12, rotate: 5 },
  distillation: 0,
};

/** @throws ArgumentError that names the value that is out of range */
export function checkRecognitionTraining(config: RecognitionTrainingConfig): RecognitionTrainingConfig {
  const check = (name: keyof RecognitionTrainingConfig, low: number, high: number, integer: boolean): void => {
    const value = config[name];
    if (typeof value !== 'number' || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
      const kind = integer ? 'an integer' : 'a number';
      throw new ArgumentError(`training: ${name} is ${JSON.stringify(value)}; expected ${kind} from ${low} to ${high}`);
    }
  };
  check('seed', 0, 2 ** 32 - 1, true);
  check('steps', 1, 1e9, true);
  check('batchSize', 2, 4096, true);
  check('unlabelledBatch', 0, 4096, true);
  check('warmUpSteps', 0, 1e9, true);
  check('marginWarmUpSteps', 0, 1e9, true);
  check('firstScale', 0, 1e6, false);
  check('learningRate', 1e-9, 1, false);
  check('weightDecay', 0, 1, false);
  check('clipNorm', 1e-9, 1e9, false);
  check('distillation', 0, 1e6, false);
  checkCameoFace(config.model);
  checkLossSpec('training', config.loss);
  if (config.unlabelledBatch > 0 && config.distillation === 0) {
    throw new ArgumentError(
      'training: unlabelledBatch is above 0, but faces without labels teach nothing without a teacher',
    );
  }
  if (config.balanced && Object.keys(config.sourceWeights).length > 0) {
    throw new ArgumentError('training: sourceWeights and balanced exclude each other; give one of them');
  }
  return config;
}
