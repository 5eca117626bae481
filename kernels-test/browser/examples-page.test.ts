// adapters: once
// suite: long
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPackage } from '../../bench/install-package.js';
import { browserTest, gpuObstacle, startBrowser, type TestSite } from './browser.js';
import { textOf, waitForText } from './browser-page.js';

/*
 * The page of the examples, served from a built package as examples/README.md says. How well the examples learn is tested in Node; here
 * they take few steps.
 */
const folder = mkdtempSync(join(tmpdir(), 'cameo-examples-page-'));

/** Starts the examples' server on a free port. @returns the address of its root */
async function serve(): Promise<{ server: ChildProcess; address: string }> {
  const program = join(buildPackage(folder, false), 'examples', 'serve.mjs');
  const server = spawn(process.execPath, [program, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(server.stdout, 'data');
  const [, address] = /^(http:\/\/localhost:\d+\/)examples\/in-a-page\.html - /.exec(String(line)) ?? [];
  assert.ok(address, `the server said "${line}"`);
  return { server, address };
}

const { server, address } = await serve();
const site: TestSite = { started: await startBrowser(), address };
const page = `${address}examples/in-a-page.html`;
const reason = await gpuObstacle({ started: site.started, address: page });

test('the server gives the files of the examples, the package and its weights, and no others', async () => {
  // A body that nobody reads keeps its connection open.
  const fetched = async (url: string): Promise<Response> => {
    const response = await fetch(url, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    return response;
  };
  const statuses = async (...paths: string[]): Promise<number[]> =>
    Promise.all(paths.map(async (path) => (await fetched(address + path)).status));
  const given = ['examples/digits.mjs?again', 'dist/engine.js', 'models/recognizer.safetensors'];
  assert.equal(await statuses(...given), [200, 200, 200]);
  assert.is((await fetched(page)).headers.get('content-type'), 'text/html; charset=utf-8');
  const refused = ['', 'package.json', 'examples/%2e%2e/package.json', 'examples//etc/hosts', 'dist/nothing.js'];
  assert.equal(await statuses(...refused), [404, 404, 404, 404, 404]);
});

/** Presses the button of an example, and waits for its end. @returns what it printed */
async function runExample(page: Page, name: string): Promise<string> {
  await page.click(`button[value=${name}]`);
  await waitForText(page, '#status', /: (done in [\d.]+ s|(?!running).*)$/);
  const status = await textOf(page, '#status');
  console.log(`${name}: ${status}`);
  assert.match(status, /: done in [\d.]+ s$/);
  return textOf(page, '#lines');
}

/** Size of the canvas, and whether its pixels differ. */
const canvasOf = (page: Page): Promise<{ size: number[]; differ: boolean }> =>
  page.$eval('#pictures', (element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    const grey = data.filter((_, i) => i % 4 === 0);
    return { size: [canvas.width, canvas.height], differ: grey.some((value) => value !== grey[0]) };
  });

const EXAMPLES: [name: string, lines: RegExp, canvas: number[]][] = [
  ['digits', /^2000 digits.*^step 1: loss [\d.]+\n[\d.]+ % of the held-out digits read right$/ms, [224, 56]],
  ['small-gan', /^step 2: critic [\d.]+, generator [\d.]+.*^\d+ of 32 drawings are round$/ms, [128, 64]],
  [
    'transfer-learning',
    /^96 pictures.*% of the held-out.*% of them right.*takes all but head\.weight, head\.bias$/ms,
    [576, 112],
  ],
];

for (const [name, lines, size] of EXAMPLES) {
  browserTest(site, reason, `the page runs ${name}`, async (opened) => {
    await opened.goto(`${page}?steps=2`);
    assert.match(await runExample(opened, name), lines);
    assert.equal(await canvasOf(opened), { size, differ: true });
  });
}

browserTest(site, reason, 'the page says what is wrong', async (opened) => {
  await opened.goto(page);
  await opened.evaluate(() => Object.defineProperty(navigator, 'gpu', { value: undefined }));
  await opened.click('button[value=digits]');
  await waitForText(opened, '#status', /^Learn to read digits: this browser has no WebGPU/);
});

test.after(async () => {
  server.kill();
  if (!('missing' in site.started)) await site.started.close();
  rmSync(folder, { recursive: true, force: true });
});

test.run();
