import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { labelReportText } from '../data/faces/identity-set.js';
import { percent } from '../evaluation/reports/percent.js';
import type { Gpu } from '../gpu/gpu.js';
import type { KltAutoencoder } from '../models/klt-autoencoder.js';
import { loadKlt } from '../models/klt-file.js';
import { LOSSES, type LossSpec } from '../ops/margin-loss.js';
import {
  DEFAULT_RECOGNITION_TRAINING,
  facesInStep,
  type RecognitionTrainingConfig,
  withNewLossNames,
} from '../training/recognition-config.js';
import { type RecognitionStep, RecognitionTrainer } from '../training/recognition-trainer.js';
import type { RecognitionValidation } from '../training/recognition-validation.js';
import { checkTeacher } from '../training/teacher-targets.js';
import { type RecognitionStart, trainRecognition } from '../training/train-recognition.js';
import { DETECTOR_HELP } from './face-options.js';
import { integer, number } from './numbers.js';
import { refuseInput } from './outputs.js';
import { dataFolder, embeddingsFile, recognizerPlaces } from './places.js';
import { say } from './terminal.js';
import { INTERRUPT_HELP, runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';
import {
  type NetworkTrainingOptions,
  networkSettings,
  RESUME_HELP,
  runSettings,
  STEPS_HELP,
  settingsFile,
} from './training-settings.js';
import { readGeneratorWeights } from './weights.js';

interface TrainRecognitionCommand extends NetworkTrainingOptions {
  sources?: string;
  loss?: LossSpec['loss'];
  scale?: number;
  margin?: number;
  s?: number;
  m?: number;
  balanced?: boolean;
  from?: string;
  teacher?: string;
  distillation?: number;
  unlabelled?: number;
  validateOn?: string;
}

/** Margins usual for each loss. */
export const DEFAULT_MARGINS: Record<LossSpec['loss'], Omit<LossSpec, 'loss'>> = {
  cosface: { scale: 30, margin: 0.35, lambda: 0 },
  arcface: { scale: 30, margin: 0.5, lambda: 0 },
  sphereface: { scale: 1, margin: 4, lambda: 5 },
  normface: { scale: 30, margin: 0, lambda: 0 },
  softmax: { scale: 1, margin: 0, lambda: 0 },
};

const FORMAT = '{value}/{total}  loss {loss}  teacher {distance}  {speed} images/s  left {eta_formatted}';

/** Adds `recognition` to `cameo train`. */
export function addTrainRecognition(train: Command): void {
  train
    .command('recognition')
    .description('train a face recogniser on a folder of aligned 96×112 faces with identities')
    .option(
      '--data <dir>',
      'folder with a manifest.tsv, or with a folder for each identity (default: CAMEO_DATA, else ../shared/data)',
    )
    .option('--sources <names>', 'use only these sources of the manifest, separated by commas')
    .option('--detector <file>', DETECTOR_HELP)
    .option('-o, --out <dir>', 'folder for checkpoint, log, plot and models', 'out/recognition')
    .option('--config <file>', 'JSON file with any of the settings that the run prints')
    .addOption(new Option('--loss <name>', 'loss on the labels').choices(LOSSES))
    .option('--scale <x>', 'scale of the logits', number)
    .option(
      '--margin <x>',
      'margin, as a cosine (cosface), in radians (arcface), or as a factor of 1 to 4 (sphereface)',
      number,
    )
    .addOption(new Option('--s <x>').argParser(number).hideHelp())
    .addOption(new Option('--m <x>').argParser(number).hideHelp())
    .option('--steps <n>', STEPS_HELP, number)
    .option('--batch <n>', 'labelled faces in a step', number)
    .option('--seed <n>', 'seed of the weights, the order, and the changes to pictures', number)
    .option('--lr <x>', 'peak learning rate', number)
    .option('--balanced', 'draw all identities equally often')
    .option(
      '--from <name>',
      'begin with the weights of this recogniser (a name or a safetensors file) instead of random ones; architecture and sizes have to be those of the settings',
    )
    .option(
      '--teacher <name>',
      'also learn the embeddings of this recogniser (a name, a safetensors file, or FILE.onnx)',
    )
    .option('--distillation <x>', 'weight of the distance to the teacher (default: 10 with a teacher)', number)
    .option('--unlabelled <n>', 'unlabelled faces in a step, for the teacher only', number)
    .option('--validate-on <names>', 'sources of the faces for validation (default: as --sources)')
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations (default: one epoch)', integer(1))
    .option('--resume', RESUME_HELP)
    .addHelpText(
      'after',
      `\nExample: cameo train recognition --data faces --loss cosface --margin 0.35 -o out/recognition\n${INTERRUPT_HELP}`,
    )
    .action(run);
}

/** What a file may set: the defaults leave out what is not written where it is not given. */
const KNOWN_SETTINGS: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  model: { ...DEFAULT_RECOGNITION_TRAINING.model, head: 'depthwise' },
};

async function settings(options: TrainRecognitionCommand): Promise<RecognitionTrainingConfig> {
  const file = await settingsFile(options.config, KNOWN_SETTINGS, withNewLossNames);
  // --loss takes the place of the file's whole loss.
  if (options.loss) delete file.loss;
  const loss = options.loss ?? file.loss?.loss ?? DEFAULT_RECOGNITION_TRAINING.loss.loss;
  const config = await runSettings(options, {
    file,
    defaults: { ...DEFAULT_RECOGNITION_TRAINING, loss: { loss, ...DEFAULT_MARGINS[loss] } },
    given: [
      { said: '--loss', setting: 'loss.loss', value: options.loss },
      { said: '--s', setting: 'loss.scale', value: options.s },
      { said: '--m', setting: 'loss.margin', value: options.m },
      { said: '--scale', setting: 'loss.scale', value: options.scale },
      { said: '--margin', setting: 'loss.margin', value: options.margin },
      ...networkSettings(options),
      { said: '--balanced', setting: 'balanced', value: options.balanced },
      { said: '--distillation', setting: 'distillation', value: options.distillation },
      { said: '--unlabelled', setting: 'unlabelledBatch', value: options.unlabelled },
    ],
    configOf: RecognitionTrainer.configOf,
  });
  const unsaid = options.distillation === undefined && !options.resume;
  return options.teacher && unsaid && !config.distillation ? { ...config, distillation: 10 } : config;
}

async function run(options: TrainRecognitionCommand): Promise<void> {
  const data = dataFolder(options.data);
  const config = await settings(options);
  say(`settings: ${JSON.stringify(config)}`);
  const read = async (name: string | undefined) => (name ? readRecognizerOf(name, recognizerPlaces(data)) : undefined);
  const [teacher, from] = [await read(options.teacher), await read(options.from)];
  if (teacher) checkTeacher(teacher, config.model.dimension);
  for (const name of ['model', 'best']) {
    await refuseInput(join(options.out, `${name}.safetensors`), [options.teacher, options.from]);
  }
  const shipped = config.generatedBatch > 0 ? await readGeneratorWeights() : undefined;
  let made: KltAutoencoder | undefined;
  const codec = shipped && { id: shipped.modelId, model: (gpu: Gpu) => (made = loadKlt(gpu, shipped.file)) };
  await runTrainingCommand(options, displayOf(config), (shown) =>
    trainRecognition({
      ...shown,
      config,
      data,
      sources: options.sources?.split(','),
      validationSources: options.validateOn?.split(','),
      from,
      teacher,
      codec,
      embeddings: teacher && embeddingsFile(teacher.modelId),
    }).finally(() => {
      teacher?.dispose();
      made?.dispose();
    }),
  );
}

type RecognitionDisplay = TrainingDisplay<RecognitionStart, RecognitionStep, RecognitionValidation | null>;

/** Losses, and figures of the held-out identities. */
const PLOTS: readonly TrainingPlot[] = [
  { title: 'Training loss on labels', yLabel: 'loss, nats', lines: { loss: 'classification' } },
  {
    title: 'Held-out identities',
    yLabel: 'share of pairs',
    lines: { 'TAR at FAR 1e-3': 'val_tar_3', 'TAR at FAR 1e-2': 'val_tar_2', accuracy: 'val_accuracy' },
  },
  {
    title: 'Distance to the teacher',
    yLabel: '1 − cosine',
    lines: { 'training, degraded faces': 'distance', 'held-out faces': 'val_distance' },
  },
];

const displayOf = (config: RecognitionTrainingConfig): RecognitionDisplay => ({
  steps: config.steps,
  batch: facesInStep(config),
  format: FORMAT,
  started: ({ gpu, faces, labelling, parameters }) => {
    const { identities, labelled, unlabelled, report } = labelling;
    return [
      ...labelReportText(report),
      `${parameters} parameters; ${labelled.length} faces of ${identities.length} identities and ${unlabelled.length} without label of ${resolve(faces.root)}, on ${gpu.description.description}`,
    ];
  },
  figures: ({ classification, distance }, smooth) => ({
    loss: smooth('loss', classification).toFixed(3),
    distance: config.distillation > 0 ? smooth('distance', distance).toFixed(3) : '-',
  }),
  validated: (validation) => {
    if (!validation) return [];
    const { tar3, tar2, accuracy, distance } = validation;
    const far = distance !== undefined ? `, distance to the teacher ${distance.toFixed(3)}` : '';
    return [
      `held-out identities: TAR ${percent(tar3, 1)} at FAR 1e-3, ${percent(tar2, 1)} at 1e-2, accuracy ${percent(accuracy, 1)}${far}`,
    ];
  },
  plot: { name: 'training.svg', plots: PLOTS },
  more: ' and best.safetensors',
});
