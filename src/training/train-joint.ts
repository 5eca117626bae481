import { writeKlt } from '../codec/codec-weights.js';
import { DEFAULT_AUGMENTATION } from '../data/faces/batches.js';
import { KltAutoencoder } from '../models/klt-autoencoder.js';
import { checkTensors } from '../nn/host-tensor.js';
import { fitKlt } from './components/fit-klt.js';
import { checkJointTraining, type JointTrainingConfig } from './joint-config.js';
import { type JointTrainingOptions, runJointTraining, type TrainableCodec } from './joint-training.js';
import { type JointValidation, validateJoint } from './joint-validation.js';
import { kltTensors, TrainedKlt } from './trained-klt.js';
import type { TrainingResult } from './training-run.js';

/** Options of the codec's training: `from` is a model to begin with, instead of fitting principal components. */
export type TrainJointOptions = JointTrainingOptions<JointTrainingConfig, JointValidation>;

/** The column `quantizer` has the quantization index: logs of earlier runs call it so. */
export const JOINT_LOG_COLUMNS = [
  'step',
  'stage',
  'quantizer',
  'loss',
  'psnr',
  'bytes',
  'distance',
  'cosface',
  'learning_rate',
  'val_bytes_low',
  'val_psnr_low',
  'val_distance_low',
  'val_bytes_high',
  'val_psnr_high',
  'val_distance_high',
] as const;

const KLT: TrainableCodec<JointTrainingConfig, TrainedKlt, JointValidation> = {
  check: checkJointTraining,
  // Not shifted: the principal components are those of faces as the landmarks align them.
  augment: { ...DEFAULT_AUGMENTATION, shift: 0 },
  columns: JOINT_LOG_COLUMNS,
  read(file, config) {
    const tensors = kltTensors(file);
    checkTensors(tensors, new KltAutoencoder(config.model).entries(), 'the network');
    return tensors;
  },
  open: (gpu, config) => new TrainedKlt(gpu, config),
  /** The principal components take minutes. */
  begin: (gpu, { network }, { set, weights }, onProgress) => fitKlt(gpu, network, set, weights, onProgress),
  rowOf: ({ setting }) => ({ quantizer: setting }),
  validate: (gpu, { network }, recognizers, faces) => validateJoint(gpu, network, recognizers, faces),
  validationRow(validation) {
    const cells = validation.map(({ bytes, psnr, distance }, k) => {
      const rate = ['low', 'high'][k];
      return { [`val_bytes_${rate}`]: bytes, [`val_psnr_${rate}`]: psnr, [`val_distance_${rate}`]: distance };
    });
    return Object.assign({}, ...cells);
  },
  write: ({ model }, tensors, metadata) => writeKlt(model, tensors, metadata),
};

/**
 * Trains a codec by the stages of its configuration, alone and together with recognisers, as `runJointTraining` does. Without a
 * model to go on from, the principal components of the faces come first.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export const trainJoint = (options: TrainJointOptions): Promise<TrainingResult<JointValidation[]>> =>
  runJointTraining(options, KLT);
