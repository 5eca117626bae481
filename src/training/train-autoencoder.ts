import type { OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { DEFAULT_AUGMENTATION } from '../data/faces/batches.js';
import { Autoencoder } from '../models/autoencoder.js';
import { writeAutoencoder } from '../models/model-file.js';
import { checkTensors } from '../nn/host-tensor.js';
import { type AutoencoderTrainingConfig, checkAutoencoderTraining } from './autoencoder-config.js';
import { type AutoencoderValidation, validateAutoencoder, validatedRates } from './autoencoder-validation.js';
import { fitAutoencoder } from './components/fit-autoencoder.js';
import { type JointTrainingOptions, runJointTraining, type TrainableCodec } from './joint-training.js';
import { sortChannels } from './sort-channels.js';
import { autoencoderTensors, TrainedAutoencoder } from './trained-autoencoder.js';
import type { TrainingResult } from './training-run.js';

export interface TrainAutoencoderOptions
  extends Omit<JointTrainingOptions<AutoencoderTrainingConfig, AutoencoderValidation>, 'recognizers'> {
  /** Recognisers of the loss, in evaluation mode; the first one has the CosFace term. */
  recognizers?: readonly OpenRecognizer[];
}

/** `validation` has an element for each rate that is tried; none where there are no validation faces. */
export type TrainAutoencoderResult = TrainingResult<AutoencoderValidation[]>;

/** Columns of log.csv; the validation columns are filled on the rows of checkpoints. */
export function autoencoderLogColumns(rates: number): string[] {
  const validation = validatedRates(rates).flatMap((r) => [`val_psnr_${r}`, `val_bytes_${r}`, `val_distance_${r}`]);
  const step = ['step', 'stage', 'rate', 'loss', 'psnr', 'bytes', 'distance', 'cosface'];
  return [...step, 'rate_weight', 'learning_rate', ...validation];
}

const autoencoder = (
  rates: number,
): TrainableCodec<AutoencoderTrainingConfig, TrainedAutoencoder, AutoencoderValidation> => ({
  check: checkAutoencoderTraining,
  // Not shifted: the map has a mean for each position, and linear layers are those of faces as the landmarks align them.
  augment: { ...DEFAULT_AUGMENTATION, shift: 0 },
  columns: autoencoderLogColumns(rates),
  read(file, { model }) {
    const tensors = autoencoderTensors(file);
    checkTensors(tensors, new Autoencoder(model).entries(), 'the network');
    return tensors;
  },
  open: (gpu, config) => new TrainedAutoencoder(gpu, config),
  begin: (gpu, codec, { set, weights, recognizers }, onProgress) =>
    fitAutoencoder(gpu, codec, set, weights, recognizers, onProgress),
  loaded: (codec) => codec.weighRates(),
  rowOf: ({ setting }, codec) => ({ rate: setting, rate_weight: codec.rateWeight(setting) }),
  validate: (gpu, { network }, recognizers, faces) => validateAutoencoder(gpu, network, recognizers, faces),
  validationRow(validation) {
    const cells = validation.map(({ rate, psnr, bytes, distance }) => ({
      [`val_psnr_${rate}`]: psnr,
      [`val_bytes_${rate}`]: bytes,
      [`val_distance_${rate}`]: distance,
    }));
    return Object.assign({}, ...cells);
  },
  write: ({ model }, tensors, metadata) => writeAutoencoder(model, sortChannels(model, tensors), metadata),
});

/**
 * Trains the autoencoder by the stages of its configuration, alone and together with recognisers, on a folder of faces. Checkpoints
 * (every 200 steps, where the options do not say), log and the model after each stage are in `out`. The channels of written models are sorted (`sortChannels`). Where
 * the network has linear layers (`global`), a run without a model to begin with first computes them (`fitGlobalLayers`). A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export const trainAutoencoder = (options: TrainAutoencoderOptions): Promise<TrainAutoencoderResult> =>
  runJointTraining({ ...options, recognizers: options.recognizers ?? [] }, autoencoder(options.config.model.rates));
