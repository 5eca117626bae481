import type { ConsoleMessage, HTTPRequest, Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startChromium } from './chromium.js';
import { startFirefox } from './firefox.js';
import type { TestBrowser } from './test-browser.js';

/** The browsers that tests run in. */
export type BrowserName = 'Chromium' | 'Firefox';

/** Starts a headless browser. @param flags further flags for Chromium @returns the reason if it cannot be started */
export const startBrowser = (
  name: BrowserName = 'Chromium',
  flags: readonly string[] = [],
): Promise<TestBrowser | { missing: string }> => (name === 'Firefox' ? startFirefox() : startChromium(flags));

/** A browser, or the reason why there is none, and the server whose pages are tested in it. */
export interface TestSite {
  started: TestBrowser | { missing: string };
  address: string;
}

/** Messages of Firefox on the console about mistakes in WGSL. The device reports them as errors, too. */
const REMARK =
  /^\s*(Encountered one or more errors while creating shader module|Shader ('[^']*' parsing|validation) error)/;

/** The reason why pages cannot use the GPU here, or ''. */
export async function gpuObstacle({ started, address }: TestSite): Promise<string> {
  if ('missing' in started) return started.missing;
  const page = await started.browser.newPage();
  try {
    await page.goto(address);
    const found = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
    return found ? '' : `${await started.browser.version()} has no WebGPU adapter`;
  } finally {
    await page.close();
  }
}

/** The adapter's description, which may be empty. */
export function adapterText({ started, address }: TestSite): Promise<string> {
  return inPage({ started, address }, async (page) => {
    await page.goto(address);
    return page.evaluate(async () => {
      const info = (await navigator.gpu.requestAdapter())!.info;
      return info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(' ');
    });
  });
}

/**
 * Runs something in a page.
 * @throws what `run` throws; AssertionError if the page raised an error, wrote one to its console, or asked for anything
 * that is not of this site
 */
export async function watched<T>(page: Page, address: string, run: () => Promise<T>): Promise<T> {
  const errors: string[] = [];
  const onPageError = (error: unknown) => void errors.push(String(error));
  const onConsole = (message: ConsoleMessage) => {
    if (message.type() === 'error' && !REMARK.test(message.text())) errors.push(message.text());
  };
  const asked = (request: HTTPRequest) => {
    const url = request.url();
    if (!/^(blob|data):/.test(url) && !url.startsWith(address)) errors.push(url);
  };
  page.on('pageerror', onPageError).on('console', onConsole).on('request', asked);
  try {
    const result = await run();
    assert.equal(errors, []);
    return result;
  } catch (error) {
    // The page's own error is nearer to the cause than a test that times out.
    if (errors.length > 0) console.log(`the page reports ${errors.join('; ')}`);
    throw error;
  } finally {
    page.off('pageerror', onPageError).off('console', onConsole).off('request', asked);
  }
}

/** Opens a page for `run`, and closes it. @throws as `watched` does */
export async function inPage<T>({ started, address }: TestSite, run: (page: Page) => Promise<T>): Promise<T> {
  if ('missing' in started) throw new Error(started.missing);
  const page = await started.browser.newPage();
  try {
    return await watched(page, address, () => run(page));
  } finally {
    await page.close();
  }
}

/** Registers a test in a page of its own (see `inPage`). It is skipped if there is a `reason`. */
export function browserTest(site: TestSite, reason: string, name: string, run: (page: Page) => Promise<void>): void {
  const obstacle = 'missing' in site.started ? site.started.missing : reason;
  if (obstacle) {
    console.log(`SKIP ${name}: ${obstacle}`);
    test.skip(name);
  } else test(name, () => inPage(site, run));
}
