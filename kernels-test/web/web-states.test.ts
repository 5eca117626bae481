// adapters: once
// suite: long
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { browserTest } from '../browser/browser.js';
import { downloaded, runBench, textOf, waitForText } from '../browser/browser-page.js';
import { assertAccessible } from './axe.js';
import { packageFile } from './web-files.js';
import {
  alignedFile,
  assertFits,
  choose,
  dropFiles,
  openDemo,
  ownFace,
  PHOTO,
  pixelsOf,
  SCREENSHOTS,
  screenshots,
  settled,
  slot,
  testDetector,
} from './web-fixture.js';

/*
 * Each state of the page: for axe, for a window of 360 pixels, and for the pictures in results/web. The faces are invented.
 */

const detector = testDetector();
const demo = await openDemo('Chromium', 'path' in detector ? detector.path : null);
const { folder, address } = demo;
const reason = 'missing' in detector ? detector.missing : demo.reason;
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 800 };

/** What the pictures of a state show, where that is not the top of the page. */
const SHOWN: Readonly<Record<string, string>> = { photograph: 'whole', 'read-back': '#read', bench: '#result' };

/** The true accept rate of the recogniser that ships, at a false accept rate. */
function shippedTar(far: string): number {
  const id = createHash('sha256').update(packageFile('models/recognizer.safetensors')).digest('hex').slice(0, 16);
  const known = JSON.parse(packageFile('models/verification-thresholds.json').toString());
  return known[id].pairs.tar[far];
}

/** Looks at the page as it is: in a wide window and a narrow one, and at its colours in the dark. */
async function look(page: Page, state: string): Promise<void> {
  await page.setViewport(WIDE);
  await assertAccessible(page, `${state}, wide`);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await page.setViewport(NARROW);
  await assertFits(page, state);
  await assertAccessible(page, `${state}, narrow and dark`);
  await page.emulateMediaFeatures([]);
  await screenshots(page, state, SHOWN[state]);
  await page.setViewport(WIDE);
}

browserTest(demo, reason, 'each state of the first tab is for everybody', async (page) => {
  await page.setViewport(WIDE);
  await page.goto(address);
  await settled(page, 300);
  await look(page, 'open');
  const invented = await downloaded(page, '#download-file', folder);
  const link = await page.$eval('#link', (field) => (field as HTMLInputElement).value);

  // Before and after, by the keyboard.
  await page.focus('#wipe-at');
  await page.keyboard.press('Home');
  assert.is(await page.$eval('#wipe', (wipe) => (wipe as HTMLElement).style.getPropertyValue('--at')), '0%');
  assert.match(await page.$eval('#wipe-at', (range) => range.getAttribute('aria-valuetext')!), /^0 % original, 100 %/);
  for (let k = 0; k < 5; k++) await page.keyboard.press('PageUp');
  assert.is(await page.$eval('#wipe', (wipe) => (wipe as HTMLElement).style.getPropertyValue('--at')), '50%');

  await dropFiles(page, '#beside', [PHOTO]); // anywhere on the page
  await waitForText(page, `${slot(1)} .hint`, /^3 faces were found, and the largest is chosen/);
  await ownFace(page);
  await choose(page, `${slot(2)} [type=file]`, await alignedFile(folder, 1));
  await waitForText(page, '#verdict', /^(Same person|Not the same person): similarity -?\d\.\d+, (below|at or above)/);
  const accepted = Math.round(100 * shippedTar('0.001'));
  const rates = `1 in 1,000 pairs of different persons passes\\. .* ${accepted} % pass, and ${100 - accepted} % are missed`;
  assert.match(await textOf(page, '#rates'), new RegExp(rates));
  await settled(page, 300);
  await look(page, 'photograph');

  await page.goto(`${address}?again${link.slice(link.indexOf('#'))}`);
  await waitForText(page, '#face-kind', /^A face that came with the link$/);
  await waitForText(page, '#face-status', /^Cameo: \d+ bytes\.$/);
  assert.is(await page.$eval('#beside', (section) => (section as HTMLElement).hidden), true);
  await look(page, 'linked');

  // A link that was cut off, and one that is none.
  for (const [fragment, said] of [
    [link.slice(link.indexOf('#'), -40), /^The face in the link cannot be restored: /],
    [
      '#face=a$b',
      /^The face in the link cannot be restored: the link's face is "a\$b", 3 characters; expected base64url/,
    ],
  ] as const) {
    await page.goto(`${address}?damaged${fragment.length}${fragment}`);
    await waitForText(page, '#link-problem', said);
    await waitForText(page, '#face-kind', /^An invented face$/);
  }
  await settled(page, 300);
  await look(page, 'damaged-link');
  await readBack(page, invented);
});

/** Every file of ours is read, and an archive offers its faces. */
async function readBack(page: Page, invented: string): Promise<void> {
  const restored = await pixelsOf(page, '#restored');
  const { model } = readKlt(packageFile('models/face.safetensors')).tables!;
  const face = unpackFaceFile(new Uint8Array(packageFile(invented)), model);
  const grey = { ...face, grey: true };
  const archive = join(folder, 'people.cameos');
  writeFileSync(
    archive,
    packArchive(
      [
        { ...grey, name: 'ann' },
        { ...face, name: 'bob' },
      ],
      model,
    ),
  );
  await dropFiles(page, '#photo-1', [archive]); // dropped where a photograph is expected
  await waitForText(page, '#read-status', /^Restored from ann, 1 of 2 in people\.cameos: \d+ bytes/);
  await page.select('#read-choice', '1');
  await waitForText(page, '#read-status', /^Restored from bob, 2 of 2 in people\.cameos/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);
  await look(page, 'read-back');

  // A QR code that holds the link.
  await page.click('#qr-link');
  await waitForText(page, '#qr-caption', /^A camera opens the link/);
  await page.waitForFunction(() => document.querySelector<HTMLAnchorElement>('#qr-download')!.href.startsWith('blob:'));
  await choose(page, '#read-file', await downloaded(page, '#qr-download', folder));
  await waitForText(page, '#read-status', /^Restored from the QR code in invented-face-qr/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);
  // A face in a PNG, of the other codec.
  await choose(page, '#read-file', packageFile.path('kernels-test/web/face.cameo.png'));
  await waitForText(page, '#read-status', /^Restored from face\.cameo\.png, a face in a PNG: \d+ bytes/);
}

browserTest(demo, reason, 'training and the bench are for everybody', async (page) => {
  await page.setViewport(WIDE);
  await page.goto(address);
  await settled(page, 300);
  await page.click('#tab-train');
  await page.waitForSelector('#train-look canvas');
  await look(page, 'train');
  // To the next tab by the keyboard.
  await page.focus('#tab-train');
  await page.keyboard.press('ArrowRight');
  assert.is(await page.$eval('[role=tab][aria-selected=true]', (tab) => tab.id), 'tab-bench');
  assert.is(await page.$eval('#face', (panel) => (panel as HTMLElement).hidden), true);
  await runBench(page, '@1×1', SCREENSHOTS ? 'conv' : 'conv forward');
  await page.waitForSelector('#download a', { timeout: 120_000 });
  assert.match(await textOf(page, '#status'), /^Done: \d+ measurements/);
  assert.ok((await page.$$('#result svg circle')).length >= 2);
  await look(page, 'bench');
});

test.after(() => demo.close());

test.run();
