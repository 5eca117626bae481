// adapters: once
// suite: long
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import sharp, { type Sharp } from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { browserTest } from '../browser/browser.js';
import { textOf, waitForText } from '../browser/browser-page.js';
import { THOROUGH } from '../helpers/thorough.js';
import { cameraFrame, demoFaces, demoPhoto, facesIn, isAmong, lookIn, pointsIn } from './photo-faces.js';
import {
  assertFits,
  choose,
  loseAfter,
  openAgain,
  openDemo,
  openTools,
  PHONE,
  pixelsOf,
  slot,
  testDetector,
  watchDevices,
} from './web-fixture.js';

/*
 * The demo page with a face detector, in Chromium: with the weights that ship, or else with MTCNN's.
 */

const DESKTOP = { width: 1100, height: 900 };
const detector = testDetector();
const camera = mkdtempSync(join(tmpdir(), 'cameo-camera-'));
// What Chromium's own camera shows: two faces, and the same to the end of time.
const film = join(camera, 'faces.mjpeg');
const frame = await cameraFrame(demoPhoto(1), 340, 150);
writeFileSync(film, Buffer.concat([frame, frame, frame, frame]));
const weights = 'path' in detector ? detector.path : null;
const demo = await openDemo('Chromium', weights, [`--use-file-for-fake-video-capture=${film}`]);
const { folder, address } = demo;
const reason = 'missing' in detector ? detector.missing : demo.reason;

/** The second photograph: alone, it is not encoded. */
const place = slot(2);

const opened = async (page: Page): Promise<void> => {
  await page.goto(address);
  await waitForText(page, '#gpu', /^Runs on/);
};

browserTest(demo, reason, 'the faces of a photograph are found, and one of them is chosen', async (page) => {
  await page.setViewport(DESKTOP);
  await opened(page);
  let [found, all] = [0, 0];
  for (const k of THOROUGH ? [1, 2, 3, 4, 5, 6] : [2, 5]) {
    const hint = await lookIn(page, place, demoPhoto(k));
    const faces = await facesIn(page, place);
    if (faces.length > 1)
      assert.match(hint, new RegExp(`^${faces.length} faces were found, and the largest is chosen`));
    else assert.is(hint, 'A face was found.');
    const truth = demoFaces.get(`sample${k}.jpg`)!;
    const here = truth.filter((face) => isAmong(faces, face)).length;
    assert.ok(here > 0, `sample${k}.jpg: none of ${truth.length} faces`);
    found += here;
    all += truth.length;
  }
  assert.ok(found >= 0.8 * all, `${found} of ${all} faces`);

  // By the mouse and by the keyboard: points, aligned face and the choice that is told.
  await lookIn(page, slot(1), demoPhoto(3));
  const boxes = await page.$$(`${slot(1)} .box`);
  const chosen = (): Promise<string[]> =>
    page.$$eval(`${slot(1)} .box`, (all) => all.map((box) => box.getAttribute('aria-checked')!));
  const sizes = await Promise.all(boxes.map(async (box) => (await box.boundingBox())!));
  const areas = sizes.map(({ width, height }) => width * height);
  assert.ok(areas[0] + 1 >= Math.max(...areas), 'the largest is the first');
  assert.is((await chosen()).indexOf('true'), 0);
  const first = await pointsIn(page, slot(1));
  const crop = await pixelsOf(page, `${slot(1)} .crop`);
  const { x, y, width } = sizes[1];
  await page.mouse.click(x + width / 2, y + 4);
  assert.is((await chosen()).indexOf('true'), 1);
  const second = await pointsIn(page, slot(1));
  assert.is.not(isAmong([first], second), true);
  await page.waitForFunction(
    (selector, text) => document.querySelector(selector)!.textContent === text,
    {},
    `${slot(1)} .reset`,
    'As found',
  );
  assert.is.not(JSON.stringify(await pixelsOf(page, `${slot(1)} .crop`)), JSON.stringify(crop));
  assert.is(await page.$eval(':focus', (box) => box.getAttribute('role')), 'radio');
  await page.keyboard.press('ArrowLeft');
  assert.is((await chosen()).indexOf('true'), 0);
  assert.match(
    await page.$eval(':focus', (box) => box.getAttribute('aria-label')!),
    /^Face 1 of \d+, the largest, at \d+, \d+$/,
  );
  assert.equal(await pointsIn(page, slot(1)), first);
  assert.equal(await pixelsOf(page, `${slot(1)} .crop`), crop);

  // Points that were moved by hand are kept while another face is looked at; and they can be put back.
  await page.focus(`${slot(1)} .handle`);
  await page.keyboard.press('ArrowRight');
  const moved = await pointsIn(page, slot(1));
  assert.is.not(JSON.stringify(moved), JSON.stringify(first));
  await page.focus(`${slot(1)} .box[aria-checked=true]`);
  await page.keyboard.press('ArrowRight');
  assert.equal(await pointsIn(page, slot(1)), second);
  await page.keyboard.press('ArrowLeft');
  assert.equal(await pointsIn(page, slot(1)), moved);
  await openTools(page, slot(1));
  await page.click(`${slot(1)} .zoom`);
  assert.equal(await pointsIn(page, slot(1)), moved);
  await page.click(`${slot(1)} .reset`);
  assert.equal(await pointsIn(page, slot(1)), first);
  await waitForText(page, '#face-status', /^Cameo: \d+ of 300 bytes/);
  await page.setViewport(PHONE);
  await assertFits(page, 'the first tab');
});

browserTest(demo, reason, 'pictures without a face, cut ones, tiny and large ones', async (page) => {
  await opened(page);
  const file = async (name: string, picture: Sharp): Promise<string> => {
    await picture.toFile(join(folder, name));
    return join(folder, name);
  };
  const grey = (width: number, height: number): Sharp =>
    sharp({ create: { width, height, channels: 3, background: '#7a8a99' } });
  const none = /^No face was found\. Place the five points/;
  for (const [name, width, height] of [
    ['wall.png', 640, 400],
    ['small.png', 12, 9],
  ] as const) {
    assert.match(await lookIn(page, place, await file(name, grey(width, height))), none);
    await page.waitForSelector(`${place} .handle`, { visible: true });
    assert.is(await textOf(page, `${place} .reset`), 'To the middle');
    assert.is(await textOf(page, `${place} .problem`), '', name);
  }
  await choose(page, `${place} [type=file]`, await file('dot.png', grey(1, 1)));
  await waitForText(page, `${place} .problem`, /^dot\.png: the picture is 1×1, too small to hold a face/);
  await choose(page, `${place} [type=file]`, await file('line.png', grey(900, 2)));
  await waitForText(page, `${place} .problem`, /^line\.png: the picture is 900×2, too small to hold a face/);

  // The second face of the third photograph, less its right eye.
  const [, face] = demoFaces.get('sample3.jpg')!;
  const left = Math.round(face[0][0]) - 150;
  const cut = { left, top: Math.round(face[0][1]) - 200, width: Math.round(face[1][0]) - 10 - left, height: 500 };
  const hint = await lookIn(page, place, await file('cut.jpg', sharp(demoPhoto(3)).extract(cut)));
  assert.match(hint, /^(A face was found|No face was found)/);
  // Each handle can be seized.
  const stage = (await (await page.$(`${place} .stage`))!.boundingBox())!;
  for (const handle of await page.$$(`${place} .handle`)) {
    const { x, y, width, height } = (await handle.boundingBox())!;
    const [cx, cy] = [x + width / 2, y + height / 2];
    assert.ok(cx >= stage.x - 1 && cx <= stage.x + stage.width + 1, `${cx} of ${stage.x} and ${stage.width} more`);
    assert.ok(cy >= stage.y - 1 && cy <= stage.y + stage.height + 1, `${cy} of ${stage.y} and ${stage.height} more`);
  }

  // 36 megapixels, which the page makes smaller.
  const large = sharp(demoPhoto(6)).resize(6708, 5370).jpeg({ quality: 60 });
  assert.match(await lookIn(page, place, await file('large.jpg', large)), /^\d faces were found/);
  const scale = 3000 / 1920;
  const truth = demoFaces.get('sample6.jpg')!.map((face) => face.map(([x, y]) => [x * scale, y * scale]));
  const faces = await facesIn(page, place);
  assert.ok(truth.filter((face) => isAmong(faces, face as never)).length >= 3, JSON.stringify(faces));
});

browserTest(demo, reason, 'the points are placed by hand while the search goes on, or where it fails', async (page) => {
  // The weights come late: not at all at first, then half of them.
  await page.evaluateOnNewDocument(() => {
    // Nothing is fetched before it is asked for.
    Object.defineProperty(navigator, 'connection', { value: { saveData: true } });
    Object.defineProperty(globalThis, 'caches', { value: undefined }); // nor kept from the pages before
    const { fetch } = globalThis;
    let asked = 0;
    globalThis.fetch = async (url, ...more) => {
      if (!/face-detector/.test(String(url))) return fetch(url, ...more);
      if (asked++ === 0) return new Response(null, { status: 503 });
      if (asked === 2) {
        const whole = await (await fetch(url, ...more)).arrayBuffer();
        return new Response(whole.slice(0, whole.byteLength / 2));
      }
      await new Promise((resolve) => Object.assign(globalThis, { goOn: resolve }));
      return fetch(url, ...more);
    };
  });
  await opened(page);
  const hint = await lookIn(page, place, demoPhoto(2));
  assert.match(
    hint,
    /^Faces cannot be found here: models\/face-detector\.safetensors cannot be loaded: the server answers 503\. Place/,
  );
  await page.waitForSelector(`${place} .handle`, { visible: true });

  await choose(page, `${place} [type=file]`, demoPhoto(3));
  await waitForText(page, `${place} .hint`, /^Looking for faces/);
  assert.is(await page.$eval(`${place} .handle`, (element) => getComputedStyle(element).visibility), 'hidden');
  await page.click(`${place} .by-hand`);
  await waitForText(page, `${place} .hint`, /^Place the five points/);
  assert.is(await page.$eval(':focus', (element) => element.getAttribute('data-name')), 'whole face');
  await page.keyboard.press('ArrowLeft');
  const mine = await pointsIn(page, place);
  // The search ends, and the other place, which waited for it, has its faces. Nothing is moved here.
  await choose(page, `${slot(1)} [type=file]`, demoPhoto(2));
  await page.evaluate(() => (globalThis as unknown as { goOn(): void }).goOn());
  await waitForText(page, `${slot(1)} .hint`, /^(A face was|\d+ faces were) found/);
  assert.equal(await pointsIn(page, place), mine);
  assert.match(await textOf(page, `${place} .hint`), /^Place the five points/);
});

browserTest(demo, reason, 'a device that is lost while faces are looked for costs nothing but time', async (page) => {
  await watchDevices(page);
  await opened(page);
  await loseAfter(page, 2);
  await choose(page, `${place} [type=file]`, demoPhoto(5));
  await openAgain(page);
  await waitForText(page, `${place} .hint`, /^(A face was|\d+ faces were) found/);
  const points = await pointsIn(page, place);
  assert.ok(demoFaces.get('sample5.jpg')!.some((face) => isAmong([points], face)));
});

browserTest(demo, reason, 'the camera shows the faces in view, and rests when nobody looks', async (page) => {
  await page.evaluateOnNewDocument(() => {
    const counts = { submits: 0, frames: 0 };
    const { submit } = GPUQueue.prototype;
    GPUQueue.prototype.submit = function (commands) {
      counts.submits++;
      submit.call(this, commands);
    };
    const clock = {
      tick(): void {
        counts.frames++;
        requestAnimationFrame(clock.tick);
      },
    };
    clock.tick();
    Object.assign(globalThis, { counts });
  });
  await page.setViewport(DESKTOP);
  await opened(page);
  const counts = (): Promise<{ submits: number; frames: number }> =>
    page.evaluate(() => ({ ...(globalThis as unknown as { counts: { submits: number; frames: number } }).counts }));
  const rest = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));
  const showing = async (): Promise<void> => {
    await page.waitForSelector('#camera .take:enabled', { visible: true });
    await waitForText(page, '.in-view', /^2 faces in view\.$/);
  };
  /** Waits until what was under way is done. @returns whether nothing more is begun after that */
  const resting = async (): Promise<boolean> => {
    for (let tries = 0; tries < 40; tries++) {
      const { submits } = await counts();
      await rest(1200);
      if ((await counts()).submits === submits) return true;
    }
    return false;
  };
  const hide = (hidden: boolean): Promise<void> =>
    page.evaluate(
      (hidden) => void Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }),
      hidden,
    );

  await page.click(`${place} .camera`);
  await showing();
  // The page draws on meanwhile.
  const before = await counts();
  await page.waitForFunction(
    (submits) => (globalThis as unknown as { counts: { submits: number } }).counts.submits > submits + 20,
    {},
    before.submits,
  );
  const after = await counts();
  assert.ok(after.frames > before.frames + 4, `${after.frames - before.frames} frames drawn meanwhile`);

  const marks = await page.$$eval('.marks rect', (all) => all.map((mark) => mark.getAttribute('x')));
  assert.is(marks.length, 2);
  const marked = await page.$$eval('.marks circle', (all) =>
    all.map((mark): [number, number] => [Number(mark.getAttribute('cx')), Number(mark.getAttribute('cy'))]),
  );
  const seen = [0, 5].map((k) => marked.slice(k, k + 5)) as never[];
  // The frame is a part of the photograph at half its scale.
  const truth = demoFaces.get('sample1.jpg')!.map((face) => face.map(([x, y]) => [(x - 340) / 2, (y - 150) / 2]));
  assert.ok(isAmong(seen, truth[0] as never) && isAmong(seen, truth[1] as never), JSON.stringify(marked));

  await hide(true);
  assert.ok(await resting(), 'nothing is looked for in a hidden tab');
  assert.ok(await page.$eval('#camera', (dialog) => (dialog as HTMLDialogElement).open));
  await hide(false);
  const { submits } = await counts();
  await page.waitForFunction(
    (submits) => (globalThis as unknown as { counts: { submits: number } }).counts.submits > submits,
    {},
    submits,
  );
  await page.click('#camera [type=submit]');
  await page.waitForSelector('#camera:not([open])');
  assert.ok(await resting(), 'nothing is looked for after the dialog is closed');
  assert.is(await page.$eval('video', (video) => video.srcObject), null);

  // The camera that is unplugged, and the picture that is taken.
  await page.click(`${place} .camera`);
  await showing();
  await page.$eval('video', (video) => {
    for (const track of (video.srcObject as MediaStream).getTracks()) track.dispatchEvent(new Event('ended'));
  });
  await waitForText(page, `${place} .problem`, /^the camera has stopped/);
  await page.click(`${place} .camera`);
  await showing();
  await page.click('#camera .take');
  await page.waitForSelector('#camera:not([open])');
  await waitForText(page, `${place} .hint`, /^2 faces were found/);
  const taken = await facesIn(page, place);
  const whole = truth.slice(0, 2).map((face) => face.map(([x, y]) => [(x * 4) / 3, (y * 4) / 3]));
  assert.ok(
    whole.every((face) => isAmong(taken, face as never)),
    JSON.stringify(taken),
  );
});

test.after(async () => {
  await demo.close();
  rmSync(camera, { recursive: true, force: true });
});

test.run();
