import { resolve } from 'node:path';
import type { Command } from 'commander';
import { percent } from '../evaluation/reports/percent.js';
import { DEFAULT_DETECTOR_TRAINING, type DetectorTrainingConfig } from '../training/detector/config.js';
import { type DetectorStart, trainDetector } from '../training/detector/train-detector.js';
import { type DetectorStep, DetectorTrainer } from '../training/detector/trainer.js';
import type { DetectorValidation } from '../training/detector/validation.js';
import type { TrainingLog } from '../training/training-log.js';
import { dataFolder } from './places.js';
import { say } from './terminal.js';
import { INTERRUPT_HELP, runTrainingCommand, stackedPlots, type TrainingDisplay } from './training-command.js';
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
    batch: 'mosaics a step',
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
  plot: { name: 'training.svg', draw: trainingPlot },
  more: ' and best.safetensors',
});

/** Losses, and figures of held-out photographs, over the steps. */
function trainingPlot(log: TrainingLog): string {
  const series = (name: string, column: string, markers = false) => ({ name, points: log.series(column), markers });
  const plots = [
    {
      title: 'Training loss of a cell that sees a face',
      xLabel: 'step',
      yLabel: 'loss',
      logY: true,
      series: [series('scores', 'scores'), series('boxes and landmarks', 'places')],
    },
  ];
  if (log.series('val_recall').length > 0) {
    const shares = [
      series('recall', 'val_recall', true),
      series('false positives a mosaic', 'val_false_positives', true),
    ];
    const nme = [series('landmarks', 'val_nme', true)];
    plots.push({
      title: 'Mosaics of held-out photographs',
      xLabel: 'step',
      yLabel: 'share',
      logY: false,
      series: shares,
    });
    // A network that finds no face yet has no error of landmarks.
    if (nme[0].points.length > 0) {
      plots.push({
        title: 'Error of landmarks',
        xLabel: 'step',
        yLabel: 'in distances of the eyes',
        logY: true,
        series: nme,
      });
    }
  }
  return stackedPlots(plots);
}
