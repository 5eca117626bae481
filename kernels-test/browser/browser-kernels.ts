import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servePage } from '../../bench/web/serve.js';
import { findTests, placementOf, TESTS } from '../runner/test-files.js';
import { adapterText, type BrowserName, gpuObstacle, startBrowser, type TestSite, watched } from './browser.js';
import { knownFailure } from './known-failures.js';
import { buildTestPages } from './page/build.js';
import type { PageOutcome } from './page/run-tests.js';

/*
 * Runs test files in a browser, on its WebGPU, as they run in Node. Each of their tests is counted here. As in Node, `gpuSuite` fails a test
 * for which the device reports an error.
 */

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Files for the GPU that cannot run in pages, with the reason. A new file must either run in pages or be listed here. */
const LEFT_OUT: Record<string, string> = {
  'adapt-recognizer': 'trains for longer than a page has',
  'bench-peers': 'gives its peers the device of Node',
  'face-codec': 'reads photographs; browser-codec.test.ts has the codec in a page',
  'face-codec-detail': 'reads photographs, like face-codec',
  'compare-codecs': 'runs codecs of Node',
  'compare-identification': 'runs codecs of Node, and keeps files',
  'conv-matrix': "compiles on Dawn's null backend",
  'crop-faces': 'its codec is fitted to photographs',
  'demo-faces': 'reads photographs',
  'detector-training': 'trains on files',
  dlib: 'reads photographs',
  'embed-pictures': 'reads photographs',
  'face-detector': 'reads photographs',
  'finite-results': 'reads photographs',
  'feature-importance': 'reads faces from files',
  'fit-head': 'reads a folder of faces',
  'global-layers': 'trains on files',
  half: 'the SwiftShader of Chromium has no shader-f16',
  'joint-training': 'trains on files',
  'landmark-training': 'trains on files',
  'onnx-export': 'runs onnxruntime in Node',
  'onnx-export-operations': 'runs onnxruntime in Node',
  'onnx-joint-story': 'trains on files',
  'onnx-recognizer': 'reads files',
  'onnx-networks': 'runs onnxruntime in Node',
  options: 'opens the device of Node, and reads photographs',
  'random-shapes-2': 'more shapes; pages get the first of random-shapes-1',
  'recognition-hints': 'reads a folder of faces',
  'recognition-resume': 'trains on files',
  'recognition-teacher': 'keeps embeddings in files',
  'recognition-training': 'trains on files',
  recognizers: 'reads photographs',
  'training-story': 'trains on files',
  tuning: 'keeps its choices in files',
};

/** Files without a GPU that run in pages, too, to show that the bytes of a face are the same there. */
const ADDED = ['bitstream-vectors'];
export const FIXTURES = ['bitstream-vectors.json', 'bitstream-vectors.safetensors'].map((name) =>
  here(`../codec/${name}`),
);

/** The environment of test files. SwiftShader compiles slowly, so the files test fewer shapes, but every kernel. */
export const ENVIRONMENT = { CAMEO_RANDOM_SHAPES: '0:20', CAMEO_FEW_SHAPES: '1', CAMEO_TEST_THOROUGH: '' };

/**
 * The slowest files. A browser's compiler of WGSL is that of Node or, in Firefox, that of wgpu. The other files show that
 * it compiles and runs kernels of every kind, and these add shapes and variants. So only `--thorough` runs them.
 */
const SLOW = [
  'autoencoder',
  'bench-gpu',
  'binary',
  'conv-inference',
  'conv-values',
  'depthwise',
  'landmark-refiner',
  'layout',
  'margin-loss',
  'mtcnn',
  'random-shapes-1',
  'recorded-step',
  'single-shot',
  'single-shot-faces',
  'winograd',
];

/** Every file that runs in pages, or only the slowest, or only the others. */
export function filesForPages(which: 'all' | 'slow' | 'other'): string[] {
  const gpu = findTests(TESTS, [])
    .filter(({ path }) => placementOf(path) !== 'once')
    .map(({ name }) => name);
  const unknown = [...Object.keys(LEFT_OUT), ...SLOW].filter((name) => !gpu.includes(name));
  if (unknown.length > 0) throw new Error(`listed for pages, but not there: ${unknown.join(', ')}`);
  const names = [...gpu.filter((name) => !(name in LEFT_OUT)), ...ADDED];
  return which === 'all' ? names : names.filter((name) => SLOW.includes(name) === (which === 'slow'));
}

/** A platform that can run test files. */
export interface KernelHost {
  place: 'Chromium' | 'Firefox' | 'Deno';
  /** Why nothing can run there, or ''. */
  reason: string;
  version: string;
  /** The adapter's description, which browsers may hide. */
  device: string;
  run(name: string): Promise<PageOutcome>;
  /** Ends the programs that were started, and removes the built files. */
  close(): Promise<void>;
}

/** The most files of one page: SwiftShader keeps compiled kernels as long as the page has its device, gigabytes after some twenty files. */
const FILES_A_PAGE = 4;

/** A page for some files, which share its device and its compiled kernels. A fault does not outlast the page. */
class SharedPage {
  #page: Page | null = null;
  #files = 0;

  constructor(private readonly site: TestSite) {}

  async run(name: string): Promise<PageOutcome> {
    if ('missing' in this.site.started) throw new Error(this.site.started.missing);
    if (this.#files++ % FILES_A_PAGE === 0) {
      await this.#page?.close();
      this.#page = null;
    }
    const page = (this.#page ??= await this.#open(this.site.started.browser));
    try {
      return await watched(page, this.site.address, () =>
        page.evaluate((path) => globalThis.runTestFile(path), `./${name}.js`),
      );
    } catch (error) {
      this.#page = null;
      await page.close().catch(() => {}); // it may have crashed
      throw error;
    }
  }

  async #open(browser: Browser): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(this.site.address);
    return page;
  }
}

/**
 * Builds and serves pages for modules by name, and starts a browser.
 * @throws Error if a module needs Node
 */
export async function openKernelPages(
  modules: Record<string, string>,
  place: BrowserName = 'Chromium',
): Promise<KernelHost> {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-browser-kernels-'));
  const files = await buildTestPages(folder, {
    modules,
    files: FIXTURES,
    environment: ENVIRONMENT,
  });
  const { server, address } = await servePage(folder, 0, files);
  const site: TestSite = { started: await startBrowser(place), address };
  const close = async () => {
    server.close();
    server.closeAllConnections();
    if (!('missing' in site.started)) await site.started.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const reason = await gpuObstacle(site);
  if (reason) console.log(`SKIP kernels in ${place}: ${reason}`);
  const page = new SharedPage(site);
  return {
    place,
    reason,
    version: 'missing' in site.started ? '' : await site.started.browser.version(),
    device: reason ? '' : await adapterText(site),
    run: (name) => page.run(name),
    close,
  };
}

/** Runs test files, and registers their tests with their results. The host is closed after the tests of this file. */
export async function registerFiles(host: KernelHost, names: readonly string[]): Promise<void> {
  test.after(() => host.close());
  for (const name of names) await registerFile(host, name);
}

/** Runs a test file. For a file that cannot run, the result is a problem. */
export const outcomeOf = (host: KernelHost, name: string): Promise<PageOutcome> =>
  host.run(name).catch((error: Error) => ({ results: [], problem: error.stack ?? error.message, seconds: 0 }));

async function registerFile(host: KernelHost, name: string): Promise<void> {
  if (host.reason) {
    test.skip(name);
    return;
  }
  const { place } = host;
  const { results, problem, seconds } = await outcomeOf(host, name);
  const passed = results.filter(({ error, skipped }) => error === undefined && !skipped).length;
  console.log(`${name} in ${place}: ${passed} of ${results.length} tests passed in ${seconds.toFixed(1)} s`);
  if (problem) test(`${name} in ${place}`, () => assert.unreachable(problem));
  for (const { name: title, error, skipped } of results) {
    const known = knownFailure(place, name, title);
    if (skipped) test.skip(title);
    else if (known && error !== undefined) {
      console.log(`SKIP ${name}, "${title}": it fails in ${place}: ${known}`);
      test.skip(title);
    } else {
      test(`${name} in ${place}: ${title}`, () => {
        assert.is(error, undefined, error);
        assert.is(known, undefined, `it passes in ${place}: remove it from the list of known failures`);
      });
    }
  }
}

/** Paths of test files by name. */
export const testFileModules = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    findTests(TESTS, [])
      .filter(({ name }) => names.includes(name))
      .map(({ name, path }) => [name, path]),
  );
