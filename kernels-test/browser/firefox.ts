import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';
import { softwareVulkan } from '../gpu/software-vulkan.js';
import { findProgram } from './find-program.js';
import type { TestBrowser } from './test-browser.js';

/** Beside what Firefox sets by itself for a browser that is driven. */
const PREFERENCES = {
  'dom.webgpu.enabled': true,
  'gfx.webgpu.ignore-blocklist': true, // software drivers are on it
  'fission.webContentIsolationStrategy': 0, // puppeteer sends events of the mouse to one process alone
  'media.navigator.streams.fake': true, // a picture that Firefox draws by itself, and no question
  'media.navigator.permission.disabled': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/** The longest that it may take to start, in milliseconds. */
const STARTING = 120_000;

/**
 * Starts headless Firefox, CAMEO_FIREFOX or that in PATH, with a profile of its own, and speaks WebDriver BiDi with it. It
 * belongs to the group of this process, and so ends with it in the test runner.
 *
 * @returns why it cannot be started, where so
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
  process.once('exit', kill); // where a test ends without closing it
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const address = await new Promise<string>((resolve, reject) => {
      const said: string[] = [];
      setTimeout(() => reject(new Error(`nothing in ${STARTING / 1000} s`)), STARTING).unref();
      ended.then(() => reject(new Error(said.slice(-3).join(' ') || 'it ended')));
      createInterface({ input: child.stderr }).on('line', (line) => {
        const [, found] = /^WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
        if (found) resolve(found);
        else said.push(line);
      });
    });
    const browser = await puppeteer.connect({
      browserWSEndpoint: `${address}/session`,
      protocol: 'webDriverBiDi',
      protocolTimeout: 0,
    });
    const close = async () => {
      // It may be gone already; then there is nothing to ask.
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
