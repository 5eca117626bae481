import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../training/autoencoder-config.js';
import { type AutoencoderStep, AutoencoderTrainer } from '../training/autoencoder-trainer.js';
import type { AutoencoderValidation } from '../training/autoencoder-validation.js';
import { trainAutoencoder } from '../training/train-autoencoder.js';
import type { TrainingStart } from '../training/training-run.js';
import { DETECTOR_HELP } from './face-options.js';
import { dataFolder } from './places.js';
import { say } from './terminal.js';
import { INTERRUPT_HELP, runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';
import {
  addNetworkOptions,
  type NetworkTrainingOptions,
  networkSettings,
  runSettings,
  settingsFile,
} from './training-settings.js';

const FORMAT = '{value}/{total}  loss {loss}  PSNR {psnr} dB  ~{bytes} B  {speed} images/s  left {eta_formatted}';

/** Adds `autoencoder` to `cameo train`. */
export function addTrainAutoencoder(train: Command): void {
  const command = train
    .command('autoencoder')
    .description('train the autoencoder whose faces are PNG files, on a folder of aligned 96×112 faces')
    .option('--data <dir>', 'folder of faces (default: CAMEO_DATA, else ../shared/data)')
    .option('--detector <file>', DETECTOR_HELP);
  addNetworkOptions(command, {
    out: 'out/autoencoder',
    batch: 'faces in a step',
    seed: 'seed of weights, order, augmentation and noise',
    checkpoints: 'steps between checkpoints',
    every: 200,
  })
    .addHelpText(
      'after',
      `\nExample: cameo train autoencoder --data faces -o out/autoencoder --steps 20000\n${INTERRUPT_HELP}`,
    )
    .action(runTrainAutoencoder);
}

async function settings(options: NetworkTrainingOptions): Promise<AutoencoderTrainingConfig> {
  return runSettings(options, {
    file: await settingsFile(options.config, DEFAULT_AUTOENCODER_TRAINING),
    defaults: DEFAULT_AUTOENCODER_TRAINING,
    given: networkSettings(options),
    configOf: AutoencoderTrainer.configOf,
  });
}

/** The command, also where an older name of it is used. */
export async function runTrainAutoencoder(options: NetworkTrainingOptions): Promise<void> {
  const data = dataFolder(options.data);
  const config = await settings(options);
  say(`settings: ${JSON.stringify(config)}`);
  await runTrainingCommand(options, displayOf(config), (shown) => trainAutoencoder({ ...shown, config, data }));
}

function displayOf(
  config: AutoencoderTrainingConfig,
): TrainingDisplay<TrainingStart, AutoencoderStep, AutoencoderValidation[]> {
  const { rates } = config.model;
  const psnrs: number[] = new Array(rates).fill(0);
  const sizes: number[] = new Array(rates).fill(0);
  return {
    steps: config.steps,
    batch: config.batchSize,
    format: FORMAT,
    started: ({ parameters, faces, gpu }) => [
      `${parameters} parameters, ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
    ],
    figures: ({ rate, loss, psnr, bytes }, smooth) => {
      psnrs[rate] = psnr;
      sizes[rate] = bytes;
      return {
        loss: smooth('loss', loss).toFixed(4),
        psnr: psnrs.map((value) => value.toFixed(1)).join('/'),
        bytes: sizes.map((value) => value.toFixed(0)).join('/'),
      };
    },
    plot: { name: 'loss.svg', plots: plotsOf(rates) },
  };
}

/** Training loss and validation PSNR. */
const plotsOf = (rates: number): readonly TrainingPlot[] => [
  { title: 'Training loss', yLabel: 'loss', logY: true, lines: { loss: 'loss' } },
  {
    title: 'Validation',
    yLabel: 'PSNR, dB',
    lines: Object.fromEntries(
      Array.from({ length: rates }, (_, rate) => [`validation PSNR at rate ${rate}, dB`, `val_psnr_${rate}`]),
    ),
  },
];
