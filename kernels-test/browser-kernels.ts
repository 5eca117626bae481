import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servePage } from '../bench/web/serve.js';
import { gpuObstacle, inPage, startBrowser, type TestSite } from './browser.js';
import { buildTestPages } from './page/build.js';
import type { PageOutcome } from './page/run-tests.js';
import { findTests, placementOf } from './runner/test-files.js';

/*
 * Runs test files in a browser as they are in Node: each in a page of its own, on the WebGPU of Chromium. Their tests are
 * counted here one by one. A test that the device reports an error of fails, as in Node, by `gpuSuite`.
 */

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Files that are for the GPU and do not run in pages. A new one either does or has its reason here. */
const LEFT_OUT: Record<string, string> = {
  'adapt-recognizer': 'trains for longer than a page has',
  'bench-peers': 'gives its peers the device of Node',
  'budget-codec': 'reads photographs; browser-codec.test.ts has the codec in a page',
  'compare-codecs': 'runs codecs of Node',
  'conv-matrix': "compiles on Dawn's null backend",
  dlib: 'reads photographs',
  'embed-pictures': 'reads photographs',
  'finite-results': 'reads photographs',
  half: 'the SwiftShader of Chromium has no shader-f16',
  'joint-training': 'trains on files',
  options: 'opens the device of Node, and reads photographs',
  'random-shapes-2': 'more shapes; pages get the first of random-shapes-1',
  'recognition-resume': 'trains on files',
  'recognition-training': 'trains on files',
  recognizers: 'reads photographs',
  'training-story': 'trains on files',
  tuning: 'keeps its choices in files',
};

/** Files without a GPU that are of use in a page, too: the bytes of a face are the same there. */
const ADDED = ['bitstream-vectors'];
const FIXTURES = ['bitstream-vectors.json', 'bitstream-vectors.safetensors'];

/** SwiftShader takes long to compile; these leave out shapes, but no kernel. */
const ENVIRONMENT = { CAMEO_RANDOM_SHAPES: '0:20', CAMEO_FEW_SHAPES: '1' };

/** Those that take longest: browser-kernels-1.test.ts runs these, and browser-kernels-2.test.ts all others, side by side. */
const SLOW = ['autoencoder', 'conv', 'matmul', 'recorded-step'];

/** Every file that runs in pages, in two halves. */
export function filesForPages(half: 'slow' | 'other'): string[] {
  const gpu = findTests(here('.'), []).filter((name) => placementOf(here(`${name}.test.ts`)) === 'each adapter');
  const unknown = Object.keys(LEFT_OUT).filter((name) => !gpu.includes(name));
  if (unknown.length > 0) throw new Error(`left out, but not there: ${unknown.join(', ')}`);
  const names = [...gpu.filter((name) => !(name in LEFT_OUT)), ...ADDED];
  return names.filter((name) => SLOW.includes(name) === (half === 'slow'));
}

export interface KernelPages {
  /** Why nothing runs in pages here, or ''. */
  reason: string;
  run(name: string): Promise<PageOutcome>;
}

/**
 * Builds and serves pages for modules by name, and starts a browser, until the tests of this file have run.
 * @throws Error where a module needs Node
 */
export async function openKernelPages(modules: Record<string, string>): Promise<KernelPages> {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-browser-kernels-'));
  const files = await buildTestPages(folder, {
    modules,
    files: FIXTURES.map((name) => here(name)),
    environment: ENVIRONMENT,
  });
  const { server, address } = await servePage(folder, 0, files);
  const site: TestSite = { started: await startBrowser(), address };
  test.after(async () => {
    server.close();
    server.closeAllConnections();
    if (!('missing' in site.started)) await site.started.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const reason = await gpuObstacle(site);
  if (reason) console.log(`SKIP kernels in a page: ${reason}`);
  return {
    reason,
    run: (name) =>
      inPage(site, async (page) => {
        await page.goto(address);
        return page.evaluate((path) => globalThis.runTestFile(path), `./${name}.js`);
      }),
  };
}

/** Runs a test file in a page, and registers its tests with what they came to. */
export async function registerFile(pages: KernelPages, name: string): Promise<void> {
  if (pages.reason) {
    test.skip(name);
    return;
  }
  const outcome = await pages
    .run(name)
    .catch((error: Error): PageOutcome => ({ results: [], problem: error.stack ?? error.message, seconds: 0 }));
  const { results, problem, seconds } = outcome;
  const passed = results.filter(({ error, skipped }) => error === undefined && !skipped).length;
  console.log(`${name} in a page: ${passed} of ${results.length} tests passed in ${seconds.toFixed(1)} s`);
  if (problem) test(`${name} in a page`, () => assert.unreachable(problem));
  for (const { name: title, error, skipped } of results) {
    if (skipped) test.skip(title);
    else test(`${name} in a page: ${title}`, () => assert.is(error, undefined, error));
  }
}

export const testFileModules = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, here(`${name}.test.ts`)]));
