import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundlePage, withBenchPanel } from '../bench/web/build.js';
import { PANEL_STYLE } from '../bench/web/panel-style.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { REPORT_STYLE } from '../src/evaluation/reports/html-report.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const MODELS = ['face.safetensors', 'recognizer.safetensors', 'verification-thresholds.json'];

/**
 * Builds the demo page into a folder, which is emptied first: any server of static files can serve it, as all its
 * addresses are relative and it asks for nothing else.
 * @returns its files
 */
export async function buildDemo(outdir: string): Promise<readonly string[]> {
  await bundlePage(here('page.ts'), outdir);
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  await writeFile(join(outdir, 'style.css'), REPORT_STYLE + PANEL_STYLE + (await readFile(here('style.css'), 'utf8')));
  await mkdir(join(outdir, 'models'));
  for (const name of MODELS) await copyFile(join(PACKAGE_ROOT, 'models', name), join(outdir, 'models', name));
  return ['index.html', 'page.js', 'style.css', ...MODELS.map((name) => `models/${name}`)];
}
