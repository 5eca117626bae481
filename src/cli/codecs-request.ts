import { join } from 'node:path';
import { minFaceBytes } from '../codec/face-target.js';
import { ArgumentError } from '../common/errors.js';
import type { ReadRecognizer } from '../data/checkpoints/recognizer-source.js';
import type { FaceSet } from '../data/faces/face-set.js';
import { openFaceFolder } from '../data/faces/face-set.js';
import { readJson } from '../data/files/read-file.js';
import type { RgbImage } from '../data/pictures/image.js';
import { FOREIGN_CODECS } from '../evaluation/codecs/index.js';
import { tryCodecs } from '../evaluation/codecs/try-codecs.js';
import { type Mix, OWN } from '../evaluation/comparison/judge.js';
import { type GoalSpec, parseGoals } from '../evaluation/comparison/parse-goals.js';
import { weightsId } from './detector-file.js';
import { FaceFinder } from './face-finder.js';
import { type LfwFaces, openLfwFaces } from './lfw-faces.js';
import { dataFolder } from './places.js';
import { expectKind, readWeights, shippedWeights, type Weights, type WeightsOf, weightsPath } from './weights.js';
import { recognizerFor } from './with-recognizer.js';

/** Options of `cameo evaluate codecs`, as they are given. */
export interface CodecsOptions {
  lfw?: string;
  /** false: the detector finds the faces. */
  landmarks?: boolean;
  codecs: string;
  budgets: string;
  recognizers: string;
  seen?: string;
  model?: string;
  extraModels?: string[];
  reference?: string;
  /** The old name of this option. */
  besides?: string[];
  mixes: 'both' | 'reference' | 'all';
  groups?: string;
  quick?: boolean;
  single?: boolean;
  goals?: string;
  extend?: boolean;
  out: string;
}

/** Codecs of our own: our bitstream, and the same symbols in a PNG. */
export const OWN_CODECS = ['cameo', 'cameo-png'];
/** The PNGs of the autoencoder that ships. */
export const AUTOENCODER_PNG = 'autoencoder-png';

/** A codec by name, with the budgets it is asked for: all of the comparison's when absent. */
interface NamedBudgets {
  name: string;
  budgets?: number[];
}

/** The checked request for a comparison. */
export interface CodecsRequest {
  /** Bytes a face. */
  budgets: number[];
  codecs: NamedBudgets[];
  /** Other weights of our codec or of the autoencoder. */
  extraModels: (NamedBudgets & { path: string })[];
  /** The codec that others are compared with. */
  reference: string;
  mixes: Mix[];
  single: boolean;
}

/** @throws ArgumentError that names the option, its value and what was expected */
export function parseCodecsOptions(options: CodecsOptions): CodecsRequest {
  const budgets = budgetsOf(options.budgets.split(','), '--budgets');
  const codecs = options.codecs.split(',').map((word) => codecWord(word, '--codecs', budgets));
  const names = [...OWN_CODECS, AUTOENCODER_PNG, ...FOREIGN_CODECS.map(({ name }) => name)];
  for (const { name } of codecs) {
    if (!names.includes(name)) throw new ArgumentError(`--codecs: "${name}"; expected some of ${names.join(', ')}`);
  }
  const extraModels = [...(options.extraModels ?? []), ...(options.besides ?? [])].map((word) =>
    extraModelWord(word, budgets),
  );
  if (new Set(extraModels.map(({ name }) => name)).size < extraModels.length) {
    throw new ArgumentError('--extra-models: two weights have the same name');
  }
  const { reference = OWN } = options;
  const references = [...names, ...extraModels.map(({ name }) => name)];
  if (!references.includes(reference)) {
    throw new ArgumentError(`--reference: "${reference}"; expected one of ${references.join(', ')}`);
  }
  const mixes: Mix[] = options.mixes === 'all' ? ['both', 'reference'] : [options.mixes];
  return { budgets, codecs, extraModels, reference, mixes, single: options.single === true };
}

function budgetsOf(words: readonly string[], option: string): number[] {
  return words.map((word) => {
    const budget = Number(word);
    if (!Number.isInteger(budget) || budget < 1) {
      throw new ArgumentError(`${option}: "${word}"; expected a positive number of bytes`);
    }
    return budget;
  });
}

/** Parses NAME or NAME:BUDGET+BUDGET…. @throws ArgumentError for a budget that the comparison has not */
function codecWord(word: string, option: string, all: readonly number[]): { name: string; budgets?: number[] } {
  const at = word.indexOf(':');
  if (at < 0) return { name: word };
  const budgets = budgetsOf(word.slice(at + 1).split('+'), option);
  const odd = budgets.find((budget) => !all.includes(budget));
  if (odd !== undefined) throw new ArgumentError(`${option} ${word}: ${odd} bytes are not among --budgets ${all}`);
  return { name: word.slice(0, at), budgets };
}

/** Parses NAME=FILE or NAME:BUDGETS=FILE. @throws ArgumentError */
function extraModelWord(word: string, all: readonly number[]): NamedBudgets & { path: string } {
  const at = word.indexOf('=');
  const named = codecWord(word.slice(0, Math.max(0, at)), '--extra-models', all);
  if (!/^[\w-]+$/.test(named.name) || named.name === 'png') {
    throw new ArgumentError(
      `--extra-models ${word}: expected NAME=FILE or NAME:BUDGETS=FILE, the name of letters, digits, - and _`,
    );
  }
  return { ...named, path: word.slice(at + 1) };
}

/** Every file that a comparison needs, read and checked before a device is opened. */
export interface CodecsInputs {
  lfw: LfwFaces;
  /** What finds the faces of the pictures, with the id of its weights; null if landmarks are given. */
  found: { finder: FaceFinder; detector: string } | null;
  weights: WeightsOf<'codec'>;
  /** In the order of the request. */
  extraModels: Weights[];
  /** If the autoencoder's PNGs are asked for. */
  autoencoder: WeightsOf<'autoencoder'> | null;
  recognizers: ReadRecognizer[];
  /** Faces whose sex and race are known. */
  groups: FaceSet | null;
  goals?: GoalSpec[];
  /** The smallest budget in bytes that works for every face. */
  minBytes: number;
}

/** @throws ArgumentError, FileError, CheckpointError; CameoError for a package that a codec needs and that is missing */
export async function readCodecsInputs(options: CodecsOptions, request: CodecsRequest): Promise<CodecsInputs> {
  const goals = options.goals === undefined ? undefined : parseGoals(await readJson(options.goals), options.goals);
  const finder = options.landmarks === false ? new FaceFinder() : null;
  const found = finder && { finder, detector: weightsId((await finder.file()).bytes) };
  const find = finder
    ? async (picture: RgbImage, name: string) => (await finder.findOne(picture, name, 'central')).landmarks
    : undefined;
  const lfw = await openLfwFaces(options.lfw ?? join(dataFolder(), 'lfw'), { quick: options.quick, find });
  const weights = expectKind(await readWeights(weightsPath(options.model, 'codec')), 'codec');
  const groups =
    options.groups === undefined ? null : await openFaceFolder(options.groups, { split: 'test', sources: ['utk'] });
  const extraModels = await Promise.all(request.extraModels.map(({ path }) => readWeights(path)));
  const minBytes = minFaceBytes(weights.file.tables.model, 'bare');
  for (const budget of request.budgets) {
    if (budget < minBytes) {
      throw new ArgumentError(`--budgets: ${budget}; a Cameo face takes at least ${minBytes} bytes`);
    }
  }
  const recognizers: ReadRecognizer[] = [];
  for (const name of options.recognizers.split(',')) recognizers.push(await recognizerFor(name));
  const autoencoder = request.codecs.some(({ name }) => name === AUTOENCODER_PNG) ? await autoencoderWeights() : null;
  await tryCodecs(FOREIGN_CODECS.filter((codec) => request.codecs.some(({ name }) => name === codec.name)));
  return { lfw, found, weights, extraModels, autoencoder, recognizers, groups, goals, minBytes };
}

/** Weights of the autoencoder that ships. */
export const autoencoderWeights = async (): Promise<WeightsOf<'autoencoder'>> =>
  expectKind(await readWeights(shippedWeights('autoencoder')), 'autoencoder');
