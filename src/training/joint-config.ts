import { ArgumentError } from '../common/errors.js';
import { checkKltConfig, DEFAULT_KLT, type KltConfig, quantizationInputs } from '../models/klt-autoencoder.js';
import { checkSetting } from './check-setting.js';
import { MARGIN_NAMES, withNewNames } from './renamed-settings.js';

/** A part of the run with its own weights of the loss. */
export interface JointStage {
  name: string;
  steps: number;
  /** Peak learning rate of Adam; a short warm-up, then half a cosine to a hundredth, within the stage. */
  learningRate: number;
  /**
   * 'noise' in place of rounding; rounding whose gradient passes straight through; or the choice of the finished encoder,
   * which passes no gradient and so can train only the decoder.
   */
  quantization: 'noise' | 'straightThrough' | 'encoder';
  /** What is trained: all of the codec, or only what comes after rounding and, except for 'encoder', the tables' scales. */
  train: 'all' | 'decoder';
  /** Weight of 1 − SSIM. */
  ssim: number;
  /** Weight of 1 − cos(embedding of the restored face, of the original), mean over the recognisers. */
  distance: number;
  /** Weight of the CosFace loss of the first recogniser on restored faces, over its classes. */
  cosface: number;
  /** Whether the first recogniser is trained on restored faces. */
  recognizer: 'frozen' | 'trained';
}

/** What decides a joint training run, whichever network it trains: saved with each checkpoint, and equal after a resume. */
export interface JointSettings {
  /** Size of a face, and what else decides the network. */
  model: { readonly height: number; readonly width: number };
  /** Unsigned 32-bit integer. */
  seed: number;
  batchSize: number;
  stages: JointStage[];
  /** Of the CosFace loss. */
  scale: number;
  margin: number;
  clipNorm: number;
  /** How often a face of a source is drawn; 1 for sources not named. */
  sourceWeights: Record<string, number>;
}

/** The settings of the codec's training. */
export interface JointTrainingConfig extends JointSettings {
  model: KltConfig;
  /** Quantization indices that are trained, from the coarsest to the finest. */
  steps: [number, number];
  /** Weight of the bits of a face where the squared error of the face over the squared step has weight 1. */
  rateWeight: number;
  /** Also the weight of a face of a source for the principal components. */
  sourceWeights: Record<string, number>;
}

export const DEFAULT_STAGE: JointStage = {
  name: 'stage',
  steps: 1000,
  learningRate: 1e-3,
  quantization: 'straightThrough',
  train: 'all',
  ssim: 0,
  distance: 0,
  cosface: 0,
  recognizer: 'frozen',
};

export const DEFAULT_JOINT_TRAINING: JointTrainingConfig = {
  model: DEFAULT_KLT,
  seed: 1,
  batchSize: 8,
  stages: [
    { ...DEFAULT_STAGE, name: 'codec', steps: 1000, quantization: 'noise' },
    { ...DEFAULT_STAGE, name: 'joint', steps: 2000, distance: 6, cosface: 0.05, learningRate: 5e-4 },
  ],
  steps: [17, 40],
  // High-resolution theory gives ln 2 / 6 = 0.116 for a uniform quantizer; at these rates most symbols are 0 and bits cost more.
  rateWeight: 0.14,
  scale: 30,
  margin: 0.35,
  clipNorm: 1,
  sourceWeights: {},
};

/** Settings as they are called now, of files and checkpoints of earlier versions, too. */
export const withNewJointNames = <T extends object>(settings: T): T => withNewNames('training', settings, MARGIN_NAMES);

/** @throws ArgumentError that names the value that is out of range */
export function checkJointTraining(config: JointTrainingConfig): JointTrainingConfig {
  checkKltConfig(config.model);
  checkSetting('rateWeight', config.rateWeight, 0, 1e6);
  if (!Array.isArray(config.steps) || config.steps.length !== 2 || config.steps[0] > config.steps[1]) {
    throw new ArgumentError(
      `training: steps is ${JSON.stringify(config.steps)}; expected the coarsest and the finest quantization index`,
    );
  }
  for (const step of config.steps) quantizationInputs(step, config.model.steps);
  return checkJointSettings(config);
}

/** Checks what every network's settings have. @throws ArgumentError that names the value that is out of range */
export function checkJointSettings<C extends JointSettings>(config: C): C {
  checkSetting('seed', config.seed, 0, 2 ** 32 - 1, true);
  checkSetting('batchSize', config.batchSize, 1, 4096, true);
  checkSetting('scale', config.scale, 1e-3, 1e4);
  checkSetting('margin', config.margin, 0, 1);
  checkSetting('clipNorm', config.clipNorm, 1e-9, 1e9);
  if (!Array.isArray(config.stages) || config.stages.length === 0) {
    throw new ArgumentError('training: stages is empty; expected at least one stage');
  }
  for (const stage of config.stages) checkStage(stage, config.stages);
  return config;
}

function checkStage(stage: JointStage, stages: readonly JointStage[]): void {
  const own = (key: string): string => `${key} of stage "${stage.name}"`;
  const oneOf = (name: string, value: string, values: readonly string[]): void => {
    if (!values.includes(value)) {
      throw new ArgumentError(`training: ${name} is ${JSON.stringify(value)}; expected ${values.join(' or ')}`);
    }
  };
  for (const key of Object.keys(stage)) {
    if (!(key in DEFAULT_STAGE)) {
      const known = Object.keys(DEFAULT_STAGE).join(', ');
      throw new ArgumentError(`training: unknown setting ${own(key)}; known are ${known}`);
    }
  }
  if (!/^[\w-]+$/.test(stage.name) || stages.filter(({ name }) => name === stage.name).length > 1) {
    throw new ArgumentError(
      `training: a stage is named ${JSON.stringify(stage.name)}; expected a name of its own, of letters, digits, - and _`,
    );
  }
  checkSetting(own('steps'), stage.steps, 1, 1e9, true);
  checkSetting(own('learningRate'), stage.learningRate, 1e-9, 1);
  for (const key of ['ssim', 'distance', 'cosface'] as const) checkSetting(own(key), stage[key], 0, 1e6);
  oneOf(own('quantization'), stage.quantization, ['noise', 'straightThrough', 'encoder']);
  oneOf(own('train'), stage.train, ['all', 'decoder']);
  if (stage.quantization === 'encoder' && stage.train === 'all') {
    throw new ArgumentError(`training: ${own('train')} is "all" with quantization "encoder"; expected "decoder"`);
  }
  oneOf(own('recognizer'), stage.recognizer, ['frozen', 'trained']);
  if (stage.recognizer === 'trained' && stage.cosface === 0) {
    throw new ArgumentError(`training: ${own('recognizer')} is trained, but cosface is 0, from which it would learn`);
  }
}

/** Whether any stage uses a recogniser. */
export const usesRecognizers = ({ stages }: Pick<JointSettings, 'stages'>): boolean =>
  stages.some(({ distance, cosface }) => distance > 0 || cosface > 0);

/** Steps of all stages together. */
export const totalSteps = ({ stages }: Pick<JointSettings, 'stages'>): number =>
  stages.reduce((sum, { steps }) => sum + steps, 0);

/** The stage that a step of the run belongs to, and the step's number within it. */
export function stageAt(
  config: Pick<JointSettings, 'stages'>,
  step: number,
): { index: number; stage: JointStage; step: number } {
  let first = 0;
  for (const [index, stage] of config.stages.entries()) {
    if (step < first + stage.steps || index === config.stages.length - 1) return { index, stage, step: step - first };
    first += stage.steps;
  }
  throw new ArgumentError('training: there is no stage');
}
