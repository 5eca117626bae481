// suite: long
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
