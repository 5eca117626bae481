import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TestBrowser } from './browser.js';

/** A browser, or why there is none, and the page that tests look at. */
export interface PageUnderTest {
  started: TestBrowser | { missing: string };
  address: string;
}

/** Why nothing can be computed here, or ''. */
export async function obstacle({ started, address }: PageUnderTest): Promise<string> {
  if ('missing' in started) return started.missing;
  const page = await started.browser.newPage();
  await page.goto(address);
  const found = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
  await page.close();
  return found ? '' : `${await started.browser.version()} has no WebGPU adapter`;
}

/**
 * Registers a test in a page of its own, which must neither raise an error nor ask for anything elsewhere; skipped where
 * `reason` says why.
 */
export function browserTest(
  { started, address }: PageUnderTest,
  reason: string,
  name: string,
  run: (page: Page) => Promise<void>,
): void {
  if ('missing' in started || reason) {
    console.log(`SKIP ${name}: ${'missing' in started ? started.missing : reason}`);
    test.skip(name);
    return;
  }
  test(name, async () => {
    const page = await started.browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(address)) errors.push(request.url());
    });
    try {
      await run(page);
      assert.equal(errors, []);
    } catch (error) {
      // What the page says of it is nearer to the cause than a test that waits in vain.
      if (errors.length > 0) console.log(`${name}: the page reports ${errors.join('; ')}`);
      throw error;
    } finally {
      await page.close();
    }
  });
}

export const textOf = (page: Page, selector: string): Promise<string> =>
  page.$eval(selector, (element) => element.textContent ?? '');

/** Waits until the text of an element matches. */
export async function waitForText(page: Page, selector: string, pattern: RegExp, timeout = 120_000): Promise<string> {
  try {
    await page.waitForFunction(
      (selector, source) => new RegExp(source).test(document.querySelector(selector)?.textContent ?? ''),
      { timeout },
      selector,
      pattern.source,
    );
  } catch {
    throw new Error(`${selector} says "${await textOf(page, selector)}", and never ${pattern}`);
  }
  return textOf(page, selector);
}

/** Fills the form of the bench and runs it, by the keyboard alone. */
export async function runBench(page: Page, layers: string, kinds: string): Promise<void> {
  await page.waitForSelector('#choices:enabled');
  await page.focus('#batch');
  await page.keyboard.press('ArrowDown');
  for (const text of [layers, kinds]) {
    await page.keyboard.press('Tab');
    await page.keyboard.type(text);
  }
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  assert.ok(await page.$eval('#quick', (box) => (box as HTMLInputElement).checked));
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
}

/** Follows a download link by keyboard. @returns the file, which is saved in `folder` */
export async function downloaded(page: Page, selector: string, folder: string): Promise<string> {
  const session = await page.createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder, eventsEnabled: true });
  const name = new Promise<string>((resolve, reject) => {
    let suggested = '';
    session.on('Browser.downloadWillBegin', ({ suggestedFilename }) => (suggested = suggestedFilename));
    session.on('Browser.downloadProgress', ({ state }) => {
      if (state === 'completed') resolve(suggested);
      if (state === 'canceled') reject(new Error('the download was cancelled'));
    });
  });
  await page.focus(selector);
  await page.keyboard.press('Enter');
  const path = join(folder, await name);
  await session.detach();
  return path;
}
