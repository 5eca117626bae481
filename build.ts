import { existsSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

/*
 * tsx build.ts [DIR]: bundles src/{index,engine,node,cli/main}.ts into DIR/{index,engine,node,cli}.js (default dist), with
 * shared chunks, so that a program that imports `cameo` and `cameo/node` has one `Tensor` class. The declarations beside
 * them come from tsc (tsconfig.build.json).
 */

/** Every package stays an import of the bundle, but this one: the engine must not need any. */
const BUNDLED = 'wgsl-preprocessor/';

const outdir = process.argv[2] ?? 'dist';
const entryPoints: Record<string, string> = { index: 'src/index.ts', engine: 'src/engine.ts', node: 'src/node.ts' };
if (existsSync('src/cli/main.ts')) entryPoints.cli = 'src/cli/main.ts';

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints,
  outdir,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  splitting: true,
  sourcemap: true,
  chunkNames: 'chunk-[hash]',
  logLevel: 'warning',
  plugins: [
    {
      name: 'packages stay imports',
      setup({ onResolve }) {
        onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
          kind === 'entry-point' || path.startsWith(BUNDLED) ? undefined : { path, external: true },
        );
      },
    },
  ],
});
