import { pathToFileURL } from 'node:url';
import { waitInSleeps } from '../src/gpu/node/quiet-wait.js';
import { openTree, type Tree } from './compile-times.js';
import type { Filters } from './core/choose.js';
import { type Runnable, runsFor } from './core/runnable.js';
import type { Task } from './core/task.js';
import { disableShaderCaches } from './shader-cache.js';

/*
 * tsx bench/run-times.ts ORDER: the least time of a run of each task that two checkouts have in common, as JSON. Both are in one
 * process, each task in turn, so that other work on the machine slows both alike. The second device of a process may be the slower
 * one, and where memory lies counts, so callers start several processes, and change which checkout comes first.
 */

export interface RunTimesOrder {
  /** The checkout before and the one after, each with filters in its own names. */
  sides: readonly { root: string; filters: Filters & { batch: string } }[];
  /** Whether the checkout after is opened and timed first. */
  afterFirst: boolean;
  /** Milliseconds to spend on each task. */
  budget: number;
}

export interface RunTimes {
  kind: string;
  layer: string;
  /** Number of the task in each checkout. */
  tasks: readonly [before: number, after: number];
  /** Milliseconds of a run. */
  ms: readonly [before: number, after: number];
}

/** Prepares a task and runs it, so that it is compiled. */
async function compiled({ gpu }: Tree, task: Task): Promise<Runnable> {
  const runnable = task.prepare(gpu);
  await runnable.run();
  await runnable.finish();
  return runnable;
}

/**
 * The engine's sleeps in Node would round the time of a sample up by some 5 %, and the same way each time. With random ones, the
 * least of many samples is the true time.
 */
const waitAtRandom = <T>(pending: Promise<T>): Promise<T> =>
  waitInSleeps(pending, (waited) => Math.max(0.05, 0.1 * Math.random() * waited));

/** Milliseconds of a sample: long enough to hide the cost of a wait, short enough to fall between bursts of other work. */
const SAMPLE_MS = 5;

/** The least time that a run of each runnable took. They run in turn until the budget is spent, and five times at least. */
async function leastByTurns(runnables: readonly Runnable[], budget: number): Promise<number[]> {
  const time = async (runnable: Runnable, runs: number): Promise<number> => {
    const start = performance.now();
    for (let k = 0; k < runs; k++) await runnable.run();
    await runnable.finish();
    return performance.now() - start;
  };
  const runs: number[] = [];
  for (const runnable of runnables) {
    runs.push(await runsFor((count) => time(runnable, count), SAMPLE_MS, await time(runnable, 1)));
  }
  const least = runnables.map(() => Infinity);
  const end = performance.now() + budget * runnables.length;
  for (let turn = 0; turn < 5 || performance.now() < end; turn++) {
    for (const [k, runnable] of runnables.entries()) {
      least[k] = Math.min(least[k], (await time(runnable, runs[k])) / runs[k]);
    }
  }
  return least;
}

/** The name that a kind or a layer of an older checkout has now. */
const presentName = (name: string): string => name.replace(/^deconv/, 'transposed');

async function main(order: RunTimesOrder): Promise<void> {
  disableShaderCaches();
  const turn = order.afterFirst ? [1, 0] : [0, 1];
  const trees: Tree[] = [];
  for (const k of turn) trees[k] = await openTree(order.sides[k].root, order.sides[k].filters, waitAtRandom);
  const [before, after] = trees;
  const all: RunTimes[] = [];
  for (const [k, { kind, layer, batch }] of after.tasks.entries()) {
    const sameAt = before.tasks.findIndex(
      (each) => presentName(each.kind) === kind && presentName(each.layer) === layer && each.batch === batch,
    );
    if (sameAt < 0) continue; // the older checkout does not have this task
    const tasks = [sameAt, k] as const;
    const runnables: Runnable[] = [];
    for (const side of turn) runnables.push(await compiled(trees[side], trees[side].tasks[tasks[side]]));
    const least = await leastByTurns(runnables, order.budget);
    for (const runnable of runnables) await runnable.dispose();
    all.push({ kind, layer, tasks, ms: [least[turn.indexOf(0)], least[turn.indexOf(1)]] });
  }
  console.log(JSON.stringify(all));
  for (const { gpu } of trees) gpu.destroy();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(JSON.parse(process.argv[2]));
