import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { gitCommit } from '../../src/evaluation/reports/git-commit.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const PANEL = '<!-- panel.html -->';

/**
 * Bundles a page's script to page.js in an emptied folder, with what the panel of the bench wants to know.
 * @param define other names that stand for a value in the script
 */
export async function bundlePage(
  entry: string,
  outdir: string,
  define: Readonly<Record<string, string>> = {},
): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: { page: entry },
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
    define: { BENCH_COMMIT: JSON.stringify(gitCommit()), ...define },
  });
}

/** The text of a page that has a place for the panel of the bench, with the panel in it. */
export async function withBenchPanel(html: string): Promise<string> {
  const [text, panel] = await Promise.all([readFile(html, 'utf8'), readFile(here('panel.html'), 'utf8')]);
  if (!text.includes(PANEL)) throw new Error(`${html} has no ${PANEL}`);
  return text.replace(PANEL, () => panel);
}

/** Builds the page of the bench into a folder, which is emptied first. @returns its files */
export async function buildPage(outdir: string): Promise<readonly string[]> {
  await bundlePage(here('page.ts'), outdir);
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  return ['index.html', 'page.js'];
}
