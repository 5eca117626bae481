// process: own
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FuzzReport } from './fuzz-worker.js';

const CASES = 10_000;
const LIMIT = 64 * 2 ** 20;

/*
 * How memory is measured. The cases run in a separate process, whose JavaScript heap may not exceed 64 MB (V8 aborts
 * above it, which fails the test). Its young generation is kept small, so that garbage is collected promptly and does
 * not count as use. Typed arrays are outside that heap; for everything the kernel counts the peak resident
 * memory of the process, less the resident memory right before the first case. Because the peak may also be
 * from start-up, this is an upper bound. It includes the memory for making the cases, and garbage.
 */
test(`${CASES} damaged files are refused with a FormatError or read correctly, fast and in little memory`, () => {
  const worker = fileURLToPath(new URL('fuzz-worker.ts', import.meta.url));
  const flags = ['--max-old-space-size=64', '--max-semi-space-size=2', '--expose-gc', '--import', 'tsx'];
  const started = performance.now();
  const child = spawnSync(process.execPath, [...flags, worker, String(CASES), '20240607'], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    // The time limit ends a case that hangs; on two quiet cores all cases take some ten seconds.
    timeout: 120_000,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const seconds = (performance.now() - started) / 1000;
  assert.is(child.status, 0, `the worker ended with ${child.signal ?? child.status}: ${child.stderr}`);
  const report: FuzzReport = JSON.parse(child.stdout);

  assert.equal(report.faults, []);
  assert.is(report.cases, CASES);
  assert.ok(report.slowestMs < 1000, `slowest case took ${report.slowestMs} ms`);
  assert.ok(report.growthBytes < LIMIT, `memory grew by up to ${report.growthBytes} bytes`);
  assert.ok(report.arrayBufferBytes < LIMIT, `typed arrays held ${report.arrayBufferBytes} bytes`);

  // The cases must reach every layer: each layer of the reader has refused some, and the valid ones were read.
  for (const part of [
    'truncated: no whole chunk',
    'truncated: chunk',
    'signature',
    'four letters',
    'CRC',
    'foreign data after the end',
    'not a compact file',
    'chunk, this file has',
    'chunks are',
    'at most # are allowed',
    'bit depth',
    'format version',
    'whole latent maps',
    'cannot be inflated: invalid',
    'cannot be inflated: incorrect data check',
    'cannot be inflated: the stream ends early',
    'expand to more than',
    'foreign data after the pixel data',
    'filter type',
    'checksum',
    'too small for a header',
    'a compact file has at most',
  ]) {
    const found = Object.entries(report.messages).some(([message]) => message.includes(part));
    assert.ok(found, `no case was refused with "${part}"; only with:\n${Object.keys(report.messages).join('\n')}`);
  }
  assert.ok(report.accepted.recompressed > 300 && report.accepted.untouched > 300);
  console.log(
    `\n${CASES} cases in ${seconds.toFixed(1)} s, slowest ${report.slowestMs.toFixed(1)} ms, memory growth at most ` +
      `${(report.growthBytes / 2 ** 20).toFixed(1)} MB, typed arrays ${(report.arrayBufferBytes / 2 ** 20).toFixed(1)} MB`,
  );
});

test.run();
