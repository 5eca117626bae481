import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { servePage } from '../../bench/web/serve.js';
import { PACKAGE_ROOT } from '../../src/data/files/package-root.js';
import { encodePng, readImage } from '../../src/data/pictures/image.js';
import { alignFace, type FaceLandmarks } from '../../src/detection/align.js';
import { buildDemo } from '../../web/build.js';
import { type BrowserName, gpuObstacle, startBrowser, type TestSite } from '../browser/browser.js';
import { waitForText } from '../browser/browser-page.js';
import { findData } from '../helpers/data-available.js';
import { INVENTED_LANDMARKS, INVENTED_PHOTO } from './invented-faces.js';

export const PHONE = { width: 390, height: 844 };

/** The place of the first photograph or the second. */
export const slot = (k: number): string => `#photo-${k}`;

/** The photograph of the tests, and where its faces are. */
export const PHOTO = INVENTED_PHOTO;
export const photoLandmarks = async (): Promise<readonly FaceLandmarks[]> => INVENTED_LANDMARKS;

/** Weights of a face detector: those that ship, or MTCNN's published ones among the data sets. */
export function testDetector(): { path: string } | { missing: string } {
  const shipped = join(PACKAGE_ROOT, 'models/face-detector.safetensors');
  return existsSync(shipped) ? { path: shipped } : findData('weights/mtcnn.safetensors');
}

/** The demo page, built and served, a browser to look at it, and a folder for files. */
export interface Demo extends TestSite {
  folder: string;
  /** Why nothing can be computed here, or ''. */
  reason: string;
  close(): Promise<void>;
}

/**
 * @param detector weights of the page's face detector; null: points are placed by hand
 * @param flags more ones for Chromium
 */
export async function openDemo(
  browser: BrowserName = 'Chromium',
  detector: string | null = null,
  flags: readonly string[] = [],
): Promise<Demo> {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-web-'));
  const site = join(folder, 'site');
  const { server, address } = await servePage(site, 0, await buildDemo(site, detector));
  const started = await startBrowser(browser, flags);
  const reason = await gpuObstacle({ started, address });
  return {
    folder,
    started,
    address,
    reason,
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (!('missing' in started)) await started.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An aligned face of the photograph as a file. */
export async function alignedFile(folder: string, face: number): Promise<string> {
  const path = join(folder, `aligned-${face}.png`);
  const picture = alignFace(await readImage(PHOTO), (await photoLandmarks())[face]);
  writeFileSync(path, await encodePng(picture));
  return path;
}

/** Moves the handles of a place to the points of PHOTO, by the mouse. */
export async function placeLandmarks(page: Page, place: string, landmarks: FaceLandmarks): Promise<void> {
  const { width, height } = await readImage(PHOTO);
  await page.$eval(`${place} .stage`, (stage) => stage.scrollIntoView({ block: 'center' }));
  for (const [k, [x, y]] of landmarks.entries()) {
    const stage = (await (await page.$(`${place} .stage`))!.boundingBox())!;
    const handle = (await page.$$(`${place} .handle`))[k];
    const box = (await handle.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(stage.x + (x / width) * stage.width, stage.y + (y / height) * stage.height, { steps: 3 });
    await page.mouse.up();
  }
}

/** Drops files on an element, as the operating system would. */
export async function dropFiles(page: Page, selector: string, files: string[]): Promise<void> {
  const session = await page.createCDPSession();
  const zone = (await page.$(selector))!;
  await zone.scrollIntoView();
  const { x, y, width, height } = (await zone.boundingBox())!;
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: x + width / 2, y: y + height / 2, data });
  }
  await session.detach();
}

/** The pixels of a canvas, RGBA. */
export async function pixelsOf(page: Page, selector: string): Promise<number[]> {
  return page.$eval(selector, (element) => {
    const { width, height } = element as HTMLCanvasElement;
    const copy = new OffscreenCanvas(width, height);
    const context = copy.getContext('2d')!;
    context.drawImage(element as HTMLCanvasElement, 0, 0);
    return [...context.getImageData(0, 0, width, height).data];
  });
}

/** Moves the slider as the keyboard and the mouse do, by its input event. */
export async function setBudget(page: Page, bytes: number): Promise<void> {
  await page.$eval(
    '#budget',
    (slider, value) => {
      (slider as HTMLInputElement).value = String(value);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    },
    bytes,
  );
}

export const SCREENSHOTS = process.env.CAMEO_SCREENSHOTS === '1';

/** Widths of the pictures: a small telephone, a tablet, a desk. */
const WIDTHS = [360, 768, 1280];
const HEIGHT = 720;
const COLOURS = 32;

/**
 * With CAMEO_SCREENSHOTS=1: keeps what the page looks like as results/web/NAME-WIDTH-SCHEME.png, at three widths, light and
 * dark.
 * @param part what the window shows: this part of the page, or its top; 'whole': the widest light one shows all of the page
 */
export async function screenshots(page: Page, name: string, part = 'header'): Promise<void> {
  if (!SCREENSHOTS) return;
  const folder = fileURLToPath(new URL('../../results/web', import.meta.url));
  mkdirSync(folder, { recursive: true });
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: HEIGHT });
      await page.$eval(part === 'whole' ? 'header' : part, (element) => element.scrollIntoView());
      await page.evaluate(() => new Promise(requestAnimationFrame));
      const fullPage = part === 'whole' && scheme === 'light' && width === Math.max(...WIDTHS);
      await sharp(await page.screenshot({ fullPage }))
        .png({ palette: true, colours: COLOURS, dither: 0, effort: 10 })
        .toFile(join(folder, `${name}-${width}-${scheme}.png`));
    }
  }
  await page.emulateMediaFeatures([]);
}

/** Shows the tools that move the points of a place. */
export const openTools = (page: Page, place: string): Promise<void> =>
  page.$eval(`${place} .tools-place`, (details) => void ((details as HTMLDetailsElement).open = true));

/** The end of all that a change of faces or of the budget brings about. */
export const settled = (page: Page, bytes: number): Promise<string> =>
  waitForText(page, '#face-status', new RegExp(`^Cameo: \\d+ of ${bytes} bytes, [\\d.]+ dB\\.$`));

/** Waits for the photograph to be the face that is shown. */
export const ownFace = (page: Page): Promise<string> => waitForText(page, '#face-kind', /^Your photograph$/);

export async function choose(page: Page, selector: string, file: string): Promise<void> {
  const input = (await page.$(selector)) as Awaited<ReturnType<typeof page.$<'input'>>>;
  await input!.uploadFile(file);
}

/** Lets tests lose the device at a later submit: in the middle of what computes then. */
export async function watchDevices(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(() => {
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...options) {
      const device = await requestDevice.apply(this, options);
      const { queue } = device;
      const submit = queue.submit.bind(queue);
      queue.submit = (commands) => {
        const left = Number(document.body.dataset.submitsLeft) - 1;
        document.body.dataset.submitsLeft = String(left);
        submit(commands);
        if (left === 0) device.destroy();
      };
      return device;
    };
  });
}

export const loseAfter = (page: Page, submits: number): Promise<void> =>
  page.evaluate((count) => {
    document.body.dataset.submitsLeft = String(count);
  }, submits);

/** Waits for the page to say that a device was lost, and that it has another one. */
export const openAgain = (page: Page): Promise<string> =>
  waitForText(page, '#gpu', /The device was lost and is open again/);

/** Nothing sticks out of the window, so that a telephone shows it without scrolling sideways. */
export async function assertFits(page: Page, name: string): Promise<void> {
  const { inner, needed } = await page.evaluate(() => ({
    inner: innerWidth,
    needed: document.scrollingElement!.scrollWidth,
  }));
  assert.ok(needed <= inner, `${name} needs ${needed} pixels of ${inner}`);
}
