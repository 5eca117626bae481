import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as engine from '../src/engine.js';
import { gpuOps } from '../src/ops/registry.js';

// A program of somebody who installed the package: it lies in node_modules, built, without our sources.
const root = fileURLToPath(new URL('..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'cameo-package-'));
const installed = join(home, 'node_modules', 'cameo');
const dist = join(installed, 'dist');

/** Runs a program of a package of ours as npm's link to it would, but on every system. */
function runPackage(name: string, program: string, ...args: string[]): string {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const script = join(folder, typeof bin === 'string' ? bin : bin[program]);
  try {
    return execFileSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')}:\n${stdout}${stderr}`);
  }
}

/** Modules that a built file imports and does not contain, its chunks included. */
function externals(path: string, seen = new Set<string>()): string[] {
  if (seen.has(path)) return [];
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  const imports = [...text.matchAll(/(?:^|[\n;])\s*(?:import|export)\b[^'"`;]*?\bfrom\s*"([^"]+)"/g)];
  const bare = [...text.matchAll(/(?:^|[\n;])\s*import\s*"([^"]+)"/g)];
  const dynamic = [...text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)];
  return [...imports, ...bare, ...dynamic].flatMap(([, target]) =>
    target.startsWith('.') ? externals(join(dirname(path), target), seen) : [target],
  );
}

// A test and not a hook: uvu loses the errors of hooks.
test('the package builds', () => {
  mkdirSync(dist, { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  runPackage('tsx', 'tsx', 'build.ts', dist);
  runPackage('typescript', 'tsc', '-p', 'tsconfig.build.json', '--outDir', join(dist, 'types'));
});

test('the engine imports nothing, and the browser entry nothing of Node', () => {
  assert.equal(externals(join(dist, 'engine.js')), []);
  assert.equal([...new Set(externals(join(dist, 'index.js')))], ['pako']);
  const node = externals(join(dist, 'node.js'));
  assert.ok(node.includes('node:fs') && node.includes('webgpu'), 'the same reading finds what cameo/node needs');
});

test('every file that the manifest names is built', () => {
  const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  assert.equal(Object.keys(exports), ['.', './engine', './node']);
  for (const { types, default: code } of Object.values<{ types: string; default: string }>(exports)) {
    assert.ok(existsSync(join(installed, types)), types);
    assert.ok(existsSync(join(installed, code)), code);
  }
});

test('the entry points load in plain Node and share their classes', () => {
  // Of our packages only those that a user gets: the dependencies.
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  const check = join(home, 'engine.mjs');
  writeFileSync(check, "import { Tensor } from 'cameo/engine'; console.log(typeof Tensor.from);");
  assert.is(execFileSync(process.execPath, [check], { encoding: 'utf8' }).trim(), 'function');
  for (const name of Object.keys(dependencies)) {
    const target = join(home, 'node_modules', name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), target, 'junction');
  }
  const all = join(home, 'all.mjs');
  writeFileSync(
    all,
    `import * as cameo from 'cameo';
     import * as engine from 'cameo/engine';
     import { openGpu } from 'cameo/node';
     const missing = await openGpu().catch((error) => error);
     console.log(cameo.Tensor === engine.Tensor, missing instanceof engine.NoAdapterError, missing.message);`,
  );
  // The optional peer "webgpu" is not there: that is said by the engine's own class.
  assert.match(execFileSync(process.execPath, [all], { encoding: 'utf8' }), /^true true npm package "webgpu"/);
});

test('the types resolve, and are checked', () => {
  writeFileSync(join(home, 'package.json'), '{"type":"module"}');
  const source = (shape: string) => `
    import { FaceCodec } from 'cameo';
    import { conv2d, Tensor, type Gpu } from 'cameo/engine';
    import { openGpu } from 'cameo/node';
    const gpu: Gpu = await openGpu({ adapter: 'swiftshader' });
    const y: Tensor = conv2d(Tensor.zeros(gpu, ${shape}), Tensor.zeros(gpu, [3, 3, 3, 8]), null, { stride: [2, 2] });
    const bytes: Promise<Uint8Array[]> = FaceCodec.fromWeights(gpu, new Uint8Array()).encode([], 0);
    console.log(y, bytes);`;
  const common = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'dom'], types: [] };
  for (const resolution of [
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ]) {
    const project = join(home, 'tsconfig.json');
    writeFileSync(project, JSON.stringify({ compilerOptions: { ...common, ...resolution }, files: ['user.ts'] }));
    const compile = (shape: string) => {
      writeFileSync(join(home, 'user.ts'), source(shape));
      return runPackage('typescript', 'tsc', '-p', project);
    };
    compile('[1, 8, 8, 3]');
    assert.throws(() => compile("'8 by 8'"), /TS2345/);
  }
});

test('every operation of the engine is exported by its name', () => {
  const exported = engine as Record<string, unknown>;
  const missing = Object.keys(gpuOps).filter((name) => typeof exported[name] !== 'function');
  assert.equal(missing, []);
});

test.after(() => rmSync(home, { recursive: true, force: true }));
test("the README's program trains its network", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, program] = /```js\n(import[\s\S]*?)```/.exec(readme) ?? [];
  assert.ok(program, 'the README has a program');
  const webgpu = join(home, 'node_modules', 'webgpu');
  const chromium = join(home, 'node_modules', '@sparticuz');
  if (!existsSync(webgpu)) symlinkSync(join(root, 'node_modules', 'webgpu'), webgpu, 'junction');
  if (!existsSync(chromium)) symlinkSync(join(root, 'node_modules', '@sparticuz'), chromium, 'junction');
  const path = join(home, 'readme.mjs');
  writeFileSync(path, program);
  const printed = execFileSync(process.execPath, [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const losses = printed
    .trim()
    .split('\n')
    .map((line) => Number(line.split(' ')[1]));
  assert.is(losses.length, 4);
  assert.ok(losses[3] < 0.01 && losses[3] < losses[0], `losses ${losses}`);
});

test.run();
