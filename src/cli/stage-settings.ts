import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { type ReadRecognizer, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { DEFAULT_STAGE, type JointSettings, totalSteps, usesRecognizers } from '../training/joint-config.js';
import { readCheckpoint } from '../training/training-run.js';
import { DETECTOR_HELP } from './face-options.js';
import { integer, number } from './numbers.js';
import { refuseInput } from './outputs.js';
import { recognizerPlaces } from './places.js';
import {
  checkpointOf,
  checkResumed,
  merged,
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
      `comma-separated recognisers for the loss: names, safetensors files, or FILE.onnx (see docs/onnx.md); the first one also has the CosFace term (default: ${RECOGNIZER})`,
    )
    .option('--from <file>', from)
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations', integer(1))
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
  /** Options that stand for settings, where the command has such. */
  shorthands?: StageShorthands;
}

/** Options that stand for settings of a training by stages. */
export interface StageShorthands {
  steps?: number;
  batch?: number;
  seed?: number;
  lr?: number;
}

/** Adds these options to a command. @param hidden whether `--help` leaves them out */
export function addShorthands(command: Command, hidden: boolean): void {
  const options = {
    '--steps <n>': 'steps of all stages, divided among them as in the settings',
    '--batch <n>': 'faces in a step',
    '--seed <n>': 'seed of weights, order and noise',
    '--lr <x>': "learning rate of the first stage; the others' change by the same factor",
  };
  for (const [flags, help] of Object.entries(options)) {
    command.addOption(new Option(flags, help).argParser(number).hideHelp(hidden));
  }
}

/** The settings with those that options stand for. @throws ArgumentError for fewer steps than stages */
export function withShorthands<Config extends JointSettings>(config: Config, given: StageShorthands): Config {
  const { steps, batch, seed, lr } = given;
  const { stages } = config;
  if (steps !== undefined && !(Number.isSafeInteger(steps) && steps >= stages.length)) {
    throw new ArgumentError(`--steps ${steps}: expected a whole number of at least ${stages.length}, one a stage`);
  }
  const before = totalSteps(config);
  // Each stage ends where its share of all steps does, and has one step at least.
  let [begun, sum] = [0, 0];
  const divided = stages.map((stage, k) => {
    sum += stage.steps;
    const wanted = steps === undefined ? sum : Math.round((steps * sum) / before);
    const left = stages.length - 1 - k;
    const end = steps === undefined ? sum : Math.min(Math.max(wanted, begun + 1), steps - left);
    const own = end - begun;
    begun = end;
    const learningRate = lr === undefined ? stage.learningRate : (stage.learningRate * lr) / stages[0].learningRate;
    return { ...stage, steps: own, learningRate };
  });
  return { ...config, stages: divided, batchSize: batch ?? config.batchSize, seed: seed ?? config.seed };
}

/** Checks the same options against the settings of a run that goes on. @throws ArgumentError that names all that contradict them */
export function checkShorthands(checkpoint: string, config: JointSettings, given: StageShorthands): void {
  const { batchSize, seed, stages } = config;
  const saved = { batchSize, seed, learningRate: stages[0].learningRate, 'steps of all stages': totalSteps(config) };
  checkResumed(checkpoint, saved, [
    { said: '--steps', setting: 'steps of all stages', value: given.steps },
    { said: '--batch', setting: 'batchSize', value: given.batch },
    { said: '--seed', setting: 'seed', value: given.seed },
    { said: '--lr', setting: 'learningRate', value: given.lr },
  ]);
}

/** The settings of a new run, or all settings of one that goes on, in which stages that have not begun may have changed. */
export async function stageSettings<Config extends JointSettings>(
  { config: path, out, resume }: StageTrainingOptions,
  { defaults, renamed, configOf, shorthands = {} }: StageSource<Config>,
): Promise<Config> {
  const checkpoint = checkpointOf(out, resume);
  if (resume && !path) {
    const saved = configOf(await readCheckpoint(checkpoint));
    checkShorthands(checkpoint, saved, shorthands);
    return saved;
  }
  const config = merged(defaults, await settingsFile(path, defaults, renamed));
  const stages = config.stages.map((stage) => ({ ...DEFAULT_STAGE, ...stage }));
  return withShorthands({ ...config, stages }, shorthands);
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
