import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';
import { softwareVulkan } from '../gpu/software-vulkan.js';
import { findProgram } from './find-program.js';
import type { TestBrowser } from './test-browser.js';

/** Preferences, in addition to those that Firefox sets by itself for automation. */
const PREFERENCES = {
  'dom.webgpu.enabled': true,
  'gfx.webgpu.ignore-blocklist': true, // software drivers are on that list
  'fission.webContentIsolationStrategy': 0, // puppeteer sends mouse events to one process only
  'media.navigator.streams.fake': true, // the camera is a picture that Firefox draws, and may be used without asking
  'media.navigator.permission.disabled': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/** The most milliseconds that Firefox may take to start. */
const STARTING = 120_000;

/**
 * Starts headless Firefox (CAMEO_FIREFOX, or that in PATH) with a new profile, and drives it by WebDriver BiDi. It
 * belongs to the group of this process, so that the test runner ends both.
 *
 * @returns the reason if it cannot be started
 */
export async function startFirefox(): Promise<TestBrowser | { missing: string }> {
  const program = findProgram('CAMEO_FIREFOX', ['firefox-esr', 'firefox']);
  if (typeof program !== 'string') return program;
  const profile = mkdtempSync(join(tmpdir(), 'cameo-firefox-'));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  const args = ['--headless', '--no-remote', '--remote-debugging-port=0', '--profile', profile, 'about:blank'];
  const child = spawn(program, args, { env: softwareVulkan(), stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill); // for a test that ends without closing it
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const address = await new Promise<string>((resolve, reject) => {
      const lines: string[] = [];
      setTimeout(() => reject(new Error(`nothing in ${STARTING / 1000} s`)), STARTING).unref();
      ended.then(() => reject(new Error(lines.slice(-3).join(' ') || 'it ended')));
      createInterface({ input: child.stderr }).on('line', (line) => {
        const [, found] = /^WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
        if (found) resolve(found);
        else lines.push(line);
      });
    });
    const browser = await puppeteer.connect({
      browserWSEndpoint: `${address}/session`,
      protocol: 'webDriverBiDi',
      protocolTimeout: 0,
    });
    const close = async () => {
      // Firefox may have ended already.
      await Promise.race([browser.close().catch(() => {}), ended]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10_000).unref())]);
      await stop();
    };
    return { browser, close };
  } catch (error) {
    await stop();
    return { missing: `${program} cannot be driven: ${(error as Error).message.split('\n')[0]}` };
  }
}
