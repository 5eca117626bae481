import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { gitCommit } from '../../src/evaluation/reports/git-commit.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const PANEL = '<!-- panel.html -->';

/** Takes the indentation out of WGSL, which minifiers do not change because it is in strings. */
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
 * Empties a folder, and bundles a page's script into it, minified. The script gets the commit, which the panel of the bench shows.
 * @param define other names in the script, and the expressions that replace them
 * @returns the names of the files: page.js, and the parts that it loads when it needs them
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

/** The HTML of a page with the panel of the bench in place of the comment that marks its place. @throws Error if there is none */
export async function withBenchPanel(html: string): Promise<string> {
  const [text, panel] = await Promise.all([readFile(html, 'utf8'), readFile(here('panel.html'), 'utf8')]);
  if (!text.includes(PANEL)) throw new Error(`${html} has no ${PANEL}, which marks the place of the panel`);
  return text.replace(PANEL, () => panel);
}

/** Builds the page of the bench into a folder, which it empties first. @returns the names of the files */
export async function buildPage(outdir: string): Promise<readonly string[]> {
  const scripts = await bundlePage(here('page.ts'), outdir);
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  return ['index.html', ...scripts];
}
