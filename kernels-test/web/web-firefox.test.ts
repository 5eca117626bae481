// adapters: once
// time limit: 2 times
// suite: long
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { readImage } from '../../src/data/pictures/image.js';
import { alignFace } from '../../src/detection/align.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { browserTest } from '../browser/browser.js';
import { runBench, textOf, waitForText } from '../browser/browser-page.js';
import {
  alignedFile,
  assertFits,
  choose,
  openDemo,
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

/*
 * The demo page in Firefox, whose WebGPU is wgpu. What needs Chromium's own protocol (dropping files, downloads to a folder)
 * is done as Firefox can be driven: files by their field, downloads by the address of the link.
 */

const demo = await openDemo('Firefox');
const { folder, address, reason } = demo;
const DESKTOP = { width: 1100, height: 900 };
const STEPS = 10;

const withoutAlpha = (rgba: readonly number[]): Uint8Array => Uint8Array.from(rgba.filter((_, i) => i % 4 < 3));

/** Keeps what the page makes addresses of: scripts of WebDriver cannot fetch them in Firefox. */
const keepBlobs = (page: Page): Promise<unknown> =>
  page.evaluateOnNewDocument(() => {
    const blobs = new Map<string, Blob>();
    const { createObjectURL } = URL;
    URL.createObjectURL = (blob: Blob) => {
      const url = createObjectURL.call(URL, blob);
      blobs.set(url, blob);
      return url;
    };
    Object.assign(globalThis, { blobs });
  });

/** What a download link offers. */
async function offered(page: Page, selector: string): Promise<Uint8Array> {
  const bytes = await page.evaluate(async (selector) => {
    const { blobs } = globalThis as unknown as { blobs: Map<string, Blob> };
    const blob = blobs.get(document.querySelector<HTMLAnchorElement>(selector)!.href)!;
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, selector);
  return Uint8Array.from(bytes);
}

browserTest(demo, reason, 'a photograph becomes a file, a QR code and a face again in Firefox', async (page) => {
  await keepBlobs(page);
  await page.setViewport(DESKTOP);
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on .*a software adapter on the CPU/);
  await choose(page, `${slot(2)} [type=file]`, await alignedFile(folder, 1));
  await choose(page, `${slot(1)} [type=file]`, PHOTO);
  await page.waitForSelector(`${slot(1)} .handle`, { visible: true });

  const [landmarks] = await photoLandmarks();
  await placeLandmarks(page, slot(1), landmarks);
  await ownFace(page);
  await setBudget(page, 500);
  await settled(page, 500);
  const crop = withoutAlpha(await pixelsOf(page, `${slot(1)} .crop`));
  const aligned = alignFace(await readImage(PHOTO), landmarks).data;
  assert.ok(psnr(crop, aligned) > 28, `the page aligns as Node does, to ${psnr(crop, aligned)} dB`);

  const verdicts = await textOf(page, '#verdicts');
  assert.match(verdicts, /Both photographs, uncompressed[\d.−-]+not the same person/);
  assert.match(verdicts, /The first, and what Cameo restores of it[\d.]+same person/);

  let before = 0;
  for (const budget of [200, 700]) {
    await setBudget(page, budget);
    await settled(page, budget);
    const file = await offered(page, '#download-file');
    const { model } = readKlt(readFileSync(new URL('../../models/face.safetensors', import.meta.url))).tables!;
    assert.is(unpackFaceFile(file, model).symbols.length, model.latents, 'whole, by its checksum');
    assert.ok(file.length <= budget && file.length > 0.85 * budget, `${file.length} of ${budget}`);
    const quality = Number(/([\d.]+) dB/.exec(await textOf(page, '#face-status'))![1]);
    assert.ok(quality > before + 1, `${quality} dB at ${budget} bytes`);
    before = quality;
    for (const key of ['jpeg', 'webp']) {
      const card = await textOf(page, `[data-key=${key}]`);
      const smallest = Number(
        /makes no file this small: its smallest of this face has (\d+) bytes/.exec(card)?.[1] ?? 0,
      );
      const bytes = Number(/(\d+) bytes/.exec(card)?.[1]);
      assert.ok(smallest > budget || bytes <= budget, card);
    }
  }

  // The file and the picture of the QR code, read back.
  const restored = await pixelsOf(page, '[data-key=cameo] canvas');
  for (const [link, name, said] of [
    ['#qr-download', 'code.png', /^Restored from the QR code in code\.png: \d+ bytes/],
    ['#download-file', 'face.cameo', /^Restored from face\.cameo, a file: \d+ bytes/],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, await offered(page, link));
    await choose(page, '#read-file', path);
    await waitForText(page, '#read-status', said);
    assert.equal(await pixelsOf(page, '#read-face'), restored);
  }

  await page.setViewport(PHONE);
  await assertFits(page, 'the first tab');
});

browserTest(demo, reason, 'the page trains in Firefox', async (page) => {
  await keepBlobs(page);
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on/);
  await page.click('#tab-train');
  await page.waitForSelector('#train-look canvas'); // what it starts from shows faces
  await page.select('#train-from', 'nothing');
  await page.$eval('#train-steps', (field, steps) => void ((field as HTMLInputElement).value = String(steps)), STEPS);
  await page.click('#train-start');
  await waitForText(page, '#train-status', new RegExp(`^Done after ${STEPS} steps`), 240_000);
  const csv = new TextDecoder().decode(await offered(page, '#train-csv'));
  const losses = csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]));
  assert.is(losses.length, STEPS);
  assert.ok(losses.at(-1)! < losses[0], `the loss falls: ${losses[0]} to ${losses.at(-1)}`);
  const { metadata } = readAutoencoder(await offered(page, '#train-download'));
  assert.is(metadata.get('steps'), String(STEPS));
});

browserTest(demo, reason, 'the bench measures in Firefox', async (page) => {
  await page.goto(address);
  await page.focus('#tab-face');
  await page.keyboard.press('ArrowLeft');
  await runBench(page, '@1×1', 'conv forward');
  await page.waitForSelector('#download a', { timeout: 240_000 });
  assert.match(await textOf(page, '#status'), /^Done: \d+ measurements/);
  assert.ok((await page.$$('#result svg circle')).length >= 2);
});

test.after(() => demo.close());

test.run();
