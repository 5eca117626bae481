import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Gpu, GpuOptions } from '../src/gpu/gpu.js';
import { cpuSeconds } from '../src/training/compare-networks.js';
import type { Filters } from './core/choose.js';
import type { Task } from './core/task.js';
import { disableShaderCaches } from './shader-cache.js';

/*
 * tsx bench/compile-times.ts ROOT FILTERS: how many milliseconds the first run of each task of the bench in a checkout takes longer
 * than a later one, as JSON. A process of its own for each checkout, since the second device of a process compiles more slowly.
 */

/** The bench of a checkout, on a device that its own engine opened. */
export interface Tree {
  gpu: Gpu;
  tasks: Task[];
}

/** @param wait how the device is waited for; default: as its engine does */
export async function openTree(
  root: string,
  filters: Filters & { batch: string },
  wait?: GpuOptions['wait'],
): Promise<Tree> {
  const load = (path: string) => import(pathToFileURL(join(root, path)).href);
  const [{ openGpu }, { chooseLayers, parseBatches, wanted }, { allTasks }] = await Promise.all([
    load('src/gpu/node/adapters.ts'),
    load('bench/core/choose.ts'),
    load('bench/core/suite.ts'),
  ]);
  const layers = chooseLayers(filters);
  const tasks = wanted(allTasks(layers, parseBatches(filters.batch)), layers, filters);
  return { gpu: await openGpu({ tuning: false, ...(wait && { wait }) }), tasks };
}

/** @returns milliseconds, of processor time on a CPU adapter, so that other work on the machine counts less */
async function compileMs(gpu: Gpu, task: Task): Promise<number> {
  const runnable = task.prepare(gpu);
  const now = () => (gpu.limits.software ? 1000 * cpuSeconds() : performance.now());
  const once = async (): Promise<number> => {
    const start = now();
    await runnable.run();
    await runnable.finish();
    return now() - start;
  };
  await gpu.sync();
  const first = await once();
  const later = Math.min(await once(), await once());
  await runnable.dispose();
  return Math.max(first - later, 0.01);
}

async function main([root, filters]: readonly string[]): Promise<void> {
  disableShaderCaches();
  const { gpu, tasks } = await openTree(root, JSON.parse(filters));
  const times: number[] = [];
  for (const task of tasks) times.push(await compileMs(gpu, task));
  console.log(JSON.stringify(times));
  gpu.destroy();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
