import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { readKlt } from '../codec/codec-weights.js';
import { ArgumentError } from '../common/errors.js';
import { type ReadRecognizer, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { isJsonObject, readJsonObject } from '../data/files/read-file.js';
import { DEFAULT_AUTOENCODER_TRAINING } from '../training/autoencoder-config.js';
import { AutoencoderTrainer } from '../training/autoencoder-trainer.js';
import {
  DEFAULT_JOINT_TRAINING,
  DEFAULT_STAGE,
  type JointTrainingConfig,
  totalSteps,
  usesRecognizers,
  withNewJointNames,
} from '../training/joint-config.js';
import type { JointStep } from '../training/joint-trainer.js';
import type { JointValidation } from '../training/joint-validation.js';
import { trainJoint } from '../training/train-joint.js';
import { kltConfigOf } from '../training/trained-klt.js';
import { readCheckpoint, type TrainingStart } from '../training/training-run.js';
import { DETECTOR_HELP } from './face-options.js';
import { refuseInput } from './outputs.js';
import { dataFolder, recognizerPlaces } from './places.js';
import { note, say } from './terminal.js';
import { runTrainAutoencoder } from './train-autoencoder.js';
import { INTERRUPT_HELP, runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';
import { checkpointOf, merged, type NetworkTrainingOptions, number, settingsFile } from './training-settings.js';

interface TrainCodecCommand extends NetworkTrainingOptions {
  recognizers?: string;
  from?: string;
}

/** The default recogniser for the loss. */
const RECOGNIZER = 'mobilefacenet-casia';

const FORMAT =
  '{value}/{total}  {stage}  {psnr} dB  {bytes} bytes  distance {distance}  {speed} images/s  left {eta_formatted}';

/** Adds `codec` to `cameo train`, and `joint`, as it was called before. */
export function addTrainCodec(train: Command): void {
  const codec = withOptions(train.command('codec'), 'out/codec');
  for (const flags of ['--steps <n>', '--batch <n>', '--seed <n>', '--lr <x>']) {
    codec.addOption(new Option(flags).argParser(number).hideHelp());
  }
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
  return command
    .description(
      'train the codec for byte budgets, alone and together with face recognisers that embed the restored faces',
    )
    .option('--data <dir>', 'folder of aligned faces with identities (default: CAMEO_DATA)')
    .option('--detector <file>', DETECTOR_HELP)
    .option('-o, --out <dir>', 'folder for checkpoint, log and models', out)
    .option(
      '--config <file>',
      'JSON file of settings: stages, their weights, what is frozen (see models/face-training.json)',
    )
    .option(
      '--recognizers <names>',
      `comma-separated recognisers for the loss; the first one also has the CosFace term (default: ${RECOGNIZER})`,
    )
    .option('--from <file>', 'begin with the model of another run, instead of fitting principal components')
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations', number)
    .option(
      '--resume',
      'go on from the checkpoint in --out; --config may change stages that have not begun, any other contradiction is refused',
    )
    .addHelpText(
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
    throw new ArgumentError(
      'train codec: --steps, --batch, --seed and --lr are options of train autoencoder; the codec takes its settings from --config',
    );
  }
  if (given) return true;
  if (from !== undefined || recognizers !== undefined) return false;
  if (config && onlyAutoencoderHas(await readJsonObject(config))) return true;
  if (!resume) return false;
  return AutoencoderTrainer.isCheckpoint(await readCheckpoint(checkpointOf(out, resume)));
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

/** The settings of a new run, or all settings of one that goes on, in which stages that have not begun may have changed. */
async function settings({ config: path, out, resume }: TrainCodecCommand): Promise<JointTrainingConfig> {
  const checkpoint = checkpointOf(out, resume);
  if (resume && !path) return kltConfigOf(await readCheckpoint(checkpoint));
  const config = merged(DEFAULT_JOINT_TRAINING, await settingsFile(path, DEFAULT_JOINT_TRAINING, withNewJointNames));
  return { ...config, stages: config.stages.map((stage) => ({ ...DEFAULT_STAGE, ...stage })) };
}

/** The model to go on from: the bytes of its file. */
async function readFrom({ from, resume, out }: TrainCodecCommand): Promise<Uint8Array | undefined> {
  if (!from) return undefined;
  if (resume) {
    throw new ArgumentError(
      `--from ${from}: the run in ${out} has begun with its own weights; leave it out with --resume, or choose another --out to start again`,
    );
  }
  return (await readWeightsFile(from, readKlt)).bytes;
}

async function run(options: TrainCodecCommand): Promise<void> {
  const data = dataFolder(options.data);
  const config = await settings(options);
  const from = await readFrom(options);
  await refuseInput(join(options.out, 'model.safetensors'), [options.from, options.config]);
  say(`settings: ${JSON.stringify(config)}`);
  const recognizers: ReadRecognizer[] = [];
  if (usesRecognizers(config)) {
    for (const name of (options.recognizers ?? RECOGNIZER).split(',')) {
      recognizers.push(await readRecognizerOf(name, recognizerPlaces(data)));
    }
  }
  await runTrainingCommand(options, displayOf(config), (shown) =>
    trainJoint({ ...shown, config, data, from, recognizers }).finally(() => {
      for (const one of recognizers) one.dispose();
    }),
  );
}

const ofHeldOut = (title: string, yLabel: string, column: string): TrainingPlot => ({
  title: `Held-out faces: ${title}`,
  yLabel,
  lines: { 'low rate': `val_${column}_low`, 'high rate': `val_${column}_high` },
});

/** Loss, and what held-out faces lose. */
const PLOTS: readonly TrainingPlot[] = [
  { title: 'Training loss', yLabel: 'loss', lines: { loss: 'loss' } },
  ofHeldOut('PSNR', 'dB', 'psnr'),
  ofHeldOut('distance of embeddings', '1 − cos', 'distance'),
  ofHeldOut('estimated bytes', 'bytes', 'bytes'),
];

const displayOf = (config: JointTrainingConfig): TrainingDisplay<TrainingStart, JointStep, JointValidation[]> => ({
  steps: totalSteps(config),
  batch: config.batchSize,
  format: FORMAT,
  started: ({ parameters, faces, gpu }) => [
    `${parameters} parameters; ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
  ],
  figures: ({ stage, psnr, bytes, distance }, smooth) => ({
    stage,
    psnr: smooth('psnr', psnr).toFixed(2),
    bytes: smooth('bytes', bytes).toFixed(0),
    distance: smooth('distance', distance).toFixed(3),
  }),
  validated: (validation) =>
    validation.map(({ qIndex, psnr, bytes, distance }) => {
      const apart = Number.isNaN(distance) ? '' : `, distance ${distance.toFixed(4)}`;
      return `held-out faces at index ${qIndex}: ${psnr.toFixed(2)} dB, ${bytes.toFixed(0)} bytes${apart}`;
    }),
  plot: { name: 'training.svg', plots: PLOTS },
});
