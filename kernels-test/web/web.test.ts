// adapters: once
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { readImage } from '../../src/data/pictures/image.js';
import { alignFace, LANDMARK_NAMES } from '../../src/detection/align.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { browserTest } from '../browser/browser.js';
import { downloaded, textOf, waitForText } from '../browser/browser-page.js';
import {
  alignedFile,
  assertFits,
  choose,
  dropFiles,
  openDemo,
  openTools,
  ownFace,
  PHONE,
  PHOTO,
  photoLandmarks,
  pixelsOf,
  placeLandmarks,
  setBudget,
  settled,
  slot,
} from './web-fixture.js';

/** Points are placed by hand here. */
const demo = await openDemo('Chromium');
const { folder, address, reason } = demo;
const DESKTOP = { width: 1100, height: 900 };

const withoutAlpha = (rgba: readonly number[]): Uint8Array => Uint8Array.from(rgba.filter((_, i) => i % 4 < 3));

/** Similarity and decision of a row of the recogniser's table. */
async function verdict(page: Page, title: string): Promise<{ similarity: number; decision: string }> {
  const rows = await page.$$eval('#verdicts tr', (rows) =>
    rows.map((row) => [...(row as HTMLTableRowElement).cells].map((cell) => cell.textContent ?? '')),
  );
  const row = rows.find(([name]) => name === title);
  assert.ok(row, `${title} is not among ${rows.map(([name]) => name).join(', ')}`);
  return { similarity: Number(row[1]), decision: row[2] };
}

browserTest(demo, reason, 'a dropped photograph becomes a file, a QR code and a face again', async (page) => {
  await page.setViewport(DESKTOP);
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on .*swiftshader, a software adapter on the CPU/);
  await choose(page, `${slot(2)} [type=file]`, await alignedFile(folder, 1));
  await dropFiles(page, slot(1), [PHOTO]);
  await page.waitForSelector(`${slot(1)} .handle`, { visible: true });
  const hint = await waitForText(page, `${slot(1)} .hint`, /found/);
  assert.match(hint, /^Faces cannot be found here: .*without the weights.*\. Place the five points/);

  // The points by the mouse, the last of them by the keyboard.
  const [landmarks] = await photoLandmarks();
  await placeLandmarks(page, slot(1), landmarks);
  const labels = await page.$$eval(`${slot(1)} .handle`, (all) =>
    all.map((handle) => handle.getAttribute('aria-label')!),
  );
  assert.equal(
    labels.map((label) => label.replace(/, at .*/, '')),
    [...LANDMARK_NAMES, 'whole face'],
  );
  await page.keyboard.press('ArrowRight');
  assert.is.not(await page.$eval(`${slot(1)} .handle:focus`, (handle) => handle.getAttribute('aria-label')), labels[4]);
  assert.match(await textOf(page, `${slot(1)} .moved`), /^right mouth corner, at \d+, \d+$/);
  await page.keyboard.press('ArrowLeft');
  await openTools(page, slot(1));
  await page.click(`${slot(1)} .zoom`);
  const [eye] = await page.$$(`${slot(1)} .handle`);
  assert.is(await eye.evaluate((handle) => handle.getAttribute('aria-label')), labels[0], 'zooming moves nothing');
  const near = (await (await page.$(`${slot(1)} .stage`))!.boundingBox())!;
  const at = (await eye.boundingBox())!;
  assert.ok(at.x > near.x && at.x + at.width < near.x + near.width, 'the face is in the part that is shown');

  await ownFace(page);
  await setBudget(page, 500);
  await settled(page, 500);
  const crop = withoutAlpha(await pixelsOf(page, `${slot(1)} .crop`));
  const expected = alignFace(await readImage(PHOTO), landmarks).data;
  assert.ok(psnr(crop, expected) > 28, `the page aligns as Node does, to ${psnr(crop, expected)} dB`);

  // The recogniser's table: another person's face beside it, then the same picture again.
  const other = await verdict(page, 'Both photographs, uncompressed');
  assert.is((await verdict(page, 'The first, and what Cameo restores of it')).decision, 'same person');
  assert.is(other.decision, 'not the same person');
  await choose(page, `${slot(2)} [type=file]`, await alignedFile(folder, 0));

  // The slider: what is larger is nearer to the original, and stays within the budget.
  let before = 0;
  for (const budget of [200, 700]) {
    await setBudget(page, budget);
    await settled(page, budget);
    const file = readFileSync(await downloaded(page, '#download-file', folder));
    const { model } = readKlt(readFileSync(new URL('../../models/face.safetensors', import.meta.url))).tables!;
    assert.is(unpackFaceFile(file, model).symbols.length, model.latents, 'whole, by its checksum');
    assert.ok(file.length <= budget && file.length > 0.85 * budget, `${file.length} of ${budget}`);
    const quality = Number(/([\d.]+) dB/.exec(await textOf(page, '#face-status'))![1]);
    assert.ok(quality > before + 1, `${quality} dB at ${budget} bytes`);
    before = quality;
    const samePicture = await verdict(page, 'Both photographs, uncompressed');
    assert.ok(samePicture.similarity > 0.95, `${samePicture.similarity} for the same picture`);
    assert.is(samePicture.decision, 'same person');
    for (const [key, least] of [
      ['jpeg', 300],
      ['webp', 0],
    ] as const) {
      const card = await textOf(page, `[data-key=${key}]`);
      const bytes = Number(/(\d+) bytes/.exec(card)?.[1]);
      if (budget < least) assert.match(card, /makes no file this small/);
      else assert.ok(bytes <= budget && bytes > 0, card);
    }
  }

  // The QR code, by way of its picture; then the file itself.
  const restored = await pixelsOf(page, '[data-key=cameo] canvas');
  const qr = await downloaded(page, '#qr-download', folder);
  assert.match(basename(qr), /^invented-faces-qr\.png$/);
  await choose(page, '#read-file', qr);
  await waitForText(page, '#read-status', /^Restored from the QR code in invented-faces-qr\.png: \d+ bytes/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);
  await choose(page, '#read-file', await downloaded(page, '#download-file', folder));
  await waitForText(page, '#read-status', /^Restored from invented-faces.*\.cameo, a file: \d+ bytes/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);

  // The QR code before the camera, which is a canvas here; then a picture of Chromium's own camera.
  const original = await page.evaluateHandle(() => {
    const { getUserMedia } = MediaDevices.prototype;
    MediaDevices.prototype.getUserMedia = async () => {
      const source = document.getElementById('qr') as HTMLCanvasElement;
      const canvas = Object.assign(document.createElement('canvas'), { width: 960, height: 720 });
      const context = canvas.getContext('2d')!;
      setInterval(() => {
        context.fillStyle = '#777';
        context.fillRect(0, 0, 960, 720);
        context.drawImage(source, 140, 20, 680, 680);
      }, 50);
      return canvas.captureStream(20);
    };
    return getUserMedia;
  });
  await page.click('#read-camera');
  await waitForText(page, '#read-status', /before the camera: \d+ bytes/);
  assert.equal(await pixelsOf(page, '#read-face'), restored);
  await page.evaluate((getUserMedia) => (MediaDevices.prototype.getUserMedia = getUserMedia), original);
  await page.click(`${slot(2)} .camera`);
  await page.waitForSelector('#camera .take:enabled', { visible: true });
  await page.click('#camera .take');
  await page.waitForSelector('#camera:not([open])');
  await page.waitForSelector(`${slot(2)}:not(.aligned) .photo[aria-label*=camera]`);
  await page.waitForSelector(`${slot(2)} .handle`, { visible: true });

  await page.setViewport(PHONE);
  await assertFits(page, 'the first tab');
});

test.after(() => demo.close());

test.run();
