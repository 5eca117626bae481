import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { servePage } from '../../bench/web/serve.js';
import { alignFace, type FaceLandmarks } from '../../src/data/pictures/align.js';
import { encodePng, readImage } from '../../src/data/pictures/image.js';
import { buildDemo } from '../../web/build.js';
import { type BrowserName, gpuObstacle, startBrowser, type TestSite } from '../browser/browser.js';
import { INVENTED_LANDMARKS, INVENTED_PHOTO } from './invented-faces.js';

export const PHONE = { width: 390, height: 844 };

/** The place of the first photograph or the second. */
export const slot = (k: number): string => `.slot:nth-of-type(${k})`;

/** The photograph of the tests, and where its faces are. */
export const PHOTO = INVENTED_PHOTO;
export const photoLandmarks = async (): Promise<readonly FaceLandmarks[]> => INVENTED_LANDMARKS;

/** The demo page, built and served, a browser to look at it, and a folder for files. */
export interface Demo extends TestSite {
  folder: string;
  /** Why nothing can be computed here, or ''. */
  reason: string;
  close(): Promise<void>;
}

export async function openDemo(browser: BrowserName = 'Chromium'): Promise<Demo> {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-web-'));
  const site = join(folder, 'site');
  const { server, address } = await servePage(site, 0, await buildDemo(site));
  const started = await startBrowser(browser);
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
  const stage = (await (await page.$(`${place} .stage`))!.boundingBox())!;
  for (const [k, [x, y]] of landmarks.entries()) {
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

/** With CAMEO_SCREENSHOTS=1: keeps what the page looks like as results/web/NAME.png. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env.CAMEO_SCREENSHOTS !== '1') return;
  const folder = fileURLToPath(new URL('../../results/web', import.meta.url));
  mkdirSync(folder, { recursive: true });
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const png = await page.screenshot({ fullPage: true });
  await sharp(png)
    .png({ palette: true, quality: 90, effort: 8 })
    .toFile(join(folder, `${name}.png`));
}

export async function choose(page: Page, selector: string, file: string): Promise<void> {
  const input = (await page.$(selector)) as Awaited<ReturnType<typeof page.$<'input'>>>;
  await input!.uploadFile(file);
}

/** Nothing sticks out of the window, so that a telephone shows it without scrolling sideways. */
export async function assertFits(page: Page, name: string): Promise<void> {
  const { inner, needed } = await page.evaluate(() => ({
    inner: innerWidth,
    needed: document.scrollingElement!.scrollWidth,
  }));
  assert.ok(needed <= inner, `${name} needs ${needed} pixels of ${inner}`);
}
