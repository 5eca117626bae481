import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findTestAdapters, type TestAdapter } from './runner/adapters.js';
import { fitsInto, type Job, type Place, takeJob } from './runner/jobs.js';
import { aboutTest, findTests, TESTS } from './runner/test-files.js';
import { type Counts, closingLine, type FileTime, skipReasons, slowest } from './runner/test-output.js';
import { type FileRun, killAll, TestWorker } from './runner/worker-process.js';

/*
 * npm test [-- --all --list-slow --thorough] [NAME...]: runs the test files whose names contain one of the NAMEs (or all
 * but the long ones, see --all). A NAME with a slash, such as ops/conv, is searched in folder and name. Files that use a GPU run once on each
 * adapter (on a second software adapter only those that ask for it). A process runs one file after the other, so that
 * they share its device and the kernels it has compiled; a file that ends it has failed, and the rest run in a new one.
 * CAMEO_ADAPTER restricts the adapters, CAMEO_TEST_JOBS sets how many files run at once, CAMEO_TEST_TIMEOUT the seconds
 * that one may take. --list-slow lists the ten slowest files. The last line is "N passed, N failed".
 * --all also runs the files with a line "// suite: long": the page's stories, Firefox, the installed package, whole trainings.
 * --thorough tests more: every file on a second software adapter, every kernel in every browser, more random shapes.
 */

function positiveNumber(name: string, fallback: number): number {
  const text = process.env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${name} is "${text}"; a positive number is expected`);
  return value;
}

interface Wanted {
  filters: readonly string[];
  /** Long files too; a file that a filter names always runs. */
  all: boolean;
  thorough: boolean;
}

async function makeJobs({ filters, all, thorough }: Wanted, limitSeconds: number): Promise<Job[]> {
  const found = findTests(TESTS, filters).map(({ name, path }) => ({ name, ...aboutTest(path) }));
  const tests = all || filters.length > 0 ? found : found.filter(({ long }) => !long);
  if (tests.length < found.length) {
    console.log(`${found.length - tests.length} long files are left out; npm test -- --all runs them, too`);
  }
  if (tests.length === 0) throw new Error(`no test file's name contains ${filters.map((f) => `"${f}"`).join(' or ')}`);
  let adapters: TestAdapter[] = [];
  if (tests.some(({ placement }) => placement !== 'once')) {
    adapters = await findTestAdapters((line) => console.log(line), thorough);
    const names = adapters.map(({ name, second }) => (second ? `${name} (files that ask for all adapters)` : name));
    console.log(`GPU tests run on: ${names.join(', ')}`);
  }
  // Files with the longest time limits start first, so that no core waits for them at the end.
  tests.sort((a, b) => b.timeLimit - a.timeLimit);
  return tests.flatMap(({ name, path, placement, ownProcess, timeLimit }) => {
    const job = { label: name, path, ownProcess, limitSeconds: limitSeconds * timeLimit };
    if (placement === 'once') return [job];
    const fitting = adapters.filter(({ second }) => !second || placement === 'all adapters');
    return fitting.map((adapter) => ({ ...job, label: `${name} (${adapter.label})`, adapter: adapter.name }));
  });
}

/**
 * Mesa's llvmpipe starts as many threads as there are cores. Files that run at the same time then wait for each other's
 * threads, which costs much more than it gains. So each process gets a share of the cores.
 */
function shareOfCores(atOnce: number): NodeJS.ProcessEnv {
  const threads = Math.max(1, Math.floor(availableParallelism() / atOnce));
  return { LP_NUM_THREADS: process.env.LP_NUM_THREADS || String(threads) };
}

/** A slot for one of the parallel processes, and its present process. */
interface Line {
  worker?: TestWorker;
  place?: Place;
}

/** Runs jobs one after the other until none is left, each in the process of the job before if possible. */
async function workThrough(
  queue: Job[],
  own: Line,
  all: readonly Line[],
  environment: NodeJS.ProcessEnv,
  report: (job: Job, run: FileRun) => void,
): Promise<void> {
  const close = async () => {
    await own.worker?.close();
    own.worker = undefined;
    own.place = undefined;
  };
  while (queue.length > 0) {
    const others = all.flatMap(({ place }) => (place && place !== own.place ? [place] : []));
    const job = takeJob(queue, own.worker && own.place, others);
    if (own.worker && (own.worker.full || !(own.worker.alive && own.place && fitsInto(job, own.place)))) await close();
    const { adapter } = job;
    own.place ??= { adapter };
    own.worker ??= new TestWorker({ ...environment, ...(adapter !== undefined && { CAMEO_ADAPTER: adapter }) });
    report(job, await own.worker.run(job.path, job.limitSeconds));
    if (job.ownProcess || !own.worker.alive) await close();
  }
  await close();
}

async function runJobs(jobs: readonly Job[], atOnce: number): Promise<{ sum: Counts; times: FileTime[] }> {
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const times: FileTime[] = [];
  const queue = [...jobs];
  const width = Math.max(...jobs.map(({ label }) => label.length));
  const report = ({ label }: Job, run: FileRun): void => {
    sum.passed += run.passed;
    sum.failed += run.failed;
    sum.skipped += run.skipped;
    times.push({ label, ...run });
    const mark = run.failed > 0 ? 'FAIL' : 'ok  ';
    const ending = run.ending && `  (${run.ending})`;
    console.log(
      `${mark} ${label.padEnd(width)}  ${run.seconds.toFixed(1).padStart(6)} s  ${closingLine(run)}${ending}`,
    );
    if (run.failed > 0) console.log(`\n${run.output.trim() || '(no output)'}\n`);
    else for (const reason of skipReasons(run.output)) console.log(`     ${reason}`);
  };
  const folder = mkdtempSync(join(tmpdir(), 'cameo-test-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const environment = { ...shareOfCores(atOnce), CAMEO_TEST_FOLDER: folder };
  const lines = Array.from({ length: atOnce }, (): Line => ({}));
  await Promise.all(lines.map((line) => workThrough(queue, line, lines, environment, report)));
  return { sum, times };
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
  const { values, positionals } = parseArgs({
    options: {
      all: { type: 'boolean', default: false },
      'list-slow': { type: 'boolean', default: false },
      thorough: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  if (values.thorough) process.env.CAMEO_TEST_THOROUGH = '1';
  const atOnce = Math.floor(positiveNumber('CAMEO_TEST_JOBS', Math.min(4, availableParallelism())));
  const limitSeconds = positiveNumber('CAMEO_TEST_TIMEOUT', 300);
  const wanted = { filters: positionals, all: values.all || values.thorough, thorough: values.thorough };
  const run = await runJobs(await makeJobs(wanted, limitSeconds), Math.max(1, atOnce));
  sum = run.sum;
  if (values['list-slow']) console.log(`\n${slowest(run.times, 10)}`);
  console.log(`\nin ${((performance.now() - start) / 1000).toFixed(0)} s`);
} catch (error) {
  console.log(`npm test: ${(error as Error).message}`);
}
console.log(closingLine(sum));
process.exitCode = sum.failed > 0 ? 1 : 0;
