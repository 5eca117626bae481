import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Modules of Node that test files import, and their replacements in a page. */
const REPLACED: [imported: RegExp, path: string][] = [
  [/^uvu$/, here('uvu.ts')],
  [/\/gpu\/node\/adapters\.js$/, here('open-gpu.ts')],
  [/\/read-fixture\.js$/, here('read-fixture.ts')],
];

const replaceNode: Plugin = {
  name: 'in place of what is for Node',
  setup({ onResolve }) {
    for (const [filter, path] of REPLACED) {
      // A replacement may itself import the module that it replaces.
      onResolve({ filter }, ({ importer }) => (importer === path ? undefined : { path }));
    }
  },
};

export interface TestPages {
  /** Paths of modules, by the names with which the page imports them, without extension. */
  modules: Record<string, string>;
  /** Files that are copied next to the page. */
  files: string[];
  /** Environment variables that the modules read. */
  environment?: Record<string, string>;
}

const HTML = `<!doctype html><html lang="en"><title>Tests</title><link rel="icon" href="data:,">
<script type="module" src="run-tests.js"></script>`;

/**
 * Bundles modules for the browser into an empty folder. They may be test files, as they are run in Node.
 * @returns the files of the folder
 * @throws Error if a module needs Node
 */
export async function buildTestPages(folder: string, pages: TestPages): Promise<string[]> {
  const define = Object.entries(pages.environment ?? {}).map(([name, value]) => [
    `process.env.${name}`,
    JSON.stringify(value),
  ]);
  await build({
    entryPoints: { 'run-tests': here('run-tests.ts'), ...pages.modules },
    outdir: folder,
    bundle: true,
    keepNames: true, // because messages contain the class names of wrong values
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
    plugins: [replaceNode],
    define: Object.fromEntries(define),
  });
  writeFileSync(join(folder, 'index.html'), HTML);
  for (const file of pages.files) copyFileSync(file, join(folder, basename(file)));
  return readdirSync(folder);
}
