import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../common/errors.js';
import { FileError, fileErrorReason, writeFileAtomic } from '../data/atomic-file.js';
import { PACKAGE_ROOT } from './package-root.js';

/** At which score `cameo verify` takes two faces for one person's; never chosen on LFW's View 2. */
export interface ModelThresholds {
  name: string;
  /** With the mirror image's embedding appended, or without. */
  embedding: 'flip' | 'single';
  /** Least score, by false accept rate. */
  thresholds: Record<string, number>;
  /** What found them. */
  command: string;
}

/** CAMEO_THRESHOLDS, else the file beside the models. */
export const thresholdsPath = (): string =>
  process.env.CAMEO_THRESHOLDS || join(PACKAGE_ROOT, 'models', 'verification-thresholds.json');

/**
 * By model id; none where there is no file yet.
 * @throws FileError for a file that is there and cannot be read; FormatError for one that holds something else
 */
export async function readThresholds(): Promise<Record<string, ModelThresholds>> {
  const path = thresholdsPath();
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return '{}';
    // Taken for empty, it would be written anew without the other models' thresholds.
    throw new FileError(`cannot read ${path}: ${fileErrorReason(cause)}`, { cause });
  });
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${path}: ${(cause as Error).message}`, { cause });
  }
  if (!isRecord(all)) throw new FormatError(`${path}: ${text.slice(0, 40)}; expected an object of models`);
  for (const [modelId, entry] of Object.entries(all)) {
    const known = isRecord(entry) && (entry.embedding === 'flip' || entry.embedding === 'single');
    if (!known || !isRecord(entry.thresholds) || !Object.values(entry.thresholds).every(Number.isFinite)) {
      throw new FormatError(
        `${path}: model ${modelId} is ${JSON.stringify(entry).slice(0, 80)}; expected embedding ("flip" or "single") and thresholds by rate`,
      );
    }
  }
  return all as Record<string, ModelThresholds>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Adds or replaces the thresholds of one model. */
export async function saveThresholds(modelId: string, thresholds: ModelThresholds): Promise<void> {
  const all = { ...(await readThresholds()), [modelId]: thresholds };
  await writeFileAtomic(thresholdsPath(), `${JSON.stringify(all, null, 2)}\n`);
}
