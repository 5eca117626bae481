import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTestAdapters, type TestAdapter } from './runner/adapters.js';
import { killAll, runFile } from './runner/run-file.js';
import { findTests, placementOf, timeLimitOf } from './runner/test-files.js';
import { type Counts, closingLine, skipReasons } from './runner/test-output.js';

/*
 * npm test [-- NAME...]: runs the test files whose names contain one of the NAMEs (all without one), each in a process
 * of its own; those that use a GPU once on each adapter. CAMEO_ADAPTER restricts the adapters, CAMEO_TEST_JOBS sets how
 * many files run at once, CAMEO_TEST_TIMEOUT the seconds that one may take. The last line is "N passed, N failed".
 */

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

interface Job {
  label: string;
  path: string;
  environment: NodeJS.ProcessEnv;
}

function positiveNumber(name: string, fallback: number): number {
  const text = process.env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${name} is "${text}"; a positive number is expected`);
  return value;
}

async function makeJobs(filters: readonly string[]): Promise<Job[]> {
  const tests = findTests(FOLDER, filters).map((name) => {
    const path = join(FOLDER, `${name}.test.ts`);
    return { name, path, placement: placementOf(path) };
  });
  if (tests.length === 0) throw new Error(`no test file's name contains ${filters.map((f) => `"${f}"`).join(' or ')}`);
  let adapters: TestAdapter[] = [];
  if (tests.some(({ placement }) => placement === 'each adapter')) {
    adapters = await findTestAdapters((line) => console.log(line));
    console.log(`GPU tests run on: ${adapters.map(({ name }) => name).join(', ')}`);
  }
  return tests.flatMap(({ name, path, placement }) =>
    placement === 'once'
      ? [{ label: name, path, environment: {} }]
      : adapters.map((adapter) => ({
          label: `${name} (${adapter.label})`,
          path,
          environment: { CAMEO_ADAPTER: adapter.name },
        })),
  );
}

/**
 * Mesa's llvmpipe starts as many threads as there are cores. Files that run side by side then wait for each other's
 * threads, which costs far more than it gains: each gets its share.
 */
function shareOfCores(atOnce: number): NodeJS.ProcessEnv {
  const threads = Math.max(1, Math.floor(availableParallelism() / atOnce));
  return { LP_NUM_THREADS: process.env.LP_NUM_THREADS || String(threads) };
}

async function runJobs(jobs: readonly Job[], atOnce: number, limitSeconds: number): Promise<Counts> {
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const queue = [...jobs];
  const width = Math.max(...jobs.map(({ label }) => label.length));
  const share = shareOfCores(atOnce);
  const work = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const run = await runFile(job.path, { ...share, ...job.environment }, limitSeconds * timeLimitOf(job.path));
      sum.passed += run.passed;
      sum.failed += run.failed;
      sum.skipped += run.skipped;
      const mark = run.failed > 0 ? 'FAIL' : 'ok  ';
      const ending = run.ending && `  (${run.ending})`;
      console.log(
        `${mark} ${job.label.padEnd(width)}  ${run.seconds.toFixed(1).padStart(6)} s  ${closingLine(run)}${ending}`,
      );
      if (run.failed > 0) console.log(`\n${run.output.trim() || '(no output)'}\n`);
      else for (const reason of skipReasons(run.output)) console.log(`     ${reason}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return sum;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(130);
  });
}

let sum: Counts = { passed: 0, failed: 1, skipped: 0 };
try {
  const start = performance.now();
  const atOnce = Math.floor(positiveNumber('CAMEO_TEST_JOBS', Math.min(4, availableParallelism())));
  const limitSeconds = positiveNumber('CAMEO_TEST_TIMEOUT', 300);
  sum = await runJobs(await makeJobs(process.argv.slice(2)), Math.max(1, atOnce), limitSeconds);
  console.log(`\nin ${((performance.now() - start) / 1000).toFixed(0)} s`);
} catch (error) {
  console.log(`npm test: ${(error as Error).message}`);
}
console.log(closingLine(sum));
process.exitCode = sum.failed > 0 ? 1 : 0;
