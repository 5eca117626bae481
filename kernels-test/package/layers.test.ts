import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** The layers, the lowest first. A file may import from its own layer and from those before it. */
const LAYERS = [
  'src/common',
  'src/gpu',
  'src/gpu/node',
  'shaders/common',
  'shaders',
  'src/kernels',
  'src/reference',
  'src/evaluation/metrics',
  'src/tensor',
  'src/ops',
  'src/nn',
  'src/engine.ts',
  'src/onnx',
  'src/methods.ts',
  'src/models',
  'src/codec',
  'src/detection',
  'src/index.ts',
  'src/data/files',
  'src/data/pictures',
  'src/data/checkpoints',
  'src/data/archives',
  'src/data/faces',
  'src/training/entropy',
  'src/training',
  'src/evaluation/codecs',
  'src/evaluation/quality',
  'src/evaluation/reports',
  'src/evaluation/verification',
  'src/evaluation/comparison',
  'src/node.ts',
  'src/cli',
];

/** The layers below src/data, which run in browsers, so that they may import no module of Node and no package. */
const BROWSER_SAFE = LAYERS.slice(0, LAYERS.indexOf('src/data/files')).filter((layer) => layer !== 'src/gpu/node');

/** The layers that may use src/gpu/node, although it is low in the list. The others get their device from their callers. */
const OPENS_DEVICES = ['src/gpu/node', 'src/node.ts', 'src/cli'];

/** The only package in a layer for browsers: a devDependency that the build bundles, imported in one place. */
const BUNDLED = { from: 'shaders/common/wgsl.ts', to: 'wgsl-preprocessor/wgsl-preprocessor.js' };

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Import {
  from: string;
  /** The target of an import: a path from the root, or the name of a package or of a module of Node. */
  to: string;
}

/** The most specific layer that contains a path from the root. */
function layerOf(path: string): string | undefined {
  const holding = LAYERS.filter((layer) => path === layer || path.startsWith(`${layer}/`));
  return holding.sort((a, b) => a.length - b.length).at(-1);
}

/** Targets of import and export statements, types included, and of import() and require(). */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm);
  const bare = code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm);
  const calls = code.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [...statements, ...bare, ...calls].map(([, target]) => target);
}

function allImports(): Import[] {
  return ['src', 'shaders'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const from = join(folder, file).split(sep).join('/');
        return importsOf(readFileSync(join(root, from), 'utf8')).map((target) => ({
          from,
          to: target.startsWith('.')
            ? relative(root, join(root, dirname(from), target))
                .split(sep)
                .join('/')
                .replace(/\.js$/, '.ts')
            : target,
        }));
      }),
  );
}

/** What is wrong with an import, or ''. */
function problem({ from, to }: Import): string {
  const layer = layerOf(from);
  if (!layer) return `${from} is in no layer`;
  const target = layerOf(to);
  if (target) {
    if (LAYERS.indexOf(target) > LAYERS.indexOf(layer)) return `${from} imports upwards: ${to}`;
    if (target === 'src/gpu/node' && !OPENS_DEVICES.includes(layer)) return `${from} opens a device of Node: ${to}`;
    const isShader = layer === 'shaders' || layer === 'shaders/common';
    return isShader && !['shaders', 'shaders/common', 'src/common'].includes(target) ? `${from} imports ${to}` : '';
  }
  if (to.endsWith('.ts')) return `${from} imports ${to}, which is in no layer`;
  if (from === BUNDLED.from && to === BUNDLED.to) return '';
  return BROWSER_SAFE.includes(layer) ? `${from} must run in a browser and imports ${to}` : '';
}

test('files import only from their own layer and from lower ones', () => {
  const imports = allImports();
  assert.ok(imports.length > 100, `only ${imports.length} imports found: is the reading broken?`);
  assert.equal(imports.map(problem).filter(Boolean), []);
});

/** Files that import each other in a circle, types included: for each circle one way around it. */
function circles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to]);
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) found.push([...way.slice(at), file].join(' -> '));
    if (at >= 0 || done.has(file)) return;
    for (const next of targets.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return found;
}

test('no files import each other in a circle', () => {
  assert.equal(circles(allImports()), []);
  const edge = (way: string): Import => ({ from: way[0], to: way[1] });
  assert.equal(circles(['ab', 'bc', 'ca', 'ad', 'ce'].map(edge)), ['a -> b -> c -> a']);
  assert.equal(circles(['ab', 'ac', 'bd', 'cd'].map(edge)), []);
  assert.equal(circles(['aa'].map(edge)), ['a -> a']);
});

/** For each source file, the names of its declarations that a bundle of these exports keeps. */
async function declaredBy(exports: string): Promise<Map<string, string[]>> {
  const { outputFiles } = await build({
    stdin: { contents: exports, resolveDir: root, loader: 'ts' },
    absWorkingDir: root,
    bundle: true,
    format: 'esm',
    write: false,
  });
  const [, ...files] = outputFiles[0].text.split(/^\/\/ (?=(?:src|shaders)\/)/m);
  return new Map(
    files.map((file) => {
      // esbuild adds a number to a name that several files have.
      const names = [...file.matchAll(/^(?:async )?(?:var|let|const|class|function\*?) (\w+?)\d*\b/gm)];
      return [file.slice(0, file.indexOf('\n')), names.map(([, name]) => name)];
    }),
  );
}

/** Export statements for the tables of `src/ops` whose names end like this. */
function exportsOfOps(ending: string): string[] {
  return readdirSync(join(root, 'src/ops'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !['registry.ts', 'inference-reference.ts'].includes(file))
    .flatMap((file) => {
      const text = readFileSync(join(root, 'src/ops', file), 'utf8');
      const names = [...text.matchAll(new RegExp(`^export const (\\w+${ending})\\b`, 'gm'))];
      return names.map(([, name]) => `export { ${name} } from './src/ops/${file.split(sep).join('/')}';`);
    });
}

test('the float64 references share no code with the kernels', async () => {
  const [references, ops] = [exportsOfOps('References'), exportsOfOps('Ops')];
  assert.ok(references.length > 15, `only ${references.length} references found: is the reading broken?`);
  const reference = await declaredBy(references.join('\n'));
  const operations = await declaredBy(ops.join('\n'));
  assert.ok(operations.get('src/ops/transpose.ts')?.includes('transposeKernel'), 'the kernels are among what is read');
  assert.ok(reference.get('src/ops/transpose.ts')?.includes('transposeOffsets'), 'the reference is, too');
  const allowed = ['src/ops', 'src/reference', 'src/common'];
  assert.equal(
    [...reference.keys()].filter((file) => !allowed.some((folder) => file.startsWith(`${folder}/`))),
    [],
    'files below the kernels that the reference uses',
  );
  const shared = [...reference].flatMap(([file, names]) =>
    file.startsWith('src/ops/') ? names.filter((name) => operations.get(file)?.includes(name)) : [],
  );
  assert.equal(shared, [], 'what the reference shares with the kernels of its operation');
});

test('the test reads every kind of import', () => {
  const text = `
    import { a } from './a.js';
    import type { B } from '../b.js';
    import {
      c,
      type D,
    } from '../c.js';
    export * from './d.js';
    export { e } from './e.js';
    import './f.js';
    const g = await import('./g.js');
    type H = import('./h.js').H;
    // import { no } from './no.js';
    /** import { no } from './no.js'; */
  `;
  const expected = ['./a.js', '../b.js', '../c.js', './d.js', './e.js', './f.js', './g.js', './h.js'];
  assert.equal(importsOf(text), expected);
});

test('the test detects wrong imports', () => {
  const wrong = (from: string, to: string) => assert.is.not(problem({ from, to }), '', `${from} -> ${to}`);
  const right = (from: string, to: string) => assert.is(problem({ from, to }), '', `${from} -> ${to}`);
  wrong('src/tensor/tape.ts', 'src/ops/conv.ts');
  wrong('shaders/conv.wgsl.ts', 'src/gpu/kernel.ts');
  wrong('shaders/common/tile.ts', 'src/gpu/kernel.ts');
  wrong('shaders/common/tile.ts', 'shaders/conv.wgsl.ts');
  wrong('src/training/entropy/a.ts', 'src/training/b.ts');
  right('shaders/conv.wgsl.ts', 'shaders/common/tile.ts');
  wrong('src/gpu/gpu.ts', 'src/gpu/node/adapters.ts');
  wrong('src/training/loop.ts', 'src/gpu/node/adapters.ts');
  wrong('src/engine.ts', 'src/models/autoencoder.ts');
  wrong('src/elsewhere/a.ts', 'src/common/errors.ts');
  wrong('src/data/faces/a.ts', 'src/elsewhere/b.ts');
  wrong('src/data/pictures/align.ts', 'src/data/faces/lfw.ts');
  wrong('src/data/a.ts', 'src/common/errors.ts');
  for (const name of builtinModules) wrong('src/codec/png.ts', name);
  wrong('src/codec/png.ts', 'node:zlib');
  wrong('src/codec/png.ts', 'pako');
  wrong('src/nn/module.ts', 'pako');
  wrong('shaders/matmul.wgsl.ts', BUNDLED.to);
  wrong('shaders/common/wgsl.ts', 'pako');
  right('shaders/common/wgsl.ts', BUNDLED.to);
  right('src/gpu/node/adapters.ts', 'node:fs');
  right('src/cli/main.ts', 'src/gpu/node/adapters.ts');
  wrong('src/evaluation/reports/a.ts', 'src/evaluation/comparison/b.ts');
  wrong('src/evaluation/a.ts', 'src/common/errors.ts');
  right('src/evaluation/comparison/a.ts', 'src/evaluation/metrics/b.ts');
  right('src/data/pictures/image.ts', 'sharp');
});

test.run();
