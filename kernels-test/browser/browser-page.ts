import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import * as assert from 'uvu/assert';

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
    const problems = await page.$$eval('[id$=problem]:not([hidden])', (all) => all.map((one) => one.textContent));
    if (problems.length > 0) console.log(`the page shows ${problems.join('; ')}`);
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
  await page.keyboard.press('Tab'); // "Quick" is checked at the start
  assert.ok(await page.$eval('#quick', (box) => (box as HTMLInputElement).checked));
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
}

/** Follows a download link with the keyboard. @returns the file, which is saved in `folder` */
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
