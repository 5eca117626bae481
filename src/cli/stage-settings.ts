import { join } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { type ReadRecognizer, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { DEFAULT_STAGE, type JointSettings, usesRecognizers } from '../training/joint-config.js';
import { readCheckpoint } from '../training/training-run.js';
import { DETECTOR_HELP } from './face-options.js';
import { refuseInput } from './outputs.js';
import { recognizerPlaces } from './places.js';
import {
  checkpointOf,
  merged,
  number,
  type Renaming,
  settingsFile,
  type TrainingCommandOptions,
} from './training-settings.js';

/** Options of a training by stages. */
export interface StageTrainingOptions extends TrainingCommandOptions {
  recognizers?: string;
  from?: string;
}

/** The default recogniser for the loss. */
const RECOGNIZER = 'mobilefacenet-casia';

/**
 * Adds these options to a command.
 * @param said the default folder of a run, a file of settings, and what --from does
 */
export const addStageOptions = (
  command: Command,
  { out, config, from }: Record<'out' | 'config' | 'from', string>,
): Command =>
  command
    .option('--data <dir>', 'folder of aligned faces with identities (default: CAMEO_DATA)')
    .option('--detector <file>', DETECTOR_HELP)
    .option('-o, --out <dir>', 'folder for checkpoint, log and models', out)
    .option('--config <file>', `JSON file of settings: stages, their weights, what is frozen (see ${config})`)
    .option(
      '--recognizers <names>',
      `comma-separated recognisers for the loss; the first one also has the CosFace term (default: ${RECOGNIZER})`,
    )
    .option('--from <file>', from)
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations', number)
    .option(
      '--resume',
      'go on from the checkpoint in --out; --config may change stages that have not begun, any other contradiction is refused',
    );

/** Where the settings of a training by stages come from. */
export interface StageSource<Config> {
  /** The settings that are not given. */
  defaults: Config;
  renamed?: Renaming;
  /** Reads what a checkpoint was made with. */
  configOf(checkpoint: Uint8Array): Config;
}

/** The settings of a new run, or all settings of one that goes on, in which stages that have not begun may have changed. */
export async function stageSettings<Config extends JointSettings>(
  { config: path, out, resume }: StageTrainingOptions,
  { defaults, renamed, configOf }: StageSource<Config>,
): Promise<Config> {
  const checkpoint = checkpointOf(out, resume);
  if (resume && !path) return configOf(await readCheckpoint(checkpoint));
  const config = merged(defaults, await settingsFile(path, defaults, renamed));
  return { ...config, stages: config.stages.map((stage) => ({ ...DEFAULT_STAGE, ...stage })) };
}

/**
 * The model to begin with: the bytes of its file; undefined without --from.
 * @param read refuses a file of another network
 */
export async function startingModel(
  { from, resume, out, config }: StageTrainingOptions,
  read: (bytes: Uint8Array) => unknown,
): Promise<Uint8Array | undefined> {
  if (from && resume) {
    throw new ArgumentError(
      `--from ${from}: the run in ${out} has begun with its own weights; leave it out with --resume, or choose another --out to start again`,
    );
  }
  const bytes = from ? (await readWeightsFile(from, read)).bytes : undefined;
  await refuseInput(join(out, 'model.safetensors'), [from, config]);
  return bytes;
}

/** Reads the recognisers of the loss, if a stage has one. The caller disposes of them. */
export async function stageRecognizers(
  { recognizers = RECOGNIZER }: StageTrainingOptions,
  config: JointSettings,
  data: string,
): Promise<ReadRecognizer[]> {
  const found: ReadRecognizer[] = [];
  if (!usesRecognizers(config)) return found;
  for (const name of recognizers.split(',')) found.push(await readRecognizerOf(name, recognizerPlaces(data)));
  return found;
}
