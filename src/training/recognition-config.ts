import { ArgumentError } from '../common/errors.js';
import { type Augmentation, DEFAULT_AUGMENTATION } from '../data/faces/batches.js';
import { checkDegradation, type Degradation, NO_DEGRADATION } from '../data/pictures/degrade.js';
import { type CameoFaceConfig, checkCameoFace, DEFAULT_CAMEO_FACE } from '../models/cameo-face.js';
import type { RecognizerDescription } from '../models/recognizer-file.js';
import { checkLossSpec, type LossSpec } from '../ops/margin-loss.js';
import { checkSetting } from './check-setting.js';
import { checkGenerated, countGenerated, type GeneratedCounts, NO_GENERATED } from './generated-faces.js';
import { MARGIN_NAMES, withNewNames } from './renamed-settings.js';

/** Everything that decides what a training run computes: saved with each checkpoint, and equal after a resume. */
export interface RecognitionTrainingConfig {
  /** The network. `model` has the sizes of a CameoFace; for a MobileFaceNet (128 values), only width and height are used. */
  architecture: 'cameo-face' | 'mobilefacenet';
  model: CameoFaceConfig;
  loss: LossSpec;
  /** Steps in which only the teacher counts. The loss on labels then rises to its full weight along with the margin. */
  labelStart: number;
  /** Steps over which the margin rises from 0 to its value. */
  marginWarmUpSteps: number;
  /** Scale of the logits in the first step, which changes linearly to the loss's scale over these steps; 0: the loss's from the start. */
  firstScale: number;
  /** Unsigned 32-bit integer: first weights, order and changes of pictures. */
  seed: number;
  steps: number;
  /** Faces with a label in a step. */
  batchSize: number;
  /** Unlabelled faces in a step, for the teacher alone. */
  unlabelledBatch: number;
  /** Generated faces in a step, for the teacher alone, and the numbers of generated faces they are drawn from. */
  generatedBatch: number;
  generated: GeneratedCounts;
  /** `muon`: Muon for the weights of dense layers and of convolutions without groups, AdamW for the rest. `adamw`: AdamW for all. */
  optimizer: 'adamw' | 'muon';
  /** Peak learning rate; linear warm-up, then half a cosine to a hundredth. */
  learningRate: number;
  warmUpSteps: number;
  /** Decoupled weight decay. */
  weightDecay: number;
  /** Global gradient norm above which gradients are scaled down. */
  clipNorm: number;
  /** True: all identities are drawn equally often, then one of the identity's faces. False: all faces are drawn equally often. */
  balanced: boolean;
  /** How often a face of a source is drawn; 1 for sources that are not named. Not together with `balanced`. */
  sourceWeights: Record<string, number>;
  augment: Augmentation;
  degrade: Degradation;
  /** Weight of 1 − cos(embedding, teacher's embedding) relative to the loss on labels; 0 without a teacher. */
  distillation: number;
  /** Views that the teacher embeds: 1, the face; 2, the face and its mirror image, whose embeddings are added. */
  teacherViews: 1 | 2;
  /** True: the weights of a class start as the mean of the teacher's embeddings of its faces; false: at random. */
  teacherClasses: boolean;
  /** Decay of the running average of the weights, which is what is validated and saved; 0: the last weights are. */
  averageDecay: number;
  /** True: the head `full` of a CameoFace keeps its values, such as those of `fitHead`, and the layers below it are trained. */
  fixedHead: boolean;
  /**
   * Weight of the distance between the maps of a MobileFaceNet and those of its teacher, another MobileFaceNet, after each part;
   * 0: maps are not compared. Above 0, the teacher looks at each face as it is flipped, turned and shifted, but before it is degraded.
   */
  hints: number;
  /** First steps, in which each part of the network takes the teacher's map before it, and so learns apart from the others. */
  teacherForcingSteps: number;
}

export const DEFAULT_RECOGNITION_TRAINING: RecognitionTrainingConfig = {
  architecture: 'cameo-face',
  model: DEFAULT_CAMEO_FACE,
  loss: { loss: 'cosface', scale: 30, margin: 0.35, lambda: 0 },
  labelStart: 0,
  marginWarmUpSteps: 500,
  firstScale: 0,
  seed: 1,
  steps: 4000,
  batchSize: 32,
  unlabelledBatch: 0,
  generatedBatch: 0,
  generated: NO_GENERATED,
  optimizer: 'adamw',
  learningRate: 2e-3,
  warmUpSteps: 100,
  weightDecay: 1e-3,
  clipNorm: 5,
  balanced: false,
  sourceWeights: {},
  augment: { ...DEFAULT_AUGMENTATION, shift: 3, brightness: 0.06, contrast: 0.12, rotate: 5 },
  degrade: NO_DEGRADATION,
  distillation: 0,
  teacherViews: 1,
  teacherClasses: false,
  averageDecay: 0,
  fixedHead: false,
  hints: 0,
  teacherForcingSteps: 0,
};

/** Settings as they are called now, of files and checkpoints of earlier versions, too. */
export const withNewLossNames = <T extends { loss?: object }>(settings: T): T =>
  settings.loss ? { ...settings, loss: withNewNames('training: loss', settings.loss, MARGIN_NAMES) } : settings;

/** @throws ArgumentError that names the value that is out of range */
export function checkRecognitionTraining(config: RecognitionTrainingConfig): RecognitionTrainingConfig {
  const check = (name: keyof RecognitionTrainingConfig, low: number, high: number, integer: boolean): void =>
    checkSetting(name, config[name], low, high, integer);
  check('seed', 0, 2 ** 32 - 1, true);
  check('steps', 1, 1e9, true);
  check('batchSize', 2, 4096, true);
  check('unlabelledBatch', 0, 4096, true);
  check('generatedBatch', 0, 4096, true);
  checkGenerated(config.generated);
  if (config.generatedBatch > 0 !== countGenerated(config.generated) > 0) {
    throw new ArgumentError(
      `training: generatedBatch is ${config.generatedBatch}, and there are ${countGenerated(config.generated)} generated faces; expected both above 0, or none`,
    );
  }
  if (config.generatedBatch > 0 && config.distillation === 0) {
    throw new ArgumentError('training: generatedBatch is above 0, but generated faces teach nothing without a teacher');
  }
  check('warmUpSteps', 0, 1e9, true);
  check('marginWarmUpSteps', 0, 1e9, true);
  check('firstScale', 0, 1e6, false);
  check('learningRate', 1e-9, 1, false);
  check('weightDecay', 0, 1, false);
  check('clipNorm', 1e-9, 1e9, false);
  check('distillation', 0, 1e6, false);
  check('labelStart', 0, 1e9, true);
  check('teacherViews', 1, 2, true);
  check('averageDecay', 0, 1, false);
  if (config.architecture !== 'cameo-face' && config.architecture !== 'mobilefacenet') {
    const given = JSON.stringify(config.architecture);
    throw new ArgumentError(`training: architecture is ${given}; expected "cameo-face" or "mobilefacenet"`);
  }
  if (config.optimizer !== 'adamw' && config.optimizer !== 'muon') {
    throw new ArgumentError(`training: optimizer is ${JSON.stringify(config.optimizer)}; expected "adamw" or "muon"`);
  }
  checkCameoFace(config.model);
  if (config.architecture === 'mobilefacenet' && config.model.dimension !== 128) {
    throw new ArgumentError(`training: model.dimension is ${config.model.dimension}; a MobileFaceNet has 128`);
  }
  if (config.fixedHead && (config.architecture !== 'cameo-face' || config.model.head !== 'full')) {
    throw new ArgumentError(
      'training: fixedHead is true, which needs the architecture "cameo-face" with the head "full"',
    );
  }
  checkHints(config);
  checkDegradation(config.degrade);
  checkLossSpec('training', config.loss);
  if (config.unlabelledBatch > 0 && config.distillation === 0) {
    throw new ArgumentError(
      'training: unlabelledBatch is above 0, but faces without labels teach nothing without a teacher',
    );
  }
  if (config.distillation === 0 && (config.labelStart > 0 || config.teacherClasses)) {
    const name = config.teacherClasses ? 'teacherClasses is true' : `labelStart is ${config.labelStart}`;
    throw new ArgumentError(`training: ${name}, which needs a teacher (distillation above 0)`);
  }
  if (config.balanced && Object.keys(config.sourceWeights).length > 0) {
    throw new ArgumentError('training: sourceWeights and balanced exclude each other; give one of them');
  }
  return config;
}

function checkHints({
  hints,
  teacherForcingSteps,
  architecture,
  distillation,
  ...config
}: RecognitionTrainingConfig): void {
  checkSetting('hints', hints, 0, 1e6);
  checkSetting('teacherForcingSteps', teacherForcingSteps, 0, 1e9, true);
  const refuse = (what: string): never => {
    throw new ArgumentError(`training: ${what}`);
  };
  if (hints > 0 && architecture !== 'mobilefacenet') {
    refuse(
      `hints is ${hints}, which needs the architecture "mobilefacenet"; this one is ${JSON.stringify(architecture)}`,
    );
  }
  if (hints > 0 && distillation === 0) refuse(`hints is ${hints}, which needs a teacher (distillation above 0)`);
  if (hints > 0 && config.teacherViews === 2) {
    refuse(`teacherViews is 2 and hints is ${hints}, with which the teacher looks at one view of a face`);
  }
  if (teacherForcingSteps > 0 && hints === 0) {
    refuse(`teacherForcingSteps is ${teacherForcingSteps}, which needs hints above 0`);
  }
  if (teacherForcingSteps > config.labelStart) {
    refuse(`teacherForcingSteps is ${teacherForcingSteps}; expected at most labelStart, ${config.labelStart}`);
  }
}

/** Faces in a step, of all kinds. */
export const facesInStep = (config: RecognitionTrainingConfig): number =>
  config.batchSize + config.unlabelledBatch + config.generatedBatch;

/** The network of a configuration, as its weights file describes it. */
export function recognizerOf({ architecture, model }: RecognitionTrainingConfig): RecognizerDescription {
  const { width, height } = model;
  return architecture === 'mobilefacenet' ? { architecture, width, height } : { architecture, ...model };
}
