import { join } from 'node:path';
import { FormatError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { isJsonObject as isRecord, kindOf, readTextIfThere } from '../data/files/read-file.js';

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
  // Taken for empty, a file that cannot be read would be written anew without the other models' thresholds.
  const all = parseJson((await readTextIfThere(path)) ?? '{}', path);
  if (!isRecord(all)) throw new FormatError(`${path}: is ${kindOf(all)}; expected an object of models`);
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

/** Adds or replaces the thresholds of one model. */
export async function saveThresholds(modelId: string, thresholds: ModelThresholds): Promise<void> {
  const all = { ...(await readThresholds()), [modelId]: thresholds };
  await writeFileAtomic(thresholdsPath(), `${JSON.stringify(all, null, 2)}\n`);
}
