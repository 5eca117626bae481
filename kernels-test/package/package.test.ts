import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BUDGETS, bundle, bundleSize, DETECTOR_BUDGET, gzipSize } from '../../bench/bundle-size.js';
import { npm, runNode, runPackage } from '../../bench/install-package.js';
import * as engine from '../../src/engine.js';
import { gpuOps } from '../../src/ops/registry.js';
import { brokenLinks } from '../docs/links.js';
import { packedPackage } from './packed-package.js';

/*
 * Tests what a user gets who installs the package. It is packed by `npm pack` and installed from the tarball by `npm install` into
 * an empty project, from which this repository is not visible, with one exception: npm gets no network, so the
 * project itself lists the packages that cameo depends on, as links to those that are installed here. That npm's registry
 * has them is not tested.
 */
// adapters: once

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'cameo-package-'));
const project = join(home, 'project');
const modules = join(project, 'node_modules');
const installed = join(modules, 'cameo');
const dist = join(installed, 'dist');

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
  sideEffects: boolean;
}
const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
/** The entry points that are modules. */
const MODULES = ['.', './engine', './methods', './detection', './onnx', './node'];

const linkTo = (name: string): string => `file:${join(root, 'node_modules', name)}`;

/** Installs cameo, its dependencies, and these packages in the project. */
function install(extra: readonly string[]): void {
  const { dependencies } = manifestOf(root);
  const names = [...Object.keys(dependencies), ...extra];
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({
      private: true,
      type: 'module',
      dependencies: {
        cameo: `file:${tarball}`,
        ...Object.fromEntries(names.map((name) => [name, linkTo(name)])),
      },
    }),
  );
  npm(project, 'install', '--ignore-scripts');
}

/** Writes a program into the project. */
function write(name: string, text: string): string {
  const path = join(project, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The paths of all files below a folder, with slashes. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath ?? entry.path, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    );

/** Modules that a built file and its chunks import and do not contain, including those of Node. */
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

/** A program that trains a small network and prints two losses, in JavaScript that is also valid TypeScript. */
const trainingStep = (open: string) => `
import { Adam, Conv2d, mse, PReLU, scope, Sequential, Tape, Tensor } from 'cameo/engine';
${open}
const net = new Sequential([new Conv2d(1, 4, 3, { padding: 1 }), new PReLU(4), new Conv2d(4, 1, 3, { padding: 1 })]);
net.initialize(gpu, 1);
const adam = new Adam(net.parameters());
const x = Tensor.from(gpu, Float32Array.from({ length: 2 * 64 }, (_, i) => Math.sin(i)), [2, 8, 8, 1]);
const losses = [];
for (let step = 0; step < 20; step++) {
  const loss = scope(gpu, () => {
    const tape = new Tape();
    const loss = tape.record(() => mse(net.forward(x), x));
    adam.step(tape.gradients(loss, [...net.parameters().values()]), 0.01);
    return loss;
  });
  losses.push(await loss.item());
  loss.dispose();
}
console.log(losses[0], losses[19]);
gpu.destroy();
`;

/** Asserts that the printed losses fall. */
function assertTrains(printed: string): void {
  const [first, last] = printed.trim().split(' ').map(Number);
  assert.ok(last > 0 && last < 0.9 * first, `losses ${printed}`);
}

const IN_NODE = "import { openGpu } from 'cameo/node';\nconst gpu = await openGpu();";

let tarball = '';

// This is a test and not a hook, because uvu loses the errors of hooks.
test('the package can be packed, and contains only the expected files', () => {
  const { files, size, ...packed } = packedPackage();
  tarball = packed.tarball;
  const expected = [
    /^((README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|CITATION\.cff|LICENSE|package\.json)$/,
    /^dist\/(index|engine|methods|detection|onnx|node|cli|chunk-[A-Z0-9]{8})\.js(\.map)?$/,
    /^dist\/types\/(src|shaders)\/.*\.d\.ts$/,
    // Weights are most of the tarball, because the codec needs them. Weights for comparisons stay out.
    /^models\/(?!face-mse)[a-z-]+\.(safetensors|md|json)$/,
    /^examples\/[a-z_-]+\.(mjs|py|html)$|^examples\/README\.md$|^demo\/landmarks\.json$/,
    // What README.md links to.
    /^docs\/[a-z]+\.md$|^results\/(strip\.png|(bench-lavapipe|platforms|codecs\/(full|quick)\/report)\.md)$/,
  ];
  const stray = files.filter(({ path }) => !expected.some((pattern) => pattern.test(path)));
  assert.equal(stray, []);
  const [weights, rest] = [true, false].map((wanted) =>
    files.filter(({ path }) => /\.safetensors$/.test(path) === wanted).reduce((sum, file) => sum + file.size, 0),
  );
  assert.ok(rest < 8.1e6, `${rest} bytes besides weights`);
  assert.ok(size < weights + 2e6, `a tarball of ${size} bytes, ${weights} of them weights`);
  // If the weights are too large, `tsx bench/quantize-weights.ts` writes smaller ones.
  assert.ok(size <= 12.1e6, `a tarball of ${size} bytes, expected at most 12.1 MB`);
});

test('each relative link of the packed README leads to a file and a heading in the package', () => {
  const unpacked = join(home, 'unpacked');
  mkdirSync(unpacked);
  execFileSync('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1']);
  assert.equal(brokenLinks('README.md', { root: unpacked }), []);
  rmSync(join(unpacked, 'SECURITY.md'));
  assert.equal(brokenLinks('README.md', { root: unpacked }), ['README.md: SECURITY.md: no such file']);
});

test('the package can be installed in an empty project, without its optional peers', () => {
  mkdirSync(project);
  install([]);
  assert.ok(existsSync(join(dist, 'engine.js')));
  const { peerDependencies, peerDependenciesMeta, sideEffects } = manifestOf(installed);
  for (const name of Object.keys(peerDependencies)) {
    assert.is(peerDependenciesMeta[name]?.optional, true, name);
    assert.not.ok(existsSync(join(modules, name)), `${name} was installed`);
  }
  assert.is(sideEffects, false);
});

test('every entry point of the manifest exists and can be imported', () => {
  const { exports } = manifestOf(installed);
  assert.equal(Object.keys(exports), [...MODULES, './models/*', './package.json']);
  for (const name of MODULES) {
    const { types, default: code } = exports[name] as { types: string; default: string };
    assert.ok(existsSync(join(installed, types)), types);
    assert.ok(existsSync(join(installed, code)), code);
  }
  const paths = [
    'cameo',
    'cameo/engine',
    'cameo/detection',
    'cameo/onnx',
    'cameo/node',
    'cameo/models/face.safetensors',
    'cameo/package.json',
  ];
  const program = `console.log(JSON.stringify(${JSON.stringify(paths)}.map((path) => import.meta.resolve(path))));`;
  const resolved = JSON.parse(runNode(project, write('resolve.mjs', program))) as string[];
  for (const url of resolved) assert.ok(url.startsWith(pathToFileURL(installed).href) && existsSync(new URL(url)), url);
  assert.throws(
    () => runNode(project, write('inside.mjs', "import 'cameo/dist/engine.js';")),
    /ERR_PACKAGE_PATH_NOT_EXPORTED/,
  );
});

test('every module has a source map with the original sources', () => {
  const scripts = filesIn(dist).filter((name) => name.endsWith('.js'));
  const shown = new Set<string>();
  for (const name of scripts) {
    assert.match(readFileSync(join(dist, name), 'utf8'), new RegExp(`//# sourceMappingURL=${name}\\.map\\s*$`));
    const map = JSON.parse(readFileSync(join(dist, `${name}.map`), 'utf8'));
    map.sources.forEach((source: string, k: number) => {
      shown.add(source);
      assert.is(map.sourcesContent[k], readFileSync(join(root, source), 'utf8'), source);
    });
  }
  for (const source of ['src/tensor/tape.ts', 'shaders/conv-tiled.wgsl.ts']) assert.ok(shown.has(source), source);
});

test('the entry points for browsers import no modules from outside', () => {
  assert.equal(externals(join(dist, 'engine.js')), []);
  assert.equal(externals(join(dist, 'index.js')), []);
  assert.equal(externals(join(dist, 'detection.js')), []);
  assert.equal(externals(join(dist, 'onnx.js')), []);
  const node = externals(join(dist, 'node.js'));
  assert.ok(node.includes('node:fs') && node.includes('webgpu'), 'the same check finds the imports of cameo/node');
});

test('the entry points share their classes, and give an error if the package webgpu is missing', () => {
  const path = write(
    'all.mjs',
    `import * as cameo from 'cameo';
     import * as engine from 'cameo/engine';
     import { openGpu } from 'cameo/node';
     const missing = await openGpu().catch((error) => error);
     console.log(cameo.Tensor === engine.Tensor, missing instanceof engine.NoAdapterError, missing.message);`,
  );
  // The optional peer "webgpu" is missing, which is an error of the engine's own class.
  assert.match(runNode(project, path), /^true true npm package "webgpu".*npm install webgpu/);
});

test('a JavaScript program trains a network, with the optional peers installed', () => {
  install(['webgpu', '@sparticuz/chromium']);
  assertTrains(runNode(project, write('train.mjs', trainingStep(IN_NODE))));
});

test('TypeScript checks a program against the types, and the compiled program trains a network', () => {
  const common = { strict: true, target: 'es2022', lib: ['es2022', 'dom'], types: [], outDir: 'compiled' };
  const typed = `${trainingStep(IN_NODE)}
    import { FaceCodec, AutoencoderCodec } from 'cameo';
    import { conv2d, defineOp, type Gpu } from 'cameo/engine';
    export const convolve = (gpu: Gpu): Tensor =>
      conv2d(Tensor.zeros(gpu, SHAPE), Tensor.zeros(gpu, [3, 3, 3, 8]), null, { stride: [2, 2] });
    export const encode = (gpu: Gpu): Promise<Uint8Array[]> => AutoencoderCodec.fromWeights(gpu, new Uint8Array()).encode([], 0);
    export const bytes = (codec: FaceCodec): number => codec.faceSize.bytes;
    export const double = defineOp<{ factor: number }>({
      name: 'double',
      shape: ([x]) => x,
      forward: ([x]) => ({ output: x }),
      backward: ({ dy, attrs }) => [attrs.factor > 0 ? dy : null],
    });`.replaceAll('const losses = []', 'const losses: number[] = []');
  for (const resolution of [
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ]) {
    const config = { compilerOptions: { ...common, ...resolution }, files: ['user.ts'] };
    const path = write('tsconfig.json', JSON.stringify(config));
    const compile = (shape: string) => {
      write('user.ts', typed.replace('SHAPE', shape));
      return runPackage('typescript', 'tsc', '-p', path);
    };
    assert.throws(() => compile("'8 by 8'"), /TS2345/);
    compile('[1, 8, 8, 3]');
  }
  assertTrains(runNode(project, join('compiled', 'user.js')));
});

test('a bundle for browsers trains a network, with Dawn in place of the GPU of a browser', async () => {
  const program = trainingStep("import { openBrowserGpu } from 'cameo/engine';\nconst gpu = await openBrowserGpu();");
  const code = await bundle(program, modules);
  write('bundle.mjs', Buffer.from(code).toString());
  // Dawn replaces the browser's GPU. cameo/node only chooses the driver, on machines that have none but SwiftShader.
  const path = write(
    'browser.mjs',
    `import { create, globals } from 'webgpu';
     import { openGpu } from 'cameo/node';
     (await openGpu()).destroy();
     Object.assign(globalThis, globals);
     const gpu = create([]);
     Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
     await import('./bundle.mjs');
     delete globalThis.navigator;`,
  );
  assertTrains(runNode(project, path));
});

test('bundles keep within their budgets', async () => {
  const sizes = await Promise.all(
    Object.keys(BUDGETS).map(async (name) => [name, (await bundleSize(`export * from '${name}';`, modules)).gzip]),
  );
  const over = (sizes as [keyof typeof BUDGETS, number][]).filter(([name, size]) => size > BUDGETS[name]);
  assert.equal(over, [], 'bytes after gzip, above the budget');
  // The bundles must not be empty, or their sizes would mean nothing.
  for (const [name, size] of sizes as [keyof typeof BUDGETS, number][]) assert.ok(size > BUDGETS[name] / 2, name);
});

test('the detector adds few bytes to a program that has everything else', async () => {
  const all = "export * from 'cameo';";
  const [without, together] = await Promise.all(
    [all, `${all} export { FaceDetector } from 'cameo/detection';`].map((program) => bundleSize(program, modules)),
  );
  const more = together.gzip - without.gzip;
  assert.ok(more > 1000 && more <= DETECTOR_BUDGET, `${more} bytes after gzip`);
});

test('a bundle contains what its program imports, and no more', async () => {
  const names = Object.keys(gpuOps);
  // The name of an operation is a string in its code, which minifiers do not change.
  const held = (code: Uint8Array) => {
    const text = Buffer.from(code).toString();
    return names.filter((name) => text.includes(`("${name}",`));
  };
  assert.equal(held(await bundle("export * from 'cameo/engine';", modules)).sort(), names.sort());
  const conv = await bundle("export { conv2d } from 'cameo/engine';", modules);
  assert.equal(held(conv), ['conv2d'], 'a program that imports conv2d alone');
  const text = Buffer.from(conv).toString();
  const foreigners = ['cosFace', 'target_logit', 'logistic', 'quantize(', 'momentum', 'safetensors', 'weight gradient'];
  for (const foreign of foreigners) {
    assert.not.ok(text.includes(foreign), `conv2d brings ${foreign}`);
  }
  assert.ok(gzipSize(conv) < 24_000, `conv2d alone has ${gzipSize(conv)} bytes`);
  assert.equal(held(await bundle("export { relu } from 'cameo/engine';", modules)), ['relu']);
  const dense = held(await bundle("export { Linear, Sequential } from 'cameo/engine';", modules)).sort();
  // Of pad, slice and concat only kernels, with which products of batches prepare and part operands.
  const products = ['add', 'batchedMatmul', 'concat', 'matmul', 'pad', 'reshape', 'slice'];
  assert.equal(dense, products, 'Sequential knows no classes of layers');
  const codec = held(await bundle("export { FaceCodec } from 'cameo';", modules));
  for (const name of ['cosFace', 'marginLoss', 'softmaxCrossEntropy']) assert.not.ok(codec.includes(name), name);
  // Loading runs no code: a bundle that imports no names would keep code with side effects.
  for (const entry of ['engine', 'index', 'detection', 'onnx']) {
    const effects = await bundle(`import ${JSON.stringify(join(dist, `${entry}.js`))};`, home);
    assert.ok(effects.length < 300, `${entry} runs ${effects.length} bytes of code when it is loaded`);
  }
});

/** Operations that only other functions are made of. */
const INNER = ['batchedMatmul', 'constantPower', 'huber', 'padAxis', 'resample', 'standardize'];

test('every operation of the engine is exported by its name, but for those that others are made of', () => {
  const exported = engine as Record<string, unknown>;
  const missing = Object.keys(gpuOps).filter((name) => typeof exported[name] !== 'function');
  assert.equal(missing.sort(), INNER);
});

test('docs/package.md and the report give the same sizes', () => {
  const report = readFileSync(join(root, 'results', 'bundle-sizes.md'), 'utf8');
  const rows = report.split('\n').filter((line) => /^\| .*\d kB/.test(line));
  assert.ok(rows.length >= 4, 'the report has its rows');
  const page = readFileSync(join(root, 'docs', 'package.md'), 'utf8');
  assert.equal(
    rows.filter((row) => !page.includes(row)),
    [],
    'rows of the report that are not on the page',
  );
});

test.after(() => rmSync(home, { recursive: true, force: true }));
test.run();
