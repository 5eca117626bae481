import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Photographs that come with a development dependency, so that tests on real faces run on every machine. */
export const DEMO_PHOTOS = join(ROOT, 'node_modules/@vladmandic/face-api/demo');
export const DEMO_LANDMARKS = join(ROOT, 'demo/landmarks.json');

/** The folder of data sets (environment variable CAMEO_DATA, default ../shared/data), or the reason why there is none. */
export function findData(part = ''): { path: string } | { missing: string } {
  const folder = resolve(ROOT, process.env.CAMEO_DATA || '../shared/data');
  const path = join(folder, part);
  if (existsSync(path)) return { path };
  return { missing: `${path} does not exist; set CAMEO_DATA to the folder of data sets` };
}

/** The weights of a face detector: those that are shipped, else published ones among the data sets. */
export function findDetector(): { path: string } | { missing: string } {
  const shipped = join(ROOT, 'models/face-detector.safetensors');
  return existsSync(shipped) ? { path: shipped } : findData('weights/mtcnn.safetensors');
}

/**
 * Registers a test that needs a part of the data sets (for example 'faces'). Without the data it is registered as
 * skipped, which uvu counts separately, and the reason is printed.
 */
export function testWithData(part: string, name: string, run: (path: string) => Promise<void> | void): void {
  const data = findData(part);
  if ('path' in data) {
    test(name, () => run(data.path));
  } else {
    console.log(`SKIP ${name}: ${data.missing}`);
    test.skip(name);
  }
}
