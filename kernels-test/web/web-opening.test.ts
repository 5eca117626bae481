// adapters: once
// suite: long
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servePage } from '../../bench/web/serve.js';
import { readQr } from '../../src/data/pictures/read-qr.js';
import { buildDemo } from '../../web/build.js';
import { gpuObstacle, startBrowser, watched } from '../browser/browser.js';
import { textOf, waitForText } from '../browser/browser-page.js';
import { choose, PHOTO, pixelsOf, setBudget, settled, slot, testDetector } from './web-fixture.js';

/*
 * The page as it opens for the first time, in a browser that has never seen it, from a sub-folder of a server; then without
 * that server.
 */

const folder = mkdtempSync(join(tmpdir(), 'cameo-opening-'));
const site = join(folder, 'site');
const detector = testDetector();
const files = await buildDemo(site, 'path' in detector ? detector.path : null);
const { server, address } = await servePage(site, 0, files, 'some/where/');
const started = await startBrowser();
// Of a file that fetches nothing: the visits are to be the first.
const reason = await gpuObstacle({ started, address: `${address}style.css` });
const asked: string[] = [];
server.on('request', ({ url }: { url: string }) => void asked.push(url));

/** Most bytes of page.js with the parts that it cannot begin without, and of all parts together. */
const BUDGETS = { start: 250_000, all: 550_000 };
/** Most milliseconds to the first restored face, on SwiftShader. */
const FIRST_FACE = 8000;

test('page.js is minified and small, and every address is relative', () => {
  const scripts = files.filter((name) => name.endsWith('.js'));
  const textOfFile = (name: string): string => readFileSync(join(site, name), 'utf8');
  const begun = new Set<string>();
  const begin = (name: string): void => {
    if (begun.has(name)) return;
    begun.add(name);
    for (const [, part] of textOfFile(name).matchAll(/(?:from|import)"\.\/([^"]+)"/g)) begin(part);
  };
  begin('page.js');
  const size = (names: Iterable<string>): number =>
    [...names].reduce((sum, name) => sum + statSync(join(site, name)).size, 0);
  console.log(
    `page.js: ${size(['page.js'])} bytes; with the parts it begins with ${size(begun)}; all parts ${size(scripts)}`,
  );
  assert.ok(begun.size > 1, 'it has parts');
  assert.ok(size(begun) < BUDGETS.start, `${size(begun)} bytes`);
  assert.ok(size(scripts) < BUDGETS.all, `${size(scripts)} bytes`);
  const page = textOfFile('index.html') + textOfFile('style.css');
  const absolute = [...page.matchAll(/(?:src|href)="(\/[^"]*|https?:[^"]*)"|url\((\/|http)/g)].map(([all]) => all);
  assert.equal(absolute, []);
});

const inFirstVisit = async (run: (page: Page) => Promise<void>): Promise<void> => {
  if ('missing' in started) throw new Error(started.missing);
  const context = await started.browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await run(page);
  } finally {
    await context.close();
  }
};

const firstFace = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => performance.getEntriesByName('first-face').length > 0, { timeout: 60_000 });

const timesOf = (page: Page): Promise<{ paint: number; face: number }> =>
  page.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    face: performance.getEntriesByName('first-face')[0].startTime,
  }));

/** Paths of the weights and tables that this browser has kept. */
const keptFiles = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const kept: string[] = [];
    for (const name of await caches.keys()) {
      if (!name.startsWith('cameo-files ')) continue;
      for (const { url } of await (await caches.open(name)).keys()) kept.push(new URL(url).pathname);
    }
    return kept;
  });

const opening = async (page: Page): Promise<void> => {
  await watched(page, address, async () => {
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(address);
    // Bytes and code are there before the weights are.
    const bytes = Number(await waitForText(page, '#face-bytes', /^\d+$/));
    assert.ok(bytes > 280 && bytes <= 300, `${bytes} bytes`);
    assert.is(await textOf(page, '#face-kind'), 'An invented face');
    await firstFace(page);
    const { paint, face } = await timesOf(page);
    console.log(
      `first contentful paint ${paint.toFixed(0)} ms, first restored face ${face.toFixed(0)} ms, SwiftShader`,
    );
    assert.ok(paint < face, 'the page does not wait for weights');
    assert.ok(face < FIRST_FACE, `${face} ms`);
    await settled(page, 300);
    // The code holds what was restored.
    const rgba = await pixelsOf(page, '#qr');
    const side = Math.sqrt(rgba.length / 4);
    const code = { width: side, height: side, data: Uint8Array.from(rgba.filter((_, i) => i % 4 < 3)) };
    const bare = readQr(code, 5000);
    assert.is(bare.length, bytes - 8);
    const link = await page.$eval('#link', (field) => (field as HTMLInputElement).value);
    assert.ok(link.startsWith(`${address}#face=`), link);
    assert.equal(Buffer.from(link.split('#face=')[1], 'base64url'), Buffer.from(bare));
  });
};

const offline = async (page: Page): Promise<void> => {
  await waitForText(page, '#offline', /without a network/);
  await page.waitForFunction(
    async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith('cameo-files '));
      return names.length > 0 && (await (await caches.open(names[0])).keys()).length >= 4;
    },
    { polling: 300, timeout: 30_000 },
  );
  const kept = await keptFiles(page);
  assert.ok(kept.includes('/some/where/models/face.safetensors'), kept.join());
  await page.reload();
  await firstFace(page);
  console.log(`first restored face at the second visit ${(await timesOf(page)).face.toFixed(0)} ms`);
  const weights = asked.filter((url) => url.startsWith('/some/where/models/face.safetensors'));
  assert.is(weights.length, 1, 'weights are fetched once');
  assert.equal(
    asked.filter((url) => !url.startsWith('/some/where/')),
    [],
    'nothing outside of its folder',
  );

  server.close();
  server.closeAllConnections();
  await page.reload();
  await firstFace(page);
  await setBudget(page, 120);
  await settled(page, 120);
  await choose(page, `${slot(1)} [type=file]`, PHOTO);
  await waitForText(page, `${slot(1)} .hint`, 'path' in detector ? /(was|were) found/ : /without the weights/);
};

const name = 'it opens with a face, from a sub-folder, and the second time without a network';
if (reason) {
  console.log(`SKIP ${name}: ${reason}`);
  test.skip(name);
} else {
  test(name, () =>
    inFirstVisit(async (page) => {
      await opening(page);
      await offline(page);
    }),
  );
}

test.after(async () => {
  server.close();
  server.closeAllConnections();
  if (!('missing' in started)) await started.close();
  rmSync(folder, { recursive: true, force: true });
});

test.run();
