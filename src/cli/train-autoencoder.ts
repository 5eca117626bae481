import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../training/autoencoder-config.js';
import { type AutoencoderValidation, validatedRates } from '../training/autoencoder-validation.js';
import { trainAutoencoder } from '../training/train-autoencoder.js';
import { autoencoderConfigOf, autoencoderTensors } from '../training/trained-autoencoder.js';
import { addShorthands, addStageOptions, type StageShorthands, type StageTrainingOptions } from './stage-settings.js';
import { heldOutPlots, runStageTraining } from './stage-training.js';
import { INTERRUPT_HELP } from './training-command.js';
import type { Renaming } from './training-settings.js';

/** Adds `autoencoder` to `cameo train`. */
export function addTrainAutoencoder(train: Command): void {
  const command = train
    .command('autoencoder')
    .description(
      'train the autoencoder whose faces are PNG files, alone and together with face recognisers that embed the restored faces',
    );
  addStageOptions(command, {
    out: 'out/autoencoder',
    config: 'models/paper-training.json',
    from: 'begin with the model or the checkpoint of another run, instead of new weights',
  }).addHelpText(
    'after',
    `\nExample: cameo train autoencoder --data faces --config models/paper-training.json -o out/autoencoder\n${INTERRUPT_HELP}`,
  );
  addShorthands(command, false);
  command.action(runTrainAutoencoder);
}

/** Settings of files for the training without stages. */
const EARLIER_SETTINGS = ['steps', 'learningRate', 'warmUpSteps', 'roundingShare'];

/** @throws ArgumentError for settings that stages have now */
const withStages: Renaming = (settings) => {
  const earlier = EARLIER_SETTINGS.find((name) => Object.hasOwn(settings, name));
  if (earlier === undefined) return settings;
  throw new ArgumentError(
    `${earlier} is a setting of the earlier training of the autoencoder; now it has stages, each with its steps and learningRate (see models/paper-training.json)`,
  );
};

/** The command, also where an older name of it is used. */
export async function runTrainAutoencoder(options: StageTrainingOptions & StageShorthands): Promise<void> {
  await runStageTraining<AutoencoderTrainingConfig, AutoencoderValidation>(options, {
    defaults: DEFAULT_AUTOENCODER_TRAINING,
    renamed: withStages,
    shorthands: options,
    configOf: autoencoderConfigOf,
    read: autoencoderTensors,
    train: trainAutoencoder,
    parameters: (count) => `${count} parameters,`,
    rateOf: ({ rate }) => `rate ${rate}`,
    sizeOf: ({ bytes }) => `PNG files of ${bytes.toFixed(0)} bytes`,
    plots: ({ model }) => [
      { title: 'Training loss', yLabel: 'loss', logY: true, lines: { loss: 'loss' } },
      ...heldOutPlots(
        'bytes of a PNG file',
        Object.fromEntries(validatedRates(model.rates).map((rate) => [`rate ${rate}`, String(rate)])),
      ),
    ],
  });
}
