import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';
import puppeteer, { type Browser } from 'puppeteer-core';

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
 * Starts headless Chromium: that of the system (Debian's path) or else the one in npm `@sparticuz/chromium`, which is
 * unpacked to a temporary folder until `close`.
 *
 * @returns why none can be started, where so
 */
export async function startBrowser(): Promise<TestBrowser | { missing: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-browser-'));
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  const before = process.env.TMPDIR;
  try {
    process.env.TMPDIR = folder; // where the package unpacks to
    const installed = '/usr/bin/chromium';
    const executablePath = existsSync(installed) ? installed : await chromium.executablePath();
    const browser = await puppeteer.launch({ executablePath, headless: 'shell', args: FLAGS });
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
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
