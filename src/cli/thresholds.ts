import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../common/errors.js';
import { writeFileAtomic } from '../data/atomic-file.js';
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

export const thresholdsPath = (): string => join(PACKAGE_ROOT, 'models', 'verification-thresholds.json');

/** By model id. @throws FormatError for a file that is no JSON */
export async function readThresholds(): Promise<Record<string, ModelThresholds>> {
  const text = await readFile(thresholdsPath(), 'utf8').catch(() => '{}'); // none yet
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${thresholdsPath()}: ${(cause as Error).message}`, { cause });
  }
}

export async function saveThresholds(modelId: string, thresholds: ModelThresholds): Promise<void> {
  const all = { ...(await readThresholds()), [modelId]: thresholds };
  await writeFileAtomic(thresholdsPath(), `${JSON.stringify(all, null, 2)}\n`);
}
