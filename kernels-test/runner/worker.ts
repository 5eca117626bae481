import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { sharedBytes } from './shared-gpu.js';
import './uvu-queue.js';
import type { FileReport, WorkerOrder } from './worker-process.js';

/*
 * A process that runs the test files that it is told to, one after the other. They share its modules, and so the device of
 * harness.ts with all its compiled kernels, because compiling takes most of the tests' time. What a file changes in the
 * process is restored after it. A file that leaves something open counts as failed, because its process would never have ended.
 */

globalThis.UVU_DEFER = 1;
const uvu = await import('uvu');
process.setMaxListeners(0); // each file may add a listener that removes something at the end

/** Milliseconds that open handles may take to close after the last test; CAMEO_TEST_CLOSING sets it. */
const CLOSING = Number(process.env.CAMEO_TEST_CLOSING || 10_000);

function countOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Waits until no new handle keeps the process open. @returns the kinds of those that are left */
async function leftOpen(before: ReadonlyMap<string, number>): Promise<string[]> {
  const until = performance.now() + CLOSING;
  for (;;) {
    const open = [...countOf(process.getActiveResourcesInfo())];
    const more = open.filter(([name, count]) => name !== 'Immediate' && count > (before.get(name) ?? 0));
    if (more.length === 0 || performance.now() > until) return more.map(([name]) => name);
    await new Promise((resolve) => setImmediate(resolve));
    // This sleeps without a timer, which would itself count as an open handle.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
}

/** Variables that are not restored: the device layer has chosen the Vulkan drivers for the whole process. */
const ofDrivers = (name: string): boolean => /^VK_(DRIVER_FILES|ICD_FILENAMES)$/.test(name);

function restoreEnvironment(before: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in before || ofDrivers(name))) delete process.env[name];
  for (const [name, value] of Object.entries(before)) {
    if (process.env[name] !== value && !ofDrivers(name)) process.env[name] = value;
  }
}

/** Seconds of processor time of ended child programs, on Linux; 0 on other systems. */
function childrenSeconds(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[13]) + Number(fields[14])) / 100; // cutime and cstime, in ticks of 10 ms
  } catch {
    return 0;
  }
}

async function runSuites(path: string): Promise<void> {
  UVU_QUEUE.length = 0;
  UVU_QUEUE.push([null]);
  await import(pathToFileURL(path).href);
  await uvu.exec();
}

async function runFile(path: string): Promise<FileReport> {
  const environment = { ...process.env };
  const folder = process.cwd();
  const open = countOf(process.getActiveResourcesInfo());
  const cpu = process.cpuUsage();
  const started = childrenSeconds();
  const bytes = await sharedBytes();
  let ending = '';
  try {
    await runSuites(path);
    const left = await leftOpen(open);
    if (left.length > 0) ending = `left open: ${left.join(', ')}`;
    const more = (await sharedBytes()) - bytes;
    if (more !== 0) ending ||= `left on the shared device: ${more} bytes`;
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  if (process.exitCode) ending ||= `exit code ${process.exitCode}`;
  process.exitCode = 0;
  restoreEnvironment(environment);
  process.chdir(folder);
  uvu.test.run(); // drops tests that a file forgot to run, so that they do not run with the next file
  const { user, system } = process.cpuUsage(cpu);
  return {
    ending,
    cpuSeconds: (user + system) / 1e6 + childrenSeconds() - started,
    memoryBytes: process.memoryUsage.rss(),
  };
}

process.on('message', async ({ path, mark }: WorkerOrder) => {
  const report = await runFile(path);
  process.stderr.write(`${mark}\n`);
  process.stdout.write(`${mark}${JSON.stringify(report)}\n`);
});
process.on('disconnect', () => process.exit());
