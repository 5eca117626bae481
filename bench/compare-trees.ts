import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { integer } from '../src/cli/numbers.js';
import { ArgumentError, CameoError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Gpu } from '../src/gpu/gpu.js';
import type { Filters } from './core/choose.js';
import { adapterSlug } from './core/result.js';
import { type Runnable, runsFor } from './core/runnable.js';
import { geometricMean } from './core/statistics.js';
import type { Task } from './core/task.js';
import { disableShaderCaches } from './shader-cache.js';

/*
 * tsx bench/compare-trees.ts OTHER: times the tasks of the bench in another checkout of this project (before) and in this one
 * (after), in one process, each task in turn, so that other work on the machine slows both alike. The least of its times counts
 * for each task; kinds are compared by the geometric mean of the ratios. It writes results/compare-ADAPTER.md.
 */

interface Options extends Filters {
  batch: string;
  budget: number;
  out: string;
}

/** The bench of one checkout, on a device that its own engine opened. */
interface Tree {
  gpu: Gpu;
  tasks: Task[];
  /** The commit that was checked out when the program started. */
  commit: string | null;
}

interface Compared {
  kind: string;
  layer: string;
  /** Time of a run after, over that before. */
  time: number;
  /** Milliseconds that compiling took before and after; next to nothing where an earlier shape has the same kernels. */
  compileMs: readonly [before: number, after: number];
}

async function openTree(root: string, options: Options): Promise<Tree> {
  const load = (path: string) => import(pathToFileURL(join(root, path)).href);
  const [{ openGpu }, { chooseLayers, parseBatches, wanted }, { allTasks }] = await Promise.all([
    load('src/gpu/node/adapters.ts'),
    load('bench/core/choose.ts'),
    load('bench/core/suite.ts'),
  ]);
  const layers = chooseLayers(options);
  const tasks = wanted(allTasks(layers, parseBatches(options.batch)), layers, options);
  return { gpu: await openGpu({ tuning: false }), tasks, commit: gitCommit(root) };
}

/** Prepares a task and runs it twice, so that it is compiled. @returns also how much longer the first run took than the second */
async function compiled({ gpu }: Tree, task: Task): Promise<{ runnable: Runnable; compileMs: number }> {
  const runnable = task.prepare(gpu);
  const once = async (): Promise<number> => {
    const start = performance.now();
    await runnable.run();
    await runnable.finish();
    return performance.now() - start;
  };
  await gpu.sync();
  const first = await once();
  return { runnable, compileMs: Math.max(first - (await once()), 0.01) };
}

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

/** @param afterFirst whether to compile in the present tree first: the second to compile a kernel takes longer */
async function compareTask(
  sides: readonly [before: [Tree, Task], after: [Tree, Task]],
  budget: number,
  afterFirst: boolean,
): Promise<Compared> {
  const both: Awaited<ReturnType<typeof compiled>>[] = [];
  for (const k of afterFirst ? [1, 0] : [0, 1]) both[k] = await compiled(...sides[k]);
  const [leastBefore, leastAfter] = await leastByTurns(
    both.map(({ runnable }) => runnable),
    budget,
  );
  for (const { runnable } of both) await runnable.dispose();
  const [, { kind, layer }] = sides[1];
  return {
    kind,
    layer,
    time: leastAfter / leastBefore,
    compileMs: [both[0].compileMs, both[1].compileMs],
  };
}

/** The name that a kind or a layer of an older checkout has now. */
const presentName = (name: string): string => name.replace(/^deconv/, 'transposed');

function kindRows(compared: readonly Compared[]) {
  return [...new Set(compared.map(({ kind }) => kind))].map((kind) => {
    const ofKind = compared.filter((each) => each.kind === kind);
    const worst = ofKind.reduce((max, each) => (each.time > max.time ? each : max));
    const mean = geometricMean(ofKind.map(({ time }) => time));
    const [before, after] = [0, 1].map((tree) => ofKind.reduce((sum, { compileMs }) => sum + compileMs[tree], 0));
    return [
      kind,
      ofKind.length,
      mean.toFixed(3),
      (after / before).toFixed(3),
      `${worst.time.toFixed(2)}: ${worst.layer}`,
    ];
  });
}

async function compare(other: string, options: Options): Promise<void> {
  const root = resolve(other);
  if (!existsSync(join(root, 'bench/core/suite.ts')))
    throw new ArgumentError(`${other} is not a checkout of this project: it has no bench/core/suite.ts`);
  // An older checkout knows transposed convs as deconv.
  const older = options.kinds && { kinds: `${options.kinds},${options.kinds.replaceAll('transposed', 'deconv')}` };
  const [before, after] = [await openTree(root, { ...options, ...older }), await openTree(PACKAGE_ROOT, options)];
  const compared: Compared[] = [];
  for (const task of after.tasks) {
    const { kind, layer, batch } = task;
    const same = before.tasks.find(
      (each) => presentName(each.kind) === kind && presentName(each.layer) === layer && each.batch === batch,
    );
    if (!same) continue; // the older checkout does not have this task
    const result = await compareTask(
      [
        [before, same],
        [after, task],
      ],
      options.budget,
      compared.length % 2 === 1,
    );
    compared.push(result);
    console.log(
      `${kind.padEnd(27)} ${layer.padEnd(42)} ${result.time.toFixed(3)}  compile ${result.compileMs.map((ms) => ms.toFixed(1)).join(' → ')} ms`,
    );
  }
  const table = {
    title: 'Time after, over time before',
    columns: ['Kind', 'Shapes', 'Geometric mean', 'compiling, all shapes', 'Slowest shape'],
    rows: kindRows(compared),
  };
  const metadata = [
    `Before: commit ${before.commit}; each task by the least of its times, measured in turn`,
    ...metadataTexts({
      ...runMetadata(after.gpu.description, after.commit),
      command: `tsx bench/compare-trees.ts ${process.argv.slice(2).join(' ')}`,
    }),
  ];
  const path = join(options.out, `compare-${adapterSlug(after.gpu.description)}.md`);
  await writeFileAtomic(path, `# Speed before and after\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`);
  console.log(`\n${markdownTable(table)}\n\nwritten: ${path}`);
  before.gpu.destroy();
  after.gpu.destroy();
}

disableShaderCaches();
const program = new Command('compare-trees')
  .description('Times the tasks of the bench in another checkout (before) and in this one (after), in turn')
  .argument('<other>', 'the other checkout, with its packages installed')
  .option('--batch <list>', 'pictures per batch', '4')
  .option('--layers <text>', 'only layers whose name contains this, or those of this network')
  .option('--kinds <list>', 'only these kinds, such as "conv forward,transposed" (parts of their names)')
  .option('--budget <ms>', 'milliseconds to spend on each task; it takes at least five samples', integer(1, 1e6), 500)
  .option('--out <folder>', 'where to write the result', join(PACKAGE_ROOT, 'results'))
  .action(async (other: string, options: Options) => {
    try {
      await compare(other, options);
    } catch (error) {
      if (!(error instanceof CameoError)) throw error;
      console.error(`compare-trees: ${error.message}`);
      process.exitCode = 1;
    }
  });
await program.parseAsync();
