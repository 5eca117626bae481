import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** Lowest first: a file may import from its own layer and from those before it. */
const LAYERS = [
  'src/common',
  'src/gpu',
  'src/gpu/node',
  'shaders',
  'src/kernels',
  'src/reference',
  'src/evaluation/metrics',
  'src/tensor',
  'src/ops',
  'src/nn',
  'src/engine.ts',
  'src/models',
  'src/codec',
  'src/index.ts',
  'src/data',
  'src/training',
  'src/evaluation',
  'src/node.ts',
  'src/cli',
];

/** Layers below src/data run in browsers: no module of Node, and no package. */
const BROWSER_SAFE = LAYERS.slice(0, LAYERS.indexOf('src/data')).filter((layer) => layer !== 'src/gpu/node');

/** Layers that use src/gpu/node although it stands low: the others get their device from whoever calls them. */
const OPENS_DEVICES = ['src/gpu/node', 'src/node.ts', 'src/cli'];

/** The one package in a browser-safe layer: a devDependency that the build bundles, imported in one place. */
const BUNDLED = { from: 'shaders/common/wgsl.ts', to: 'wgsl-preprocessor/wgsl-preprocessor.js' };

const root = fileURLToPath(new URL('..', import.meta.url));

interface Import {
  from: string;
  /** A path from the root, or the name of a package or of a module of Node. */
  to: string;
}

/** The deepest layer that holds a path from the root. */
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
    return layer === 'shaders' && !['shaders', 'src/common'].includes(target) ? `${from} imports ${to}` : '';
  }
  if (to.endsWith('.ts')) return `${from} imports ${to}, which is in no layer`;
  if (from === BUNDLED.from && to === BUNDLED.to) return '';
  return BROWSER_SAFE.includes(layer) ? `${from} must run in a browser and imports ${to}` : '';
}

test('imports go downward only', () => {
  const imports = allImports();
  assert.ok(imports.length > 100, `only ${imports.length} imports found: is the reading broken?`);
  assert.equal(imports.map(problem).filter(Boolean), []);
});

test('every kind of import is read', () => {
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

test('wrong imports are seen', () => {
  const wrong = (from: string, to: string) => assert.is.not(problem({ from, to }), '', `${from} -> ${to}`);
  const right = (from: string, to: string) => assert.is(problem({ from, to }), '', `${from} -> ${to}`);
  wrong('src/tensor/tape.ts', 'src/ops/conv.ts');
  wrong('shaders/conv.wgsl.ts', 'src/gpu/kernel.ts');
  wrong('src/gpu/gpu.ts', 'src/gpu/node/adapters.ts');
  wrong('src/training/loop.ts', 'src/gpu/node/adapters.ts');
  wrong('src/engine.ts', 'src/models/autoencoder.ts');
  wrong('src/elsewhere/a.ts', 'src/common/errors.ts');
  wrong('src/data/a.ts', 'src/elsewhere/b.ts');
  for (const name of builtinModules) wrong('src/codec/png.ts', name);
  wrong('src/codec/png.ts', 'node:zlib');
  wrong('src/codec/png.ts', 'pako');
  wrong('src/nn/module.ts', 'pako');
  wrong('shaders/matmul.wgsl.ts', BUNDLED.to);
  wrong('shaders/common/wgsl.ts', 'pako');
  right('shaders/common/wgsl.ts', BUNDLED.to);
  right('src/gpu/node/adapters.ts', 'node:fs');
  right('src/cli/main.ts', 'src/gpu/node/adapters.ts');
  right('src/data/image.ts', 'sharp');
});

test.run();
