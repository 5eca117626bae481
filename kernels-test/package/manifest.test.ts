import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runPackage } from '../../bench/install-package.js';
import { OPTIONAL_PACKAGES } from '../../src/common/optional-packages.js';
import { builtImports } from './built-imports.js';

/*
 * Tests that package.json is right about packages, the version of Node, and the licence.
 */
// adapters: once

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'cameo-manifest-'));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Manifest {
  license: string;
  engines: { node: string };
  files: string[];
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
}
const manifest: Manifest = JSON.parse(read('package.json'));

test('packages that built files import are dependencies, or optional peers that are loaded only when they are needed', async () => {
  const dist = join(home, 'dist');
  runPackage('tsx', 'tsx', 'build.ts', dist);
  const { packages, computed } = await builtImports(dist);
  const { dependencies, peerDependencies, peerDependenciesMeta } = manifest;
  assert.equal(Object.keys(peerDependencies).sort(), Object.keys(OPTIONAL_PACKAGES).sort());
  assert.equal(Object.keys(peerDependenciesMeta).sort(), Object.keys(peerDependencies).sort());
  for (const [name, files] of packages) {
    assert.ok(
      name in dependencies || name in peerDependencies,
      `${files} import ${name}, which package.json does not name`,
    );
  }
  assert.equal(
    Object.keys(dependencies).filter((name) => !packages.has(name)),
    [],
    'dependencies that nothing imports',
  );
  // Only `loadOptional` and `findPackage` take a name that is not a literal; their names are those of OPTIONAL_PACKAGES.
  const calls = computed.map((line) => line.replace(/^\S+ /, '').replace(/createRequire\d*/, 'createRequire')).sort();
  assert.equal(calls, ['createRequire(import.meta.url).resolve(name)', 'import(module)']);
});

test('the test reads every way to import a package', async () => {
  const folder = join(home, 'imports');
  mkdirSync(folder);
  const lines = [
    "import a from 'a/part'; export * from '@b/b'; import 'c';",
    'const d = await import(\'d\'); const e = createRequire(import.meta.url).resolve("e/package.json");',
    'const f = import.meta.resolve("@f/f/x"); const g = await import(a + d); const h = createRequire(import.meta.url)("h");',
    "import { createRequire } from 'node:module'; import './own.js'; import 'fs';",
  ];
  writeFileSync(join(folder, 'all.js'), lines.join('\n'));
  writeFileSync(join(folder, 'own.js'), "const i = require('i');");
  const { packages, computed } = await builtImports(folder);
  assert.equal([...packages.keys()].sort(), ['@b/b', '@f/f', 'a', 'c', 'd', 'e', 'h', 'i']);
  assert.equal(computed, ['all.js: import(a + d)']);
});

/** Node's least version, from a range such as ">=20.9". */
const least = manifest.engines.node.replace('>=', '');
const compare = (a: string, b: string): number => {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  return [0, 1, 2].map((k) => (x[k] ?? 0) - (y[k] ?? 0)).find((difference) => difference !== 0) ?? 0;
};

test("Node's least version is the highest that a dependency asks for, and is said the same everywhere", () => {
  const asked = Object.keys(manifest.dependencies).map((name) => {
    const { engines } = JSON.parse(read(`node_modules/${name}/package.json`));
    return { name, least: /^>=\s*([0-9.]+)/.exec(engines?.node ?? '')?.[1] ?? '0' };
  });
  const highest = asked.reduce((a, b) => (compare(b.least, a.least) > 0 ? b : a));
  assert.is(
    compare(highest.least, least),
    0,
    `${highest.name} asks for Node ${highest.least}, package.json for ${least}`,
  );
  for (const path of ['README.md', 'CONTRIBUTING.md', 'examples/README.md']) {
    const named = [...read(path).matchAll(/\bNode (\d+(?:\.\d+)*) or later/g)].map(([, version]) => version);
    for (const version of named) assert.is(version, least, path);
    if (path !== 'CONTRIBUTING.md') assert.ok(named.length > 0, `${path} says which Node it needs`);
  }
});

const RESEARCH = /research[- ]only|research use|for research/i;

test('the licence is the same everywhere: the code is MIT, and the weights are for research only', () => {
  assert.is(manifest.license, 'SEE LICENSE IN LICENSE');
  const licence = read('LICENSE');
  assert.match(licence, /MIT License/);
  assert.match(licence, RESEARCH);
  for (const [, text] of read('README.md').matchAll(/([^\n]*\blicen[cs]e\b[^\n]*\n[^\n]*)/gi)) {
    if (/\bMIT\b/.test(text)) assert.match(text, RESEARCH, 'the README gives the MIT licence for the code only');
  }
  assert.match(read('README.md'), /\bMIT\b/);
  assert.match(read('src/cli/run-command.ts'), /MIT[^`]*research only/);
  const shipped = manifest.files.includes('!models/face-mse*') ? ['face', 'codec', 'recognizer', 'face-detector'] : [];
  assert.ok(shipped.length > 0);
  for (const name of [...shipped, 'face-mse']) {
    const card = read(`models/${name}.md`);
    assert.match(licence, `models/${name}.safetensors`);
    assert.match(card, /\*\*(?:Terms|Data and terms)\.\*\*[^*]*research/, name);
    assert.match(card, /LICENSE/, `${name}.md names LICENSE`);
  }
});

test.after(() => rmSync(home, { recursive: true, force: true }));
test.run();
