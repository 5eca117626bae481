import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { sharedBytes } from './shared-gpu.js';
import './uvu-queue.js';
import type { FileReport, WorkerOrder } from './worker-process.js';

/*
 * A process that runs test files one after the other, as it is told to. They share its modules, and so the device of
 * harness.ts with every kernel that it has compiled: compiling is most of what the tests cost. What a file changes of the
 * process is put back after it, and a file that leaves something open has failed, as its process would never have ended.
 */

globalThis.UVU_DEFER = 1;
const uvu = await import('uvu');
process.setMaxListeners(0); // each file may have something to remove at the end

/** How long what is open after the last test may take to close, in milliseconds; CAMEO_TEST_CLOSING sets it. */
const CLOSING = Number(process.env.CAMEO_TEST_CLOSING || 10_000);

function countOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Waits until nothing holds the process open that did not before. @returns the kinds of what is left */
async function leftOpen(before: ReadonlyMap<string, number>): Promise<string[]> {
  const until = performance.now() + CLOSING;
  for (;;) {
    const open = [...countOf(process.getActiveResourcesInfo())];
    const more = open.filter(([name, count]) => name !== 'Immediate' && count > (before.get(name) ?? 0));
    if (more.length === 0 || performance.now() > until) return more.map(([name]) => name);
    await new Promise((resolve) => setImmediate(resolve));
    // A sleep without a timer, which would count itself.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
}

/** The drivers that the Vulkan loader is shown stay: the device layer has chosen them for the process. */
const ofDrivers = (name: string): boolean => /^VK_(DRIVER_FILES|ICD_FILENAMES)$/.test(name);

function restoreEnvironment(before: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in before || ofDrivers(name))) delete process.env[name];
  for (const [name, value] of Object.entries(before)) {
    if (process.env[name] !== value && !ofDrivers(name)) process.env[name] = value;
  }
}

/** Seconds of processor time of the programs started here that have ended, on Linux; else 0. */
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
  uvu.test.run(); // tests of a file that forgot to run them must not become the next file's
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
