import type { Browser } from 'puppeteer-core';

/** A browser that was started for tests. */
export interface TestBrowser {
  browser: Browser;
  close(): Promise<void>;
}
