import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { percent } from '../evaluation/reports/percent.js';
import { DEFAULT_LANDMARK_TRAINING, type LandmarkTrainingConfig } from '../training/detector/landmark-config.js';
import {
  type LandmarkStart,
  type LandmarkStep,
  LandmarkTrainer,
  type LandmarkValidation,
  trainLandmarks,
} from '../training/detector/train-landmarks.js';
import { readDetector } from './detector-file.js';
import { dataFolder } from './places.js';
import { say } from './terminal.js';
import { LABELLED_PHOTOS_HELP, startedOnPhotos } from './train-detector.js';
import { INTERRUPT_HELP, runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';
import {
  addNetworkOptions,
  type NetworkTrainingOptions,
  networkSettings,
  runSettings,
  settingsFile,
} from './training-settings.js';

interface TrainLandmarksCommand extends NetworkTrainingOptions {
  teacher?: string;
  from?: string;
}

const FORMAT = '{value}/{total}  loss {loss}  {speed} crops/s  left {eta_formatted}';

/** Adds `landmarks` to `cameo train`. */
export function addTrainLandmarks(train: Command): void {
  const command = train
    .command('landmarks')
    .description("train the network that places a detector's landmarks, from a crop of each face")
    .option('--data <dir>', LABELLED_PHOTOS_HELP)
    .option(
      '--detector <file>',
      'the detector to which the network is added (default: CAMEO_DETECTOR, else the shipped one)',
    )
    .option('--teacher <file>', 'another detector; the network learns its landmarks instead of those of the data')
    .option('--from <file>', 'a detector with such a network, whose weights a new run begins with');
  addNetworkOptions(command, {
    out: 'out/landmarks',
    batch: 'crops in a step',
    seed: 'seed of weights and crops',
    checkpoints: 'steps between checkpoints and validations',
    every: 500,
  })
    .addHelpText(
      'after',
      `\nExample: cameo train landmarks --detector out/detector/model.safetensors --data data -o out/landmarks\n${INTERRUPT_HELP}`,
    )
    .action(trainByCommand);
}

async function trainByCommand(options: TrainLandmarksCommand): Promise<void> {
  const config = await runSettings(options, {
    file: await settingsFile(options.config, DEFAULT_LANDMARK_TRAINING),
    defaults: DEFAULT_LANDMARK_TRAINING,
    given: networkSettings(options),
    configOf: LandmarkTrainer.configOf,
  });
  // Unlike in other trainings, the detector does not find the faces of a folder here.
  const { detector, teacher, from, ...run } = options;
  const weightsOf = async (file?: string) => {
    const { path, bytes, onnx } = await readDetector(file);
    if (onnx) throw new ArgumentError(`${path}: this training takes no detector of an ONNX file`);
    return bytes;
  };
  const ifGiven = (file?: string) => (file === undefined ? undefined : weightsOf(file));
  const weights = { detector: await weightsOf(detector), teacher: await ifGiven(teacher), from: await ifGiven(from) };
  say(`settings: ${JSON.stringify(config)}`);
  const data = dataFolder(options.data);
  await runTrainingCommand(run, displayOf(config), (shown) => trainLandmarks({ ...shown, config, data, ...weights }));
}

/** The loss, and the error on held-out photographs. */
const PLOTS: readonly TrainingPlot[] = [
  { title: 'Training loss', yLabel: 'loss', logY: true, lines: { landmarks: 'loss' } },
  {
    title: 'Error of landmarks, crops of held-out photographs',
    yLabel: 'in distances of the eyes',
    logY: true,
    lines: { landmarks: 'val_nme' },
  },
];

const displayOf = (
  config: LandmarkTrainingConfig,
): TrainingDisplay<LandmarkStart, LandmarkStep, LandmarkValidation | null> => ({
  steps: config.steps,
  batch: config.batchSize,
  format: FORMAT,
  started: startedOnPhotos,
  figures: ({ loss }, smooth) => ({ loss: smooth('loss', loss).toFixed(4) }),
  validated: (validation) => {
    if (!validation) return [];
    return [
      `crops of held-out photographs: error of landmarks ${percent(validation.nme, 2)} of the distance of the eyes`,
    ];
  },
  plot: { name: 'training.svg', plots: PLOTS },
  more: ' and best.safetensors',
});
