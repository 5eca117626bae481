// adapters: once
// suite: long
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BrowserName, inPage } from '../browser/browser.js';
import { waitForText } from '../browser/browser-page.js';
import {
  choose,
  type Demo,
  dropFiles,
  openDemo,
  ownFace,
  PHOTO,
  pixelsOf,
  settled,
  slot,
  testDetector,
} from './web-fixture.js';

/*
 * The story of a first visit: the page opens with a face; a photograph is dropped, and its face found; the slider is moved; the
 * face is handed on by a link, which another page opens; and it is read back from its QR code.
 */

const detector = testDetector();
/** Most seconds, on SwiftShader and with nothing else to do. */
const MOST = 60;

/** The picture of the QR code, as its link offers it. */
async function codeOf(page: Page, folder: string): Promise<string> {
  const base64 = await page.$eval(
    '#qr',
    (canvas) => (canvas as HTMLCanvasElement).toDataURL('image/png').split(',')[1],
  );
  const path = join(folder, 'code.png');
  writeFileSync(path, Buffer.from(base64, 'base64'));
  return path;
}

async function visit(page: Page, demo: Demo, browser: BrowserName): Promise<void> {
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(demo.address);
  await settled(page, 300);
  if (browser === 'Chromium') await dropFiles(page, '.hero', [PHOTO]);
  else await choose(page, `${slot(1)} [type=file]`, PHOTO); // WebDriver drops no files
  await waitForText(page, `${slot(1)} .hint`, /faces were found/);
  await ownFace(page);
  await page.focus('#budget');
  for (let k = 0; k < 5; k++) await page.keyboard.press('ArrowLeft');
  await settled(page, 250);
  const restored = await pixelsOf(page, '#restored');
  await page.click('#qr-link');
  await waitForText(page, '#qr-caption', /^A camera opens the link/);
  const link = await page.$eval('#link', (field) => (field as HTMLInputElement).value);
  await inPage(demo, async (other) => {
    await other.goto(link);
    await waitForText(other, '#face-status', /^Cameo: \d+ bytes\.$/);
    assert.equal(await pixelsOf(other, '#restored'), restored, 'the second device shows the same face');
  });
  await choose(page, '#read-file', await codeOf(page, demo.folder));
  await waitForText(page, '#read-status', /^Restored from the QR code in code\.png: \d+ bytes/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);
}

const demos: Demo[] = [];
for (const browser of ['Chromium', 'Firefox'] as const) {
  const demo = await openDemo(browser, 'path' in detector ? detector.path : null);
  demos.push(demo);
  const reason = 'missing' in detector ? detector.missing : demo.reason;
  const name = `a first visit in ${browser}`;
  if (reason) {
    console.log(`SKIP ${name}: ${reason}`);
    test.skip(name);
    continue;
  }
  test(name, async () => {
    const start = performance.now();
    await inPage(demo, (page) => visit(page, demo, browser));
    const seconds = (performance.now() - start) / 1000;
    console.log(`a first visit in ${browser}: ${seconds.toFixed(1)} s`);
    assert.ok(seconds < MOST, `${seconds} s`);
  });
}

test.after(async () => {
  for (const demo of demos) await demo.close();
});

test.run();
