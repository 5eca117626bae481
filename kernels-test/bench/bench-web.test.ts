// adapters: once
// suite: long
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BenchResult, gflopsOf } from '../../bench/core/result.js';
import { buildPage } from '../../bench/web/build.js';
import { servePage } from '../../bench/web/serve.js';
import { browserTest, gpuObstacle, startBrowser, type TestSite } from '../browser/browser.js';
import { downloaded, runBench, textOf } from '../browser/browser-page.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-bench-web-'));
await buildPage(folder);
const { server, address } = await servePage(folder, 0);
const started = await startBrowser();

const underTest: TestSite = { started, address };
const reason = await gpuObstacle(underTest);

browserTest(
  underTest,
  reason,
  'the page measures a layer, shows tables and roofline, and offers the JSON',
  async (page) => {
    await page.goto(address);
    await runBench(page, 'conv 1×1 512→128 @1×1', 'conv');
    await page.waitForSelector('#download a', { timeout: 240_000 });
    assert.match(await textOf(page, '#adapter'), /^Adapter: .*swiftshader, a software adapter on the CPU, not a GPU/);
    assert.match(await textOf(page, '#status'), /^Done: 3 measurements/);
    assert.match(await textOf(page, '#result'), /a software adapter on the CPU, not a GPU/);

    const table = await page.$$eval('table', (tables) =>
      [...tables.at(-1)!.rows].map((row) => [...row.cells].map((cell) => cell.textContent ?? '')),
    );
    const [columns, ...rows] = table;
    assert.equal(
      rows.map(([kind]) => kind),
      ['conv forward', 'conv input gradient', 'conv weight gradient'],
    );
    for (const row of rows) {
      assert.match(row[1], /^conv 1×1 512→128/);
      assert.ok(Number(row[columns.indexOf('GFLOP/s')]) > 0, row.join(', '));
    }
    assert.is(
      await page.$$eval('svg circle', (dots) => dots.length),
      2 * rows.length,
      'one dot per row, and one in the legend',
    );

    const file = await downloaded(page, '#download a', folder);
    assert.is(basename(file), 'bench-browser-swiftshader.json');
    const result = JSON.parse(readFileSync(file, 'utf8')) as BenchResult;
    assert.equal(result.batches, [3]);
    assert.ok(result.measurements.every(({ batch }) => batch === 3));
    assert.ok(result.ceilings.gflops > 0 && result.ceilings.gbps > 0);
    assert.ok(result.measurements.every((measurement) => gflopsOf(measurement)! > 0));
  },
);

browserTest(underTest, reason, 'a filter that leaves no layer gives an error', async (page) => {
  await page.goto(address);
  await runBench(page, 'no such layer', '');
  await page.waitForSelector('#problem:not([hidden])');
  assert.match(await textOf(page, '#problem'), /no layer and no network has "no such layer" in its name/);
  assert.is(await page.$eval('#run', (button) => button.getAttribute('aria-disabled')), null);
});

browserTest(underTest, reason, 'every control of the panel has a name', async (page) => {
  await page.goto(address);
  const names = await page.$$eval('input', (fields) => fields.map(({ labels }) => labels?.[0]?.textContent?.trim()));
  assert.equal(names, ['Pictures per batch', 'Layers', 'Kinds', 'Quick: fewer samples']);
});

browserTest(underTest, '', 'a browser without WebGPU is told so', async (page) => {
  await page.evaluateOnNewDocument(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.goto(address);
  await page.waitForSelector('#problem:not([hidden])');
  assert.match(await textOf(page, '#problem'), /this browser has no WebGPU .* on https or localhost/);
  assert.ok(await page.$('#choices:disabled'), 'there is nothing to run');
});

test('the server serves the page and nothing else, and only to this machine', async () => {
  const statusOf = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get(`${address}${path}`, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
  assert.is(await statusOf(''), 200);
  assert.is(await statusOf('page.js?1'), 200);
  for (const path of ['package.json', '..%2fpackage.json', 'constructor', 'page.js/']) {
    assert.is(await statusOf(path), 404, path);
  }
  assert.is((server.address() as { address: string }).address, '127.0.0.1');
});

test.after(async () => {
  server.close();
  server.closeAllConnections();
  if (!('missing' in started)) await started.close();
  rmSync(folder, { recursive: true, force: true });
});

test.run();
