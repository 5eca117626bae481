// suite: long
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runNode } from '../../bench/install-package.js';
import { packedPackage } from './packed-package.js';

/*
 * Tests the package's type declarations with the TypeScript versions of users: strict, with all checks, and with nothing else
 * installed; and together with the WebGPU types that users may have, with which ours must be compatible.
 */
// adapters: once
// time limit: 2 times

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'cameo-types-'));
const modules = join(home, 'node_modules');
const COMPILERS = ['typescript-5.6', 'typescript-5.9', 'typescript'];

const RESOLUTIONS = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
];

/** A program that uses all entry points, and the types of the platform that their types name. */
const PROGRAM = `
import { FaceCodec, encodeMany, AutoencoderCodec } from 'cameo';
import { Adam, conv2d, defineOp, type Gpu, openBrowserGpu, Tape, Tensor } from 'cameo/engine';
import { encodeToArchive, listAdapters, openGpu } from 'cameo/node';
export const gpu: Gpu = await openBrowserGpu();
export const values: Float32Array = await Tensor.zeros(gpu, [1]).read();
export const convolve = (x: Tensor): Tensor => conv2d(x, Tensor.zeros(gpu, [3, 3, 3, 8]), null, { stride: [2, 2] });
export const label: string = gpu.device.label;
export const lost: Promise<string> = gpu.device.lost.then(({ message }) => message);
export const bytes = (codec: FaceCodec): Promise<Uint8Array[]> => codec.encode([], { maxBytes: 300 });
// @ts-expect-error: a shape is numbers
convolve('8 by 8');
// @ts-expect-error: a label is text
gpu.device.label = 8;
export const all = [Adam, defineOp, Tape, AutoencoderCodec, encodeMany, encodeToArchive, listAdapters, openGpu];
`;

/** A user's program, and its compiler options. */
interface Project {
  text: string;
  options: Record<string, unknown>;
}

/** Compiles programs in one process, which reads the libraries once. @throws Error with the compiler's messages */
function compile(compiler: string, ...projects: readonly Project[]): void {
  const strict = {
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    // Older compilers spend most of their time on their own libraries, so only the newest checks those.
    skipDefaultLibCheck: compiler !== 'typescript',
    exactOptionalPropertyTypes: false,
    target: 'es2022',
  };
  const folder = mkdtempSync(join(home, 'programs-'));
  const configs = projects.map(({ text, options }, k) => {
    const path = join(folder, `tsconfig-${k}.json`);
    writeFileSync(join(folder, `user-${k}.ts`), text);
    const compilerOptions = { ...strict, types: [], ...options };
    writeFileSync(path, JSON.stringify({ compilerOptions, files: [`user-${k}.ts`] }));
    return path;
  });
  runNode(home, join(root, 'node_modules', compiler, 'bin', 'tsc'), '--build', ...configs);
}

test('the package can be built', () => {
  mkdirSync(join(modules, 'cameo'), { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  execFileSync('tar', ['-xzf', packedPackage().tarball, '-C', join(modules, 'cameo'), '--strip-components=1']);
});

for (const compiler of COMPILERS) {
  test(`${compiler}: the types need nothing else, with lib "dom" and without, and reject wrong calls`, () => {
    compile(
      compiler,
      { text: PROGRAM, options: { lib: ['es2022', 'dom'], ...RESOLUTIONS[0] } },
      { text: PROGRAM, options: { lib: ['es2022'], ...RESOLUTIONS[1] } },
    );
  });
}

test('the test detects a mistake in a program', () => {
  const wrong = PROGRAM.replaceAll('// @ts-expect-error', '//');
  const options = { lib: ['es2022', 'dom'], ...RESOLUTIONS[0] };
  assert.throws(() => compile('typescript', { text: wrong, options }), /TS2345[\s\S]*TS2322/);
});

/** Our WebGPU types are compatible with those of a program: values of the engine are accepted where those are expected, and the other way round. */
const OWN_TYPES = `
import { openAdapter } from 'cameo/engine';
export const submit = (gpu: Gpu, commands: GPUCommandBuffer[]): void => gpu.device.queue.submit(commands);
export const deviceOf = (gpu: Gpu): GPUDevice => gpu.device;
export const wrap = (adapter: GPUAdapter): Promise<Gpu> => openAdapter(adapter, {});
// @ts-expect-error: a device is no adapter
export const wrong = (gpu: Gpu): GPUAdapter => gpu.device;
`;

test("@webgpu/types, @types/node and the newest compiler's own WebGPU types: ours are those", () => {
  mkdirSync(join(modules, '@webgpu'));
  mkdirSync(join(modules, '@types'));
  for (const name of ['@webgpu/types', '@types/node', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const common = { ...RESOLUTIONS[1], lib: ['es2022', 'dom'] };
  const withOwnTypes = (...types: string[]): Project => ({ text: PROGRAM + OWN_TYPES, options: { ...common, types } });
  compile('typescript-5.6', withOwnTypes('@webgpu/types', 'node'));
  // @types/node declares AbortSignal without "dom".
  const nodes = { text: PROGRAM, options: { ...RESOLUTIONS[0], lib: ['es2022'], types: ['node'] } };
  compile('typescript-5.9', withOwnTypes('@webgpu/types'), nodes);
  compile('typescript', withOwnTypes());
});

test.after(() => rmSync(home, { recursive: true, force: true }));
test.run();
