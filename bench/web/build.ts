import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { gitCommit } from '../../src/evaluation/reports/git-commit.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const PANEL = '<!-- panel.html -->';

/** Takes the indents out of WGSL, which minifying leaves as it is: text of the program. */
const WITHOUT_INDENTS: Plugin = {
  name: 'WGSL without indents',
  setup({ onLoad }) {
    onLoad({ filter: /\/shaders\/.*\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(/\n[ \t]+/g, '\n'),
      loader: 'ts',
    }));
  },
};

/**
 * Bundles a page's script, minified, into an emptied folder, with what the panel of the bench wants to know.
 * @param define other names that stand for a value in the script
 * @returns page.js, and the parts that are loaded when they are needed
 */
export async function bundlePage(
  entry: string,
  outdir: string,
  define: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const { metafile } = await build({
    entryPoints: { page: entry },
    outdir,
    chunkNames: 'part-[hash]',
    bundle: true,
    minify: true,
    splitting: true,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
    plugins: [WITHOUT_INDENTS],
    define: { BENCH_COMMIT: JSON.stringify(gitCommit()), ...define },
  });
  return Object.keys(metafile.outputs).map((path) => basename(path));
}

/** The text of a page that has a place for the panel of the bench, with the panel in it. */
export async function withBenchPanel(html: string): Promise<string> {
  const [text, panel] = await Promise.all([readFile(html, 'utf8'), readFile(here('panel.html'), 'utf8')]);
  if (!text.includes(PANEL)) throw new Error(`${html} has no ${PANEL}`);
  return text.replace(PANEL, () => panel);
}

/** Builds the page of the bench into a folder, which is emptied first. @returns its files */
export async function buildPage(outdir: string): Promise<readonly string[]> {
  const scripts = await bundlePage(here('page.ts'), outdir);
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  return ['index.html', ...scripts];
}
