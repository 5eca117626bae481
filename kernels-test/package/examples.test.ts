// suite: long
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runNode } from '../../bench/install-package.js';
import { encodePng, readImage } from '../../src/data/pictures/image.js';
import { readSafetensors } from '../../src/engine.js';
import { installPacked, linkPackage } from './packed-package.js';

/*
 * The programs of examples/, and the one of docs/engine.md, in a project that has the package and its optional peers.
 */
// adapters: once

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'cameo-examples-'));
const project = join(home, 'project');
const installed = join(project, 'node_modules', 'cameo');

test('the package is installed with its optional peers', () => {
  assert.is(installPacked(project), installed);
  for (const name of ['webgpu', '@sparticuz/chromium']) linkPackage(project, name);
});

const example = (name: string, ...args: string[]): string =>
  runNode(project, join(installed, 'examples', `${name}.mjs`), ...args);

/** Two drawn "faces", which are enough because the examples depend on the size of pictures, not on their content. */
async function drawFaces(): Promise<[string, string]> {
  const paths = ['a.png', 'b.png'].map((name) => join(project, name)) as [string, string];
  for (const [k, path] of paths.entries()) {
    const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)];
      return 128 + 90 * Math.sin(x / (12 + 9 * k) + (i % 3)) * Math.cos(y / (17 - 5 * k));
    });
    writeFileSync(path, await encodePng({ width: 96, height: 112, data }));
  }
  return paths;
}

test('the example embed.mjs embeds two faces, in ten lines', async () => {
  const [a, b] = await drawFaces();
  const cosineOf = (...paths: string[]) => Number(/cosine (\S+)/.exec(example('embed', ...paths))?.[1]);
  assert.ok(Math.abs(cosineOf(a, a) - 1) < 1e-5);
  const cosine = cosineOf(a, b);
  assert.ok(cosine < 0.99);
  // The exit code of the command is its decision; it prints the same number.
  const program = join(installed, 'dist', 'cli.js');
  const { stdout } = spawnSync(process.execPath, [program, 'verify', a, b, '--json'], { encoding: 'utf8' });
  assert.is(Math.fround(JSON.parse(stdout).similarity), Math.fround(cosine));
  const code = readFileSync(join(installed, 'examples', 'embed.mjs'), 'utf8').split('\n');
  assert.is(code.filter((line) => line && !line.startsWith('//')).length, 10);
});

test('the example compress.mjs makes 300 bytes of a face', async () => {
  const [a] = await drawFaces();
  const restored = join(project, 'restored.png');
  const [, bytes] = /([0-9]+) bytes of file/.exec(example('compress', a, restored)) ?? [];
  assert.ok(Number(bytes) <= 300 && Number(bytes) > 100, `${bytes} bytes`);
  const { width, height } = await readImage(restored);
  assert.equal([width, height], [96, 112]);
});

test('the example train-on-your-images.mjs trains on images of a folder, and on drawn ones', async () => {
  for (const [k, name] of ['dark', 'light'].entries()) {
    mkdirSync(join(project, 'pictures', name), { recursive: true });
    for (let i = 0; i < 10; i++) {
      const data = new Uint8Array(40 * 30 * 3).map((_, j) => 60 + 120 * k + ((i * 37 + j * 11) % 50));
      writeFileSync(join(project, 'pictures', name, `${i}.png`), await encodePng({ width: 40, height: 30, data }));
    }
  }
  const weights = join(project, 'weights.safetensors');
  const printed = example('train-on-your-images', join(project, 'pictures'), '50', weights);
  assert.match(printed, /^4 of 4 held-out pictures right, of 2 classes: dark, light$/m);
  assert.ok(readSafetensors(readFileSync(weights)).tensors.size > 4);
  const losses = [...example('train-on-your-images', '', '25').matchAll(/loss (\S+)/g)].map(([, loss]) => Number(loss));
  assert.ok(losses[1] < losses[0] / 2, `losses ${losses}`);
});

test('the example small-gan.mjs learns to draw discs', () => {
  const round = (steps: string) => Number(/^(\d+) of 32 drawings are round$/m.exec(example('small-gan', steps))?.[1]);
  assert.is(round('1'), 0);
  assert.ok(round('300') >= 20);
});

/** The accuracies that an example printed, in percent. */
const percentages = (printed: string): number[] =>
  [...printed.matchAll(/^([\d.]+) % of /gm)].map(([, text]) => Number(text));

test('the example digits.mjs reads over 95 % of its held-out digits', () => {
  const [share] = percentages(example('digits'));
  assert.ok(share > 95, `${share} %`);
});

/** A file as MNIST has it: two zero bytes, the type of bytes, the number of axes, their sizes, the values. */
function idx(shape: number[], values: (i: number) => number): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, 8, shape.length]);
  for (const [k, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * k);
  return Buffer.concat([head, Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => values(i))]);
}

test("the example digits.mjs learns from a folder with MNIST's files, and names a file that does not fit", () => {
  const folder = join(project, 'mnist');
  mkdirSync(folder);
  // The label of a picture is where its bar lies.
  const bar = (i: number): number => (Math.floor((i % 784) / 56) === Math.floor(i / 784) % 10 ? 255 : (i * 37) % 60);
  for (const [part, count] of [
    ['train', 100],
    ['t10k', 20],
  ] as const) {
    writeFileSync(join(folder, `${part}-images-idx3-ubyte.gz`), gzipSync(idx([count, 28, 28], bar)));
    writeFileSync(
      join(folder, `${part}-labels-idx1-ubyte`),
      idx([count], (i) => i % 10),
    );
  }
  const printed = example('digits', folder, '20');
  assert.match(printed, /^100 digits to learn, 20 held out/);
  assert.ok(percentages(printed)[0] >= 90, printed);
  writeFileSync(join(folder, 't10k-images-idx3-ubyte.gz'), gzipSync(idx([20, 27, 28], () => 0)));
  assert.throws(
    () => example('digits', folder, '1'),
    /t10k-images-idx3-ubyte: .*\[20,27,28\]; expected pictures of 28×28/,
  );
});

test('the example transfer-learning.mjs trains a new head, and then the last layers, on images of a folder', () => {
  const weights = join(project, 'classifier.safetensors');
  const printed = example('transfer-learning', join(project, 'pictures'), '2', weights);
  assert.match(printed, /^16 pictures to learn, 4 held out, of 2 classes: dark,light$/m);
  assert.equal(percentages(printed), [100, 100]);
  assert.match(printed, /^\d+ bytes saved; a network for 3 classes takes all but head\.weight, head\.bias$/m);
  const { tensors } = readSafetensors(readFileSync(weights));
  assert.equal(tensors.get('head.weight')?.shape, [128, 2]);
  assert.ok(tensors.has('recognizer.linear1.conv.weight'));
});

test('the example own-kernel.mjs has a gradient that agrees with finite differences', () => {
  assert.match(example('own-kernel'), /largest difference \S+e-\d/);
});

test('the program of docs/engine.md trains its network', () => {
  const page = readFileSync(join(root, 'docs', 'engine.md'), 'utf8');
  const [, program] = /```js\n(import[\s\S]*?)```/.exec(page) ?? [];
  assert.ok(program, 'the page has a program');
  writeFileSync(join(project, 'page.mjs'), program);
  const losses = runNode(project, 'page.mjs')
    .trim()
    .split('\n')
    .map((line) => Number(line.split(' ')[1]));
  assert.is(losses.length, 4);
  assert.ok(losses[3] < 0.01 && losses[3] < losses[0], `losses ${losses}`);
});

test.after(() => rmSync(home, { recursive: true, force: true }));
test.run();
