// adapters: once
// suite: long
import { readFileSync } from 'node:fs';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAutoencoder } from '../../src/models/model-file.js';
import { browserTest } from '../browser/browser.js';
import { downloaded, textOf, waitForText } from '../browser/browser-page.js';
import {
  alignedFile,
  loseAfter,
  openAgain,
  openDemo,
  ownFace,
  pixelsOf,
  setBudget,
  settled,
  watchDevices,
} from './web-fixture.js';

const demo = await openDemo();
const { folder, address, reason } = demo;
/** Enough to see the loss fall. */
const STEPS = 30;

browserTest(demo, reason, 'a device that is lost while a face is encoded costs nothing but time', async (page) => {
  await watchDevices(page);
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on/);
  const input = (await page.$('.slot [type=file]')) as Awaited<ReturnType<typeof page.$<'input'>>>;
  await setBudget(page, 400);
  await loseAfter(page, 2);
  await input!.uploadFile(await alignedFile(folder, 0));
  await openAgain(page);
  await ownFace(page);
  await settled(page, 400);
  const file = readFileSync(await downloaded(page, '#download-file', folder));
  const restored = await pixelsOf(page, '[data-key=cameo] canvas');
  assert.is(await page.$eval('#face-problem', (problem) => (problem as HTMLElement).hidden), true);

  // Once more, on the way to another budget; then back, which gives the same file as before.
  await loseAfter(page, 3);
  await setBudget(page, 600);
  await settled(page, 600);
  await setBudget(page, 400);
  await settled(page, 400);
  assert.equal(readFileSync(await downloaded(page, '#download-file', folder)), file);
  assert.equal(await pixelsOf(page, '[data-key=cameo] canvas'), restored);
  assert.is(await page.$eval('.slot', (slot) => slot.classList.contains('aligned')), true);
});

/** Trains to the end. @returns the curve, as the page offers it */
async function trained(page: Page): Promise<string> {
  await page.click('#train-start');
  await waitForText(page, '#train-status', new RegExp(`^Done after ${STEPS} steps`));
  return readFileSync(await downloaded(page, '#train-csv', folder), 'utf8');
}

browserTest(demo, reason, 'training goes on after a loss of the device as if there had been none', async (page) => {
  await watchDevices(page);
  await page.setViewport({ width: 1100, height: 900 });
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on/);
  await page.click('#tab-train');
  await page.waitForSelector('#train-look canvas');
  await page.select('#train-from', 'nothing');
  await page.$eval(
    '#train-steps',
    (field, steps) => {
      (field as HTMLInputElement).value = String(steps);
    },
    STEPS,
  );
  const whole = await trained(page);
  const lines = whole.trim().split('\n');
  assert.is(lines.length, 1 + STEPS);
  const losses = lines.slice(1).map((line) => Number(line.split(',')[1]));
  assert.ok(losses.at(-1)! < losses[0] / 2, `the loss falls: ${losses[0]} to ${losses.at(-1)}`);
  assert.match(await textOf(page, '#train-curve svg title'), /^Loss$/);

  await page.click('#train-over');
  await waitForText(page, '#train-start', /^Start$/);
  await page.click('#train-start');
  await page.waitForSelector('#train-look canvas'); // there is a snapshot to go on from
  await loseAfter(page, 3);
  await openAgain(page);
  await waitForText(page, '#train-status', new RegExp(`^Done after ${STEPS} steps`));
  assert.is(await page.$eval('#train-problem', (problem) => (problem as HTMLElement).hidden), true);
  assert.is(readFileSync(await downloaded(page, '#train-csv', folder), 'utf8'), whole, 'to the bit');
  const { config, metadata } = readAutoencoder(readFileSync(await downloaded(page, '#train-download', folder)));
  assert.equal([config.width, config.height], [48, 56]);
  assert.is(metadata.get('steps'), String(STEPS));
});

test.after(() => demo.close());

test.run();
