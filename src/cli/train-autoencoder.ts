import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { readAutoencoder } from '../models/model-file.js';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../training/autoencoder-config.js';
import { type AutoencoderValidation, validatedRates } from '../training/autoencoder-validation.js';
import { totalSteps } from '../training/joint-config.js';
import type { JointStep } from '../training/joint-trainer.js';
import { trainAutoencoder } from '../training/train-autoencoder.js';
import { autoencoderConfigOf } from '../training/trained-autoencoder.js';
import type { TrainingStart } from '../training/training-run.js';
import { dataFolder } from './places.js';
import {
  addStageOptions,
  type StageTrainingOptions,
  stageRecognizers,
  stageSettings,
  startingModel,
} from './stage-settings.js';
import { say } from './terminal.js';
import { INTERRUPT_HELP, runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';
import { number, type Renaming } from './training-settings.js';

/** Options that this command had before its training had stages; each is refused by name. */
export interface RefusedOptions {
  steps?: number;
  batch?: number;
  seed?: number;
  lr?: number;
}

const FORMAT =
  '{value}/{total}  {stage}  {psnr} dB  {bytes} bytes  distance {distance}  {speed} images/s  left {eta_formatted}';

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
    from: 'begin with the model of another run, instead of random weights',
  }).addHelpText(
    'after',
    `\nExample: cameo train autoencoder --data faces --config models/paper-training.json -o out/autoencoder\n${INTERRUPT_HELP}`,
  );
  addRefusedOptions(command);
  command.action(runTrainAutoencoder);
}

/** Lets a command know the options that are refused, so that the message can say what to do instead. */
export function addRefusedOptions(command: Command): void {
  for (const flags of ['--steps <n>', '--batch <n>', '--seed <n>', '--lr <x>']) {
    command.addOption(new Option(flags).argParser(number).hideHelp());
  }
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
export async function runTrainAutoencoder(options: StageTrainingOptions & RefusedOptions): Promise<void> {
  const refused = (['steps', 'batch', 'seed', 'lr'] as const).find((name) => options[name] !== undefined);
  if (refused) {
    throw new ArgumentError(
      `--${refused} ${options[refused]}: a setting of --config since the training has stages (see models/paper-training.json)`,
    );
  }
  const data = dataFolder(options.data);
  const source = { defaults: DEFAULT_AUTOENCODER_TRAINING, renamed: withStages, configOf: autoencoderConfigOf };
  const config = await stageSettings(options, source);
  const from = await startingModel(options, readAutoencoder);
  say(`settings: ${JSON.stringify(config)}`);
  const recognizers = await stageRecognizers(options, config, data);
  await runTrainingCommand(options, displayOf(config), (shown) =>
    trainAutoencoder({ ...shown, config, data, from, recognizers }).finally(() => {
      for (const one of recognizers) one.dispose();
    }),
  );
}

const displayOf = (
  config: AutoencoderTrainingConfig,
): TrainingDisplay<TrainingStart, JointStep, AutoencoderValidation[]> => ({
  steps: totalSteps(config),
  batch: config.batchSize,
  format: FORMAT,
  started: ({ parameters, faces, gpu }) => [
    `${parameters} parameters, ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
  ],
  figures: ({ stage, psnr, bytes, distance }, smooth) => ({
    stage,
    psnr: smooth('psnr', psnr).toFixed(2),
    bytes: smooth('bytes', bytes).toFixed(0),
    distance: smooth('distance', distance).toFixed(3),
  }),
  validated: (validation) =>
    validation.map(({ rate, psnr, bytes, distance }) => {
      const apart = Number.isNaN(distance) ? '' : `, distance ${distance.toFixed(4)}`;
      return `held-out faces at rate ${rate}: ${psnr.toFixed(2)} dB, PNG files of ${bytes.toFixed(0)} bytes${apart}`;
    }),
  plot: { name: 'training.svg', plots: plotsOf(config.model.rates) },
});

/** Training loss, and what held-out faces lose. */
function plotsOf(rates: number): readonly TrainingPlot[] {
  const ofHeldOut = (title: string, yLabel: string, column: string): TrainingPlot => ({
    title: `Held-out faces: ${title}`,
    yLabel,
    lines: Object.fromEntries(validatedRates(rates).map((rate) => [`rate ${rate}`, `val_${column}_${rate}`])),
  });
  return [
    { title: 'Training loss', yLabel: 'loss', logY: true, lines: { loss: 'loss' } },
    ofHeldOut('PSNR', 'dB', 'psnr'),
    ofHeldOut('distance of embeddings', '1 − cos', 'distance'),
    ofHeldOut('bytes of a PNG file', 'bytes', 'bytes'),
  ];
}
