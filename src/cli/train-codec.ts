import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { isJsonObject, readJsonObject } from '../data/files/read-file.js';
import { DEFAULT_AUTOENCODER_TRAINING } from '../training/autoencoder-config.js';
import { isCheckpointOf } from '../training/checkpoint.js';
import { DEFAULT_JOINT_TRAINING, type JointTrainingConfig, withNewJointNames } from '../training/joint-config.js';
import type { JointValidation } from '../training/joint-validation.js';
import { trainJoint } from '../training/train-joint.js';
import { EARLIER_AUTOENCODER_KEY } from '../training/trained-autoencoder.js';
import { kltConfigOf, kltTensors } from '../training/trained-klt.js';
import { readCheckpoint } from '../training/training-run.js';
import { addShorthands, addStageOptions, type StageShorthands, type StageTrainingOptions } from './stage-settings.js';
import { heldOutPlots, runStageTraining } from './stage-training.js';
import { note } from './terminal.js';
import { runTrainAutoencoder } from './train-autoencoder.js';
import { INTERRUPT_HELP } from './training-command.js';
import { checkpointOf } from './training-settings.js';

type TrainCodecCommand = StageTrainingOptions & StageShorthands;

/** Adds `codec` to `cameo train`, and `joint`, as it was called before. */
export function addTrainCodec(train: Command): void {
  const codec = withOptions(train.command('codec'), 'out/codec');
  addShorthands(codec, true);
  codec.action(async (options: TrainCodecCommand) => {
    if (!(await meansAutoencoder(options))) return run(options);
    note('train codec with these options is now called train autoencoder');
    return runTrainAutoencoder(options);
  });
  withOptions(train.command('joint', { hidden: true }), 'out/joint').action(async (options: TrainCodecCommand) => {
    note('train joint is now called train codec');
    return run(options);
  });
}

/** @param out the default folder of a run */
function withOptions(command: Command, out: string): Command {
  command.description(
    'train the codec for byte budgets, alone and together with face recognisers that embed the restored faces',
  );
  return addStageOptions(command, {
    out,
    config: 'models/face-training.json',
    from: 'begin with the model or the checkpoint of another run, instead of fitting principal components',
  }).addHelpText(
    'after',
    `\nExample: cameo train codec --config models/face-training.json -o out/codec\n${INTERRUPT_HELP}`,
  );
}

/**
 * Whether options, --config or the checkpoint are those of the autoencoder, which `train codec` trained before.
 * @throws ArgumentError if others are the codec's
 */
async function meansAutoencoder(options: TrainCodecCommand): Promise<boolean> {
  const { steps, batch, seed, lr, config, resume, out, from, recognizers } = options;
  const given = [steps, batch, seed, lr].some((value) => value !== undefined);
  if (given && (from !== undefined || recognizers !== undefined)) {
    throw new ArgumentError('train codec: --steps, --batch, --seed and --lr are settings of --config');
  }
  if (given) return true;
  if (from !== undefined || recognizers !== undefined) return false;
  if (config && onlyAutoencoderHas(await readJsonObject(config))) return true;
  if (!resume) return false;
  return isCheckpointOf({ key: EARLIER_AUTOENCODER_KEY }, await readCheckpoint(checkpointOf(out, resume)));
}

/** Whether settings are of the autoencoder alone. The codec's `steps` are a list: quantization indices. */
function onlyAutoencoderHas(file: Record<string, unknown>): boolean {
  const only = (own: object, other: object, settings: object): boolean =>
    Object.keys(settings).some((key) => Object.hasOwn(own, key) && !Object.hasOwn(other, key));
  return (
    typeof file.steps === 'number' ||
    only(DEFAULT_AUTOENCODER_TRAINING, DEFAULT_JOINT_TRAINING, file) ||
    (isJsonObject(file.model) && only(DEFAULT_AUTOENCODER_TRAINING.model, DEFAULT_JOINT_TRAINING.model, file.model))
  );
}

const run = (options: TrainCodecCommand): Promise<void> =>
  runStageTraining<JointTrainingConfig, JointValidation>(options, {
    defaults: DEFAULT_JOINT_TRAINING,
    renamed: withNewJointNames,
    configOf: kltConfigOf,
    read: kltTensors,
    train: trainJoint,
    parameters: (count) => `${count} parameters;`,
    rateOf: ({ qIndex }) => `index ${qIndex}`,
    sizeOf: ({ bytes }) => `${bytes.toFixed(0)} bytes`,
    plots: () => [
      { title: 'Training loss', yLabel: 'loss', lines: { loss: 'loss' } },
      ...heldOutPlots('estimated bytes', { 'low rate': 'low', 'high rate': 'high' }),
    ],
  });
