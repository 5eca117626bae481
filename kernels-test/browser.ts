import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chromiumFiles } from './chromium-files.js';

/** WebGPU on the SwiftShader that comes with Chromium, so that no GPU is needed; and no request of the browser's own. */
const FLAGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--no-sandbox',
  '--disable-background-networking',
  '--no-first-run',
  // A picture that Chromium draws by itself, and no question whether the page may see it.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

export interface TestBrowser {
  browser: Browser;
  close(): Promise<void>;
}

/**
 * Starts headless Chromium: that of the system (Debian's path) or else the one in npm `@sparticuz/chromium`.
 *
 * @returns why none can be started, where so
 */
export async function startBrowser(): Promise<TestBrowser | { missing: string }> {
  let remove = (): void => {};
  try {
    const files = await chromiumFiles();
    remove = files.remove;
    // By a pipe, so that Chromium ends when this process does, however it does; how long it may take, the runner decides.
    const browser = await puppeteer.launch({
      executablePath: files.executablePath,
      headless: 'shell',
      args: FLAGS,
      pipe: true,
      protocolTimeout: 0,
    });
    return {
      browser,
      close: async () => {
        await browser.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    return { missing: `no Chromium can be started: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** A browser, or why there is none, and the server whose pages are tested in it. */
export interface TestSite {
  started: TestBrowser | { missing: string };
  address: string;
}

/** Why the GPU cannot be used in a page here, or ''. */
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

/**
 * Opens a page for `run`, and closes it.
 * @throws what `run` throws; AssertionError where the page raised an error, wrote one on its console, or asked for anything
 * that is not of this site
 */
export async function inPage<T>({ started, address }: TestSite, run: (page: Page) => Promise<T>): Promise<T> {
  if ('missing' in started) throw new Error(started.missing);
  const page = await started.browser.newPage();
  const errors: string[] = [];
  try {
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(address)) errors.push(request.url());
    });
    const result = await run(page);
    assert.equal(errors, []);
    return result;
  } catch (error) {
    // What the page says of it is nearer to the cause than a test that waits in vain.
    if (errors.length > 0) console.log(`the page reports ${errors.join('; ')}`);
    throw error;
  } finally {
    await page.close();
  }
}

/** Registers a test in a page of its own (see `inPage`); skipped where `reason` says why. */
export function browserTest(site: TestSite, reason: string, name: string, run: (page: Page) => Promise<void>): void {
  const obstacle = 'missing' in site.started ? site.started.missing : reason;
  if (obstacle) {
    console.log(`SKIP ${name}: ${obstacle}`);
    test.skip(name);
  } else test(name, () => inPage(site, run));
}
