import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { integer } from '../src/cli/numbers.js';
import { ArgumentError, CameoError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openTree, type Tree } from './compile-times.js';
import type { Filters } from './core/choose.js';
import { adapterSlug } from './core/result.js';
import { type Runnable, runsFor } from './core/runnable.js';
import { geometricMean } from './core/statistics.js';
import type { Task } from './core/task.js';
import { disableShaderCaches } from './shader-cache.js';

/*
 * tsx bench/compare-trees.ts OTHER: times the tasks of the bench in another checkout of this project (before) and in this one
 * (after), in one process, each task in turn, so that other work on the machine slows both alike. The least of its times counts
 * for each task; kinds are compared by the geometric mean of the ratios. Compiling is timed in processes of their own. It writes
 * results/compare-ADAPTER.md.
 */

interface Options extends Filters {
  batch: string;
  budget: number;
  out: string;
}

interface Compared {
  kind: string;
  layer: string;
  /** Time of a run after, over that before. */
  time: number;
  /** Milliseconds that compiling took before and after. */
  compileMs: readonly [before: number, after: number];
}

/** Prepares a task and runs it, so that it is compiled. */
async function compiled({ gpu }: Tree, task: Task): Promise<Runnable> {
  const runnable = task.prepare(gpu);
  await runnable.run();
  await runnable.finish();
  return runnable;
}

/** Rounds of compiling, in each of which both trees compile everything; the least time counts. */
const COMPILE_ROUNDS = 3;

/** The least time that compiling each task took, for each of the trees, which compile by turns. */
async function leastCompileTimes(roots: readonly string[], filters: readonly object[]): Promise<number[][]> {
  const least: number[][] = roots.map(() => []);
  for (let round = 0; round < COMPILE_ROUNDS; round++) {
    for (const [k, root] of roots.entries()) {
      const args = [...process.execArgv, fileURLToPath(new URL('compile-times.ts', import.meta.url)), root];
      const { stdout } = await promisify(execFile)(process.execPath, [...args, JSON.stringify(filters[k])]);
      const times = JSON.parse(stdout.trim().split('\n').pop()!) as number[];
      least[k] = times.map((ms, task) => Math.min(ms, least[k][task] ?? Infinity));
    }
  }
  return least;
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

/** @returns the time of a run after, over that before */
async function compareTask(
  sides: readonly [before: [Tree, Task], after: [Tree, Task]],
  budget: number,
): Promise<number> {
  const runnables = [await compiled(...sides[0]), await compiled(...sides[1])];
  const [before, after] = await leastByTurns(runnables, budget);
  for (const runnable of runnables) await runnable.dispose();
  return after / before;
}

/** The name that a kind or a layer of an older checkout has now. */
const presentName = (name: string): string => name.replace(/^deconv/, 'transposed');

/** A first run that takes longer than a second one by this compiled a kernel. */
const COMPILING_MS = 30;

function kindRows(compared: readonly Compared[]) {
  return [...new Set(compared.map(({ kind }) => kind))].map((kind) => {
    const ofKind = compared.filter((each) => each.kind === kind);
    const worst = ofKind.reduce((max, each) => (each.time > max.time ? each : max));
    const mean = geometricMean(ofKind.map(({ time }) => time));
    // Where an earlier shape has the same kernels nothing is compiled.
    const compiling = ofKind.filter(({ compileMs }) => Math.min(...compileMs) > COMPILING_MS);
    const compileRatios = compiling.map(({ compileMs: [before, after] }) => after / before);
    return [
      kind,
      ofKind.length,
      mean.toFixed(3),
      compiling.length,
      compiling.length ? geometricMean(compileRatios).toFixed(3) : '',
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
  const commits = [root, PACKAGE_ROOT].map(gitCommit);
  const [compileBefore, compileAfter] = await leastCompileTimes(
    [root, PACKAGE_ROOT],
    [{ ...options, ...older }, options],
  );
  const compared: Compared[] = [];
  for (const [k, task] of after.tasks.entries()) {
    const { kind, layer, batch } = task;
    const sameAt = before.tasks.findIndex(
      (each) => presentName(each.kind) === kind && presentName(each.layer) === layer && each.batch === batch,
    );
    if (sameAt < 0) continue; // the older checkout does not have this task
    const time = await compareTask(
      [
        [before, before.tasks[sameAt]],
        [after, task],
      ],
      options.budget,
    );
    const compileMs = [compileBefore[sameAt], compileAfter[k]] as const;
    compared.push({ kind, layer, time, compileMs });
    console.log(
      `${kind.padEnd(27)} ${layer.padEnd(42)} ${time.toFixed(3)}  compile ${compileMs.map((ms) => ms.toFixed(1)).join(' → ')} ms`,
    );
  }
  const table = {
    title: 'Time after, over time before',
    columns: ['Kind', 'Shapes', 'Geometric mean', 'Shapes that compile', 'Compiling, geometric mean', 'Slowest shape'],
    rows: kindRows(compared),
  };
  const metadata = [
    `Before: commit ${commits[0]}; each task by the least of its times, measured in turn`,
    ...metadataTexts({
      ...runMetadata(after.gpu.description, commits[1]),
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
