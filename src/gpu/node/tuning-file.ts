import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../common/json.js';
import { decodeText } from '../../common/text.js';
import type { Gpu } from '../gpu.js';
import { ENGINE_VERSION, storedTuning, tuningAdapter } from '../tuning.js';
import { cacheRoots } from './swiftshader.js';

/** One file for each adapter, driver and engine version. */
function fileName(gpu: Gpu): string {
  const key = `${tuningAdapter(gpu.description)} ${ENGINE_VERSION}`;
  return `tuning-${createHash('sha256').update(key).digest('hex').slice(0, 16)}.json`;
}

/**
 * Takes over the choices of kernels that `saveTuning` stored for this adapter, if any. A file that cannot be read or is
 * damaged is ignored: the kernels are then chosen by estimate.
 */
export function loadTuning(gpu: Gpu): void {
  for (const root of cacheRoots()) {
    try {
      const path = join(root, fileName(gpu));
      const stored = parseJson(decodeText(readFileSync(path), path), path);
      gpu.tuning.load(stored, tuningAdapter(gpu.description));
      return;
    } catch {
      // Not there, or damaged: the next folder may have one.
    }
  }
}

/**
 * Stores the choices in the user's cache, completely or not at all.
 * @returns the file's path
 * @throws the error of the last folder tried, if none can be written
 */
export function saveTuning(gpu: Gpu): string {
  const content = `${JSON.stringify(storedTuning(gpu.tuning, gpu.description), null, 1)}\n`;
  let failure: unknown;
  for (const root of cacheRoots()) {
    const path = join(root, fileName(gpu));
    const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      mkdirSync(root, { recursive: true });
      writeFileSync(temporary, content);
      renameSync(temporary, path);
      return path;
    } catch (error) {
      failure = error;
      rmSync(temporary, { force: true });
    }
  }
  throw failure;
}
