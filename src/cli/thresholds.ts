import { join } from 'node:path';
import { ArgumentError, FormatError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { isJsonObject as isRecord, kindOf, readTextIfThere } from '../data/files/read-file.js';

/** The scores at which `cameo verify` takes two faces for one person; never chosen on LFW's View 2. */
export interface ModelThresholds {
  name: string;
  /** With the mirror image's embedding appended, or without. */
  embedding: 'flip' | 'single';
  /** Lowest accepted score, by false accept rate. */
  thresholds: Record<string, number>;
  /** What each of them accepts of the pairs that it was chosen on. */
  pairs?: AcceptedPairs;
  /** What found them. */
  command: string;
  /** How good the recogniser is, if that was measured. */
  lfw?: LfwFigures;
}

/** Numbers of genuine and impostor pairs, and by false accept rate the share of the genuine ones that the threshold accepts. */
export interface AcceptedPairs {
  genuine: number;
  impostor: number;
  tar: Record<string, number>;
}

/** How good a recogniser is on uncompressed pictures, by LFW's View 2 protocol: `evaluate lfw` has more. */
export interface LfwFigures {
  pairs: number;
  /** Share of the pairs that is decided correctly, and its standard error over the folds. */
  accuracy: number;
  standardError: number;
  /** Share of the genuine pairs that is accepted, when the share `far` of the impostor pairs is. */
  tar: number;
  far: number;
  /** The command that measured it. */
  command: string;
}

const isFigures = (value: unknown): boolean =>
  isRecord(value) &&
  ['pairs', 'accuracy', 'standardError', 'tar', 'far'].every((key) => Number.isFinite(value[key])) &&
  typeof value.command === 'string';

const isPairs = (value: unknown): boolean =>
  isRecord(value) &&
  [value.genuine, value.impostor].every(Number.isFinite) &&
  isRecord(value.tar) &&
  Object.values(value.tar).every(Number.isFinite);

/** CAMEO_THRESHOLDS, else the file beside the models. */
export const thresholdsPath = (): string =>
  process.env.CAMEO_THRESHOLDS || join(PACKAGE_ROOT, 'models', 'verification-thresholds.json');

/**
 * By model id; none where there is no file yet.
 * @throws FileError for an existing file that cannot be read; FormatError for one that holds something else
 */
export async function readThresholds(): Promise<Record<string, ModelThresholds>> {
  const path = thresholdsPath();
  // If a file that cannot be read counted as empty, it would be overwritten without the other models' thresholds.
  const all = parseJson((await readTextIfThere(path)) ?? '{}', path);
  if (!isRecord(all)) throw new FormatError(`${path}: is ${kindOf(all)}; expected an object of models`);
  for (const [modelId, entry] of Object.entries(all)) {
    const known = isRecord(entry) && (entry.embedding === 'flip' || entry.embedding === 'single');
    if (!known || !isRecord(entry.thresholds) || !Object.values(entry.thresholds).every(Number.isFinite)) {
      throw new FormatError(
        `${path}: model ${modelId} is ${JSON.stringify(entry).slice(0, 80)}; expected embedding ("flip" or "single") and thresholds by rate`,
      );
    }
    if (entry.pairs !== undefined && !isPairs(entry.pairs)) {
      throw new FormatError(
        `${path}: pairs of model ${modelId} is ${JSON.stringify(entry.pairs).slice(0, 80)}; expected genuine, impostor and tar by rate`,
      );
    }
    if (entry.lfw !== undefined && !isFigures(entry.lfw)) {
      throw new FormatError(
        `${path}: lfw of model ${modelId} is ${JSON.stringify(entry.lfw).slice(0, 80)}; expected pairs, accuracy, standardError, tar, far and command`,
      );
    }
  }
  return all as Record<string, ModelThresholds>;
}

/** Adds or replaces the thresholds of one model; figures of the same embedding stay. */
export async function saveThresholds(modelId: string, thresholds: ModelThresholds): Promise<void> {
  const before = (await readThresholds())[modelId];
  const lfw = before?.embedding === thresholds.embedding ? before.lfw : undefined;
  await saveEntry(modelId, { ...thresholds, ...(lfw && { lfw }) });
}

/**
 * Checks that figures of an embedding fit a model's thresholds.
 * @throws ArgumentError if these are of the other embedding; as `readThresholds`
 */
export async function checkFiguresFit(modelId: string, embedding: ModelThresholds['embedding']): Promise<void> {
  const known = (await readThresholds())[modelId];
  if (known && known.embedding !== embedding) {
    throw new ArgumentError(
      `--save-figures: the thresholds of this recogniser are for its embedding "${known.embedding}", the figures would be for "${embedding}"`,
    );
  }
}

/** Adds or replaces what `cameo verify` says of how good a recogniser is. @throws as `checkFiguresFit` */
export async function saveLfwFigures(
  modelId: string,
  { name, embedding }: Pick<ModelThresholds, 'name' | 'embedding'>,
  lfw: LfwFigures,
): Promise<void> {
  await checkFiguresFit(modelId, embedding);
  const known = (await readThresholds())[modelId] ?? { name, embedding, thresholds: {}, command: lfw.command };
  await saveEntry(modelId, { ...known, lfw });
}

async function saveEntry(modelId: string, entry: ModelThresholds): Promise<void> {
  const all = { ...(await readThresholds()), [modelId]: entry };
  await writeFileAtomic(thresholdsPath(), `${JSON.stringify(all, null, 2)}\n`);
}
