import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { BUDGETS, type BundleSize, bundleSize, gzipSize } from './bundle-size.js';
import { buildPackage } from './install-package.js';

/*
 * npm run sizes: measures how many bytes a program for browsers downloads with this package, with TensorFlow.js (core and WebGPU
 * backend), with onnxruntime-web and with jax-js. It writes results/bundle-sizes.json and .md.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
// The folder is outside of the repository, because inside it `cameo` would mean the repository itself.
const HOME = mkdtempSync(join(tmpdir(), 'cameo-sizes-'));
const MODULES = join(HOME, 'node_modules');

interface Contender {
  name: string;
  /** The packages that the programs import. The table gives the version of the first. */
  packages: string[];
  /** A program that exports everything of the packages. */
  everything: string;
  /** A program that runs one convolution of a 32×32 picture of 3 channels on the GPU and prints the result. */
  conv: string | null;
  /** Paths of modules that a program loads only when it asks for them. */
  leaveOut?: RegExp;
  /** A file that the program fetches before it computes anything. */
  fetched?: string;
  note?: string;
}

const weights = (name: string): string =>
  `${(statSync(join(ROOT, 'models', `${name}.safetensors`)).size / 1e6).toFixed(1)} MB`;

const CONTENDERS: Contender[] = [
  {
    name: '`cameo/engine`',
    packages: ['cameo'],
    everything: "export * from 'cameo/engine';",
    conv: `import { conv2d, openBrowserGpu, Tensor } from 'cameo/engine';
      const gpu = await openBrowserGpu();
      const x = Tensor.from(gpu, new Float32Array(3072), [1, 32, 32, 3]);
      const w = Tensor.from(gpu, new Float32Array(216), [3, 3, 3, 8]);
      console.log(await conv2d(x, w).read());`,
  },
  {
    name: '`cameo`: engine, networks, codecs',
    packages: ['cameo'],
    everything: "export * from 'cameo';",
    conv: null,
    note: `Weights are not counted: ${weights('face')} of the codec for a byte budget, ${weights('codec')} of the one with PNG.`,
  },
  {
    name: 'TensorFlow.js: core and WebGPU backend',
    packages: ['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs-core'],
    everything: "export * from '@tensorflow/tfjs-core'; export * from '@tensorflow/tfjs-backend-webgpu';",
    conv: `import { conv2d, ready, setBackend, tensor4d } from '@tensorflow/tfjs-core';
      import '@tensorflow/tfjs-backend-webgpu';
      await setBackend('webgpu');
      await ready();
      const x = tensor4d(new Float32Array(3072), [1, 32, 32, 3]);
      const w = tensor4d(new Float32Array(216), [3, 3, 3, 8]);
      console.log(await conv2d(x, w, 1, 'valid').data());`,
    note: 'The backend registers all its kernels when it is loaded, so bundlers can leave nothing out. Gradients are in core; layers (tfjs-layers) are not counted.',
  },
  {
    name: 'onnxruntime-web, WebGPU',
    packages: ['onnxruntime-web'],
    everything: "export * from 'onnxruntime-web/webgpu';",
    conv: `import { InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
      const session = await InferenceSession.create('conv.onnx', { executionProviders: ['webgpu'] });
      const x = new Tensor('float32', new Float32Array(3072), [1, 3, 32, 32]);
      console.log((await session.run({ x })).y.data);`,
    fetched: 'onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm',
    note: 'Runs models, without gradients; the model, conv.onnx, is not counted.',
  },
  {
    name: 'jax-js',
    packages: ['@jax-js/jax'],
    everything: "export * from '@jax-js/jax';",
    conv: `import { defaultDevice, init, lax, numpy as np } from '@jax-js/jax';
      await init('webgpu');
      defaultDevice('webgpu');
      const x = np.zeros([1, 3, 32, 32]);
      const w = np.zeros([8, 3, 3, 3]);
      console.log(await lax.conv(x, w, [1, 1], 'VALID').data());`,
    leaveOut: /webgl-[^/]*\.js$/,
    note: 'Without its WebGL backend, which is a separate file that is only loaded on request.',
  },
];

interface Row {
  name: string;
  version: string;
  everything: BundleSize;
  conv: BundleSize | null;
  fetched: ({ file: string } & BundleSize) | null;
  note: string | null;
}

const versionOf = (name: string): string =>
  JSON.parse(readFileSync(join(MODULES, name, 'package.json'), 'utf8')).version as string;

async function measure({ name, note, packages, everything, conv, leaveOut, fetched }: Contender): Promise<Row> {
  const size = (program: string) => bundleSize(program, MODULES, leaveOut);
  const data = fetched ? readFileSync(join(MODULES, fetched)) : null;
  return {
    name,
    version: versionOf(packages[0]),
    everything: await size(everything),
    conv: conv ? await size(conv) : null,
    fetched: data && fetched ? { file: fetched, bytes: data.length, gzip: gzipSize(data) } : null,
    note: note ?? null,
  };
}

const kilobytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;

function report(rows: readonly Row[], metadata: Record<string, string>): string {
  const both = (size: BundleSize | null) => (size ? `${kilobytes(size.gzip)} (${kilobytes(size.bytes)})` : '');
  const table = markdownTable({
    title: '',
    columns: ['package', 'version', 'everything, gzip (minified)', 'one conv2d, gzip (minified)', 'and fetches, gzip'],
    rows: rows.map(({ name, version, everything, conv, fetched }) => [
      name,
      version,
      both(everything),
      both(conv) || '—',
      fetched ? `${kilobytes(fetched.gzip)} (${kilobytes(fetched.bytes)})` : '—',
    ]),
  });
  const notes = rows.flatMap(({ name, note }) => (note ? [`- ${name}: ${note}`] : []));
  const budgets = Object.entries(BUDGETS).map(([name, bytes]) => `\`${name}\` ${kilobytes(bytes)}`);
  return `# Sizes of bundles

${Object.entries(metadata)
  .map(([name, value]) => `${name}: ${value}  `)
  .join('\n')}

One ES module for browsers, bundled and minified by esbuild, then gzip −9; kB are 1,000 bytes. "Everything" exports all that
the entry point exports; "one conv2d" is a whole program that runs one convolution on WebGPU and prints the result.
"And fetches" is what such a program must also download before it can compute. The peers' programs are bundled here, but not run.

${table}

${notes.join('\n')}

Budgets, which \`kernels-test/package/package.test.ts\` checks: ${budgets.join(', ')}.
`;
}

process.on('exit', () => rmSync(HOME, { recursive: true, force: true }));
mkdirSync(MODULES);
buildPackage(join(MODULES, 'cameo'));
const missing: string[] = [];
for (const { packages } of CONTENDERS.slice(2)) {
  for (const name of packages) {
    const link = join(MODULES, name);
    mkdirSync(join(link, '..'), { recursive: true });
    try {
      readFileSync(join(ROOT, 'node_modules', name, 'package.json'));
      symlinkSync(join(ROOT, 'node_modules', name), link, 'junction');
    } catch {
      missing.push(packages[0]);
    }
  }
}
for (const name of missing)
  console.log(
    `${name} is not installed, so it is left out of the table; install it with npm ci, or npm install -D ${name}`,
  );

const rows: Row[] = [];
for (const contender of CONTENDERS) {
  if (!missing.includes(contender.packages[0])) rows.push(await measure(contender));
}
const esbuild = JSON.parse(readFileSync(join(ROOT, 'node_modules', 'esbuild', 'package.json'), 'utf8')).version;
const metadata = {
  Command: 'npm run sizes',
  Date: new Date().toISOString(),
  Commit: gitCommit() ?? 'unknown',
  Tools: `esbuild ${esbuild}, gzip by pako, Node ${process.versions.node}`,
};
const text = report(rows, metadata);
await writeFileAtomic(
  join(ROOT, 'results', 'bundle-sizes.json'),
  `${JSON.stringify({ ...metadata, rows }, null, 2)}\n`,
);
await writeFileAtomic(join(ROOT, 'results', 'bundle-sizes.md'), text);
console.log(text);
