import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { SHADER, shortShaders } from './build-wgsl.js';

/*
 * tsx build.ts [DIR]: bundles src/{index,engine,methods,node,detection/index,onnx/index,cli/main}.ts into DIR/{index,engine,methods,node,detection,onnx,cli}.js
 * (default dist), with shared chunks, so that a program that imports `cameo` and `cameo/node` has one `Tensor` class. tsc makes the type
 * declarations (tsconfig.build.json). JavaScript is not minified, because bundlers of programs do that. But they do not know WGSL, so this
 * build removes its comments and indentation.
 */

/** The entry file of the command, and the file that it loads later. */
const COMMAND = /[\\/]src[\\/]cli[\\/](?:main|measure-and-train)\.ts$/;

/** devDependencies whose code is bundled; imports of every other package stay. */
const BUNDLED = ['wgsl-preprocessor/wgsl-preprocessor.js', 'qr', 'qr/decode.js'];

const bundled: Plugin = {
  name: 'bundled packages',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(?:${BUNDLED.join('|')})$`) }, ({ path }) => ({
      path: fileURLToPath(import.meta.resolve(path)),
      sideEffects: false,
    }));
  },
};

/** The files of the engine, in the order in which gzip finds most repetitions: see build-order.ts. */
const ORDER: string[] = JSON.parse(readFileSync('build-order.json', 'utf8'));

/**
 * Puts the files of the engine in that order: each entry point starts with imports of them. The order has no other effect, because these
 * files only declare things. A file that the list lacks follows the files that it imports.
 */
const inOrder: Plugin = {
  name: 'in order',
  setup({ onResolve, onLoad }) {
    onResolve(
      { filter: /^(?:\.\/)?src\/(index|engine|methods|node|(?:detection|onnx)\/index)\.ts$/ },
      ({ path, kind }) => (kind === 'entry-point' ? { path, namespace: 'entry' } : undefined),
    );
    onLoad({ filter: /.*/, namespace: 'entry' }, ({ path }) => {
      const imports = ORDER.filter((file) => existsSync(file)).map((file) => `import './${file}';`);
      return { contents: [...imports, `export * from '${path}';`].join('\n'), resolveDir: '.' };
    });
  },
};

/**
 * Makes the command, and the part that it loads later, import the whole engine. Modules that only some entry points import would
 * become separate chunks, away from the similar files that help gzip.
 */
const wholeEngine: Plugin = {
  name: 'whole engine',
  setup({ onLoad }) {
    onLoad({ filter: COMMAND }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}export * from '../engine.js';\n`,
      loader: 'ts',
    }));
  },
};

/** A source map with the original text of the files that the plugins change; the plugins keep the lines. */
function withWrittenSources(path: string, text: string): string {
  const map = JSON.parse(text) as { sources: string[]; sourcesContent: string[] };
  map.sources.forEach((source, k) => {
    const file = join(dirname(path), source);
    if (SHADER.test(file) || COMMAND.test(file)) map.sourcesContent[k] = readFileSync(file, 'utf8');
    // The package does not contain the sources, so paths from the repository's root are more useful than relative ones.
    map.sources[k] = relative('.', file).split(sep).join('/');
  });
  return JSON.stringify(map);
}

const outdir = process.argv[2] ?? 'dist';
const entryPoints: Record<string, string> = {
  index: 'src/index.ts',
  engine: 'src/engine.ts',
  methods: 'src/methods.ts',
  node: 'src/node.ts',
  detection: 'src/detection/index.ts',
  onnx: 'src/onnx/index.ts',
};
if (existsSync('src/cli/main.ts')) entryPoints.cli = 'src/cli/main.ts';

const { outputFiles } = await build({
  entryPoints,
  outdir,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  splitting: true,
  sourcemap: true,
  chunkNames: 'chunk-[hash]',
  logLevel: 'warning',
  logOverride: { 'ignored-bare-import': 'silent' },
  write: false,
  packages: 'external',
  plugins: [bundled, inOrder, wholeEngine, shortShaders],
});
rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
for (const { path, text } of outputFiles) {
  writeFileSync(path, path.endsWith('.map') ? withWrittenSources(path, text) : text, {
    mode: path.endsWith('cli.js') ? 0o755 : 0o644,
  });
}
