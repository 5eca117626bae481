import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { gitCommit } from '../../src/cli/git-commit.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Builds the page of the bench into a folder, which is emptied first. */
export async function buildPage(outdir: string): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: [here('page.ts')],
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
    define: { BENCH_COMMIT: JSON.stringify(gitCommit()) },
  });
  await copyFile(here('index.html'), join(outdir, 'index.html'));
}
