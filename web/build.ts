import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundlePage, withBenchPanel } from '../bench/web/build.js';
import { PANEL_STYLE } from '../bench/web/panel-style.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { REPORT_STYLE } from '../src/evaluation/reports/html-report.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const MODELS = ['face.safetensors', 'recognizer.safetensors', 'verification-thresholds.json'];
const DETECTOR = 'face-detector.safetensors';

/** The weights of the face detector: CAMEO_DETECTOR, or those that ship, or none. */
function detectorFile(): string | null {
  const shipped = join(PACKAGE_ROOT, 'models', DETECTOR);
  return process.env.CAMEO_DETECTOR || (existsSync(shipped) ? shipped : null);
}

/**
 * Builds the demo page into a folder, which is emptied first: any server of static files can serve it, as all its
 * addresses are relative and it asks for nothing else.
 * @param detector weights of the face detector; null for a page on which points are placed by hand
 * @returns its files
 * @throws Error where a file is missing
 */
export async function buildDemo(outdir: string, detector: string | null = detectorFile()): Promise<readonly string[]> {
  await bundlePage(here('page.ts'), outdir, { FACE_DETECTOR: String(detector !== null) });
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  await writeFile(join(outdir, 'style.css'), REPORT_STYLE + PANEL_STYLE + (await readFile(here('style.css'), 'utf8')));
  await mkdir(join(outdir, 'models'));
  const models = MODELS.map((name) => ({ name, from: join(PACKAGE_ROOT, 'models', name) }));
  if (detector !== null) models.push({ name: DETECTOR, from: detector });
  for (const { name, from } of models) await copyFile(from, join(outdir, 'models', name));
  return ['index.html', 'page.js', 'style.css', ...models.map(({ name }) => `models/${name}`)];
}
