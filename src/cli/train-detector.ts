import { resolve } from 'node:path';
import type { Command } from 'commander';
import { percent } from '../evaluation/reports/percent.js';
import { DEFAULT_DETECTOR_TRAINING, type DetectorTrainingConfig } from '../training/detector/config.js';
import { type DetectorStart, trainDetector } from '../training/detector/train-detector.js';
import { type DetectorStep, DetectorTrainer } from '../training/detector/trainer.js';
import type { DetectorValidation } from '../training/detector/validation.js';
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

const FORMAT = '{value}/{total}  loss {loss}  scores {scores}  places {places}  {speed} images/s  left {eta_formatted}';

export const LABELLED_PHOTOS_HELP =
  'folder with photos/ (and profiles/), or with a manifest.tsv: path, identity, split and faces as JSON, [score, x, y, width, height, five points] each (default: CAMEO_DATA, else ../shared/data)';

/** Adds `detector` to `cameo train`. */
export function addTrainDetector(train: Command): void {
  const command = train
    .command('detector')
    .description('train a face detector on photographs whose faces are known')
    .option('--data <dir>', LABELLED_PHOTOS_HELP);
  addNetworkOptions(command, {
    out: 'out/detector',
    batch: 'mosaics in a step',
    seed: 'seed of weights and mosaics',
    checkpoints: 'steps between checkpoints and validations',
    every: 500,
  })
    .addHelpText('after', `\nExample: cameo train detector --data data -o out/detector --steps 8000\n${INTERRUPT_HELP}`)
    .action(run);
}

async function run(options: NetworkTrainingOptions): Promise<void> {
  const config = await runSettings(options, {
    file: await settingsFile(options.config, DEFAULT_DETECTOR_TRAINING),
    defaults: DEFAULT_DETECTOR_TRAINING,
    given: networkSettings(options),
    configOf: DetectorTrainer.configOf,
  });
  say(`settings: ${JSON.stringify(config)}`);
  const data = dataFolder(options.data);
  await runTrainingCommand(options, displayOf(config), (shown) => trainDetector({ ...shown, config, data }));
}

/** Losses, and figures of held-out photographs. A network that finds no face yet has no error of landmarks. */
const PLOTS: readonly TrainingPlot[] = [
  {
    title: 'Training loss of a cell that sees a face',
    yLabel: 'loss',
    logY: true,
    lines: { scores: 'scores', 'boxes and landmarks': 'places' },
  },
  {
    title: 'Mosaics of held-out photographs',
    yLabel: 'share',
    lines: { recall: 'val_recall', 'false positives a mosaic': 'val_false_positives' },
  },
  { title: 'Error of landmarks', yLabel: 'in distances of the eyes', logY: true, lines: { landmarks: 'val_nme' } },
];

/** What a run says of its photographs. */
export const startedOnPhotos = ({ gpu, faces, parameters }: DetectorStart): string[] => [
  ...faces.unreadable.map(({ reason }) => `left out: ${reason}`),
  `${parameters} parameters; ${faces.faces} faces in ${faces.photos} photographs of ${resolve(faces.root)}, on ${gpu.description.description}`,
];

const displayOf = (
  config: DetectorTrainingConfig,
): TrainingDisplay<DetectorStart, DetectorStep, DetectorValidation | null> => ({
  steps: config.steps,
  batch: config.batchSize,
  format: FORMAT,
  started: startedOnPhotos,
  figures: ({ loss, scores, places }, smooth) => ({
    loss: smooth('loss', loss).toFixed(3),
    scores: smooth('scores', scores).toFixed(3),
    places: smooth('places', places).toFixed(3),
  }),
  validated: (validation) => {
    if (!validation) return [];
    const { recall, falsePositives, nme } = validation;
    return [
      `mosaics of held-out photographs: recall ${percent(recall, 1)}, ${falsePositives.toFixed(3)} false positives a mosaic, error of landmarks ${percent(nme, 2)} of the distance of the eyes`,
    ];
  },
  plot: { name: 'training.svg', plots: PLOTS },
  more: ' and best.safetensors',
});
