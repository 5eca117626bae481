import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { PACKAGE_ROOT } from '../src/cli/package-root.js';
import { runFacts } from '../src/cli/report-facts.js';
import { ArgumentError, CameoError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/atomic-file.js';
import { factTexts, listLines } from '../src/evaluation/reports/run-facts.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Gpu } from '../src/gpu/gpu.js';
import type { Filters } from './core/choose.js';
import { adapterSlug } from './core/result.js';
import type { Runnable } from './core/runnable.js';
import { geometricMean } from './core/statistics.js';
import type { Task } from './core/task.js';

/*
 * tsx bench/compare-trees.ts OTHER: times the tasks of the bench in another checkout of this project (before) and in this one
 * (after), in one process, task by task in turn, so that what disturbs the machine disturbs both alike. Each run counts with
 * the least of its times; kinds are compared by the geometric mean of the ratios. Writes results/compare-ADAPTER.md.
 */

/** A run shorter than this is repeated within a sample: the wait for the device would hide it. In milliseconds. */
const SHORTEST_SAMPLE = 5;

interface Options extends Filters {
  batch: string;
  rounds: string;
  out: string;
}

/** The bench of one checkout, on a device that its own engine opened. */
interface Tree {
  gpu: Gpu;
  tasks: Task[];
}

interface Compared {
  kind: string;
  layer: string;
  /** After over before: of the times of a run, and of compiling. */
  time: number;
  compile: number;
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
  return { gpu: await openGpu({ tuning: false }), tasks };
}

/** A task made ready: how long its first run took beyond the next, and how to take a sample. */
async function prepare({ gpu }: Tree, task: Task) {
  const runnable: Runnable = task.prepare(gpu);
  const timed = async (runs: number): Promise<number> => {
    const start = performance.now();
    for (let k = 0; k < runs; k++) await runnable.run();
    await runnable.finish();
    return (performance.now() - start) / runs;
  };
  await gpu.sync();
  const first = await timed(1);
  const second = await timed(1);
  const runs = Math.max(1, Math.ceil(SHORTEST_SAMPLE / second));
  return { compile: Math.max(first - second, 0.01), sample: () => timed(runs), dispose: () => runnable.dispose() };
}

async function compareTask(before: Tree, after: Tree, one: Task, two: Task, rounds: number): Promise<Compared> {
  const [old, young] = [await prepare(before, one), await prepare(after, two)];
  let [least, leastAfter] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round++) {
    least = Math.min(least, await old.sample());
    leastAfter = Math.min(leastAfter, await young.sample());
  }
  await old.dispose();
  await young.dispose();
  return { kind: two.kind, layer: two.layer, time: leastAfter / least, compile: young.compile / old.compile };
}

const commitOf = (root: string): string =>
  execFileSync('git', ['-C', root, 'rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim();

function kindRows(compared: readonly Compared[]) {
  return [...new Set(compared.map(({ kind }) => kind))].map((kind) => {
    const own = compared.filter((each) => each.kind === kind);
    const worst = own.reduce((most, each) => (each.time > most.time ? each : most));
    const mean = (of: 'time' | 'compile'): string => geometricMean(own.map((each) => each[of])).toFixed(3);
    return [kind, own.length, mean('time'), mean('compile'), `${worst.time.toFixed(2)}: ${worst.layer}`];
  });
}

async function compare(other: string, options: Options): Promise<void> {
  const root = resolve(other);
  const rounds = Number(options.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0))
    throw new ArgumentError(`--rounds ${options.rounds}: expected 1 or more`);
  if (!existsSync(join(root, 'bench/core/suite.ts'))) throw new ArgumentError(`${other}: no checkout of this project`);
  const [before, after] = [await openTree(root, options), await openTree(PACKAGE_ROOT, options)];
  const compared: Compared[] = [];
  for (const task of after.tasks) {
    const { kind, layer, batch } = task;
    const same = before.tasks.find((each) => each.kind === kind && each.layer === layer && each.batch === batch);
    if (!same) continue; // what only one of them has cannot be compared
    const result = await compareTask(before, after, same, task, rounds);
    compared.push(result);
    console.log(
      `${kind.padEnd(27)} ${layer.padEnd(42)} ${result.time.toFixed(3)}  compile ${result.compile.toFixed(2)}`,
    );
  }
  const table = {
    title: 'Time after, over time before',
    columns: ['Kind', 'Shapes', 'Geometric mean', 'of compiling', 'Slowest shape'],
    rows: kindRows(compared),
  };
  const facts = [
    `Before: commit ${commitOf(root)}; the least of ${rounds} rounds each, in turn, batch ${options.batch}`,
    ...factTexts({
      ...runFacts(after.gpu.description),
      command: `tsx bench/compare-trees.ts --rounds ${rounds} BEFORE`,
    }),
  ];
  const path = join(options.out, `compare-${adapterSlug(after.gpu.description)}.md`);
  await writeFileAtomic(path, `# Speed before and after\n\n${listLines(facts)}\n\n${markdownTable(table)}\n`);
  console.log(`\n${markdownTable(table)}\n\nwritten: ${path}`);
  before.gpu.destroy();
  after.gpu.destroy();
}

const program = new Command('compare-trees')
  .description('Times the tasks of the bench in another checkout (before) and in this one (after), in turn')
  .argument('<other>', 'the other checkout, with its packages installed')
  .option('--batch <list>', 'pictures a batch', '4')
  .option('--layers <text>', 'only layers whose name contains this, or of this network')
  .option('--kinds <list>', 'only these kinds, such as "conv forward,deconv" (parts of their names)')
  .option('--rounds <n>', 'samples of each, of which the least counts', '15')
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
