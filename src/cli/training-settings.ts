import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { isJsonObject, kindOf, readJsonObject } from '../data/files/read-file.js';
import { readCheckpoint } from '../training/training-run.js';
import { integer, number } from './numbers.js';

/** What `--steps` means, for --help. */
export const STEPS_HELP = 'training steps; a different number with --resume also changes the learning-rate schedule';

/** Gives settings of a file the names that they have now. */
export type Renaming = <T extends object>(settings: T) => T;

/**
 * The settings in a JSON file.
 * @param known all settings; a given value must have the same type as here
 * @param renamed gives settings the names that they have now
 * @throws FileError; FormatError for no JSON object; ArgumentError for a setting that is not known, or of another kind
 */
export async function readSettings<T extends object>(
  path: string,
  known: T,
  renamed: Renaming = (settings) => settings,
): Promise<Partial<T>> {
  const file = renamed(await readJsonObject(path));
  checkSettings(file, known as Record<string, unknown>, path, '');
  return file as Partial<T>;
}

function checkSettings(
  file: Record<string, unknown>,
  known: Record<string, unknown>,
  path: string,
  above: string,
): void {
  // A table with the user's own keys, such as the weights of sources, has no known settings.
  const free = Object.keys(known).length === 0;
  for (const [key, value] of Object.entries(file)) {
    const name = `${above}${key}`;
    if (!free && !Object.hasOwn(known, key)) {
      throw new ArgumentError(`${path}: unknown setting "${name}"; known are ${Object.keys(known).join(', ')}`);
    }
    const example = free ? 0 : known[key];
    if (isJsonObject(example) && isJsonObject(value)) checkSettings(value, example, path, `${name}.`);
    else if (kindOfSetting(value) !== kindOfSetting(example)) {
      throw new ArgumentError(`${path}: ${name} is ${kindOf(value)}; expected ${kindOfSetting(example)}`);
    }
  }
}

function kindOfSetting(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'null';
  return { object: 'an object', string: 'a text', boolean: 'true or false' }[typeof value as string] ?? 'a number';
}

/** What `--resume` means, for --help. */
export const RESUME_HELP =
  'go on from the checkpoint in --out, with its settings; an option or a setting of --config that contradicts them is refused, except --steps';

/** An option that was given, or a setting of a file: what messages call it, the setting's name, and its value. */
export interface GivenSetting {
  said: string;
  setting: string;
  value: unknown;
}

/** The settings of a file, those in objects one by one. */
export function settingsGiven(path: string, file: object, above = ''): GivenSetting[] {
  return Object.entries(file).flatMap(([key, value]) => {
    const setting = `${above}${key}`;
    if (isJsonObject(value)) return settingsGiven(path, value, `${setting}.`);
    return [{ said: `${setting} in ${path}`, setting, value }];
  });
}

/**
 * Checks the options given with --resume against the checkpoint's settings; `steps` may differ.
 * @throws ArgumentError that names all that contradict them, with both values
 */
export function checkResumed(checkpoint: string, saved: object, given: readonly GivenSetting[]): void {
  // As in a new run, an option overrides a setting of the file.
  const last = new Map(given.flatMap((one) => (one.value === undefined ? [] : [[one.setting, one] as const])));
  const wrong = [...last.values()].flatMap(({ said, setting, value }) => {
    if (setting === 'steps') return [];
    const known = setting.split('.').reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), saved);
    const [was, is] = [JSON.stringify(known), JSON.stringify(value)];
    return was === is ? [] : [`${said} is ${is}, there ${setting} is ${was ?? 'not set'}`];
  });
  if (wrong.length === 0) return;
  const remedy = 'leave it out to go on, or choose another --out to start again';
  throw new ArgumentError(`--resume: ${wrong.join('; ')} (${checkpoint}); ${remedy}`);
}

/** The checkpoint of a run's folder. @throws ArgumentError if there is one and the run would start again */
export function checkpointOf(out: string, resume: boolean | undefined): string {
  const checkpoint = join(out, 'checkpoint.safetensors');
  if (!resume && existsSync(checkpoint)) {
    throw new ArgumentError(`${checkpoint} exists: add --resume to go on from it, or choose another --out`);
  }
  return checkpoint;
}

/** What every command that trains has. */
export interface TrainingCommandOptions {
  data?: string;
  out: string;
  config?: string;
  checkpointEvery?: number;
  resume?: boolean;
  detector?: string;
}

/** Options of a command whose training has one network, one batch size and one schedule. */
export interface NetworkTrainingOptions extends TrainingCommandOptions {
  steps?: number;
  batch?: number;
  seed?: number;
  lr?: number;
}

/** Those of its options that are settings. */
export const networkSettings = ({ steps, batch, seed, lr }: NetworkTrainingOptions): GivenSetting[] => [
  { said: '--steps', setting: 'steps', value: steps },
  { said: '--batch', setting: 'batchSize', value: batch },
  { said: '--seed', setting: 'seed', value: seed },
  { said: '--lr', setting: 'learningRate', value: lr },
];

/**
 * Adds these options to a command, but for --data.
 * @param said texts of --help for a batch, the seed and checkpoints; `every` is the default number of steps between these
 */
export const addNetworkOptions = (
  command: Command,
  {
    out,
    batch,
    seed,
    checkpoints,
    every,
  }: Record<'out' | 'batch' | 'seed' | 'checkpoints', string> & { every: number },
): Command =>
  command
    .option('-o, --out <dir>', 'folder for checkpoint, log, plot and model', out)
    .option('--config <file>', 'JSON file with any of the settings that the run prints')
    .option('--steps <n>', STEPS_HELP, number)
    .option('--batch <n>', batch, number)
    .option('--seed <n>', seed, number)
    .option('--lr <x>', 'peak learning rate', number)
    .option('--checkpoint-every <n>', checkpoints, integer(1), every)
    .option('--resume', RESUME_HELP);

/** Where a command's settings come from. */
export interface SettingsSource<Config> {
  /** The settings of --config; none without it. */
  file: Partial<Config>;
  /** The settings that are not given. */
  defaults: Config;
  /** Options that are settings. */
  given: readonly GivenSetting[];
  /** Reads what a checkpoint was made with. */
  configOf(checkpoint: Uint8Array): Config;
}

/** The settings in the file of --config; none without it. @throws as `readSettings` */
export const settingsFile = async <T extends object>(
  path: string | undefined,
  known: T,
  renamed?: Renaming,
): Promise<Partial<T>> => (path ? readSettings(path, known, renamed) : {});

/**
 * The settings of a run: of a new one those given, over the defaults; of one that goes on the checkpoint's, of which the
 * steps alone may be others.
 * @throws ArgumentError if a checkpoint would be overwritten, or what is given contradicts it; CheckpointError
 */
export async function runSettings<Config extends object & { steps: number }>(
  { out, resume, config: path = '' }: TrainingCommandOptions,
  { file, defaults, given, configOf }: SettingsSource<Config>,
): Promise<Config> {
  const checkpoint = checkpointOf(out, resume);
  const set = given.filter(({ value }) => value !== undefined);
  if (!resume)
    return set.reduce((config, { setting, value }) => withSetting(config, setting, value), merged(defaults, file));
  const saved = configOf(await readCheckpoint(checkpoint));
  checkResumed(checkpoint, saved, [...settingsGiven(path, file), ...set]);
  const steps = set.find(({ setting }) => setting === 'steps')?.value ?? file.steps ?? saved.steps;
  return { ...saved, steps: steps as number };
}

/** Settings in place of others, those in objects one by one. */
export function merged<T extends object>(defaults: T, file: object): T {
  const entries = Object.entries({ ...defaults, ...file }).map(([key, value]) => {
    const usual = (defaults as Record<string, unknown>)[key];
    return [key, isJsonObject(value) && isJsonObject(usual) ? merged(usual, value) : value];
  });
  return Object.fromEntries(entries) as T;
}

/** @param setting its name; of one in an object `object.name` */
function withSetting<T extends object>(config: T, setting: string, value: unknown): T {
  const [first, ...more] = setting.split('.');
  const inner = (config as Record<string, object>)[first];
  return { ...config, [first]: more.length === 0 ? value : withSetting(inner, more.join('.'), value) };
}
