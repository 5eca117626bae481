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
import { openGpu } from '../src/gpu/node/adapters.js';
import type { Filters } from './core/choose.js';
import { adapterSlug } from './core/result.js';
import { geometricMean } from './core/statistics.js';
import type { RunTimes, RunTimesOrder } from './run-times.js';

/*
 * tsx bench/compare-trees.ts OTHER: times the tasks of the bench in another checkout of this project (before) and in this one
 * (after), each task in turn (run-times.ts). The least of its times counts for each task; kinds are compared by the geometric mean of
 * the ratios. Compiling is timed in processes of its own (compile-times.ts). It writes results/compare-ADAPTER.md.
 */

interface Options extends Filters {
  batch: string;
  budget: number;
  processes: number;
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

/** Rounds of compiling, in each of which both trees compile everything; the least time counts. */
const COMPILE_ROUNDS = 3;

/** Runs a program of this folder in a process of its own. @returns the JSON of its last line */
async function outputOf(program: string, args: readonly string[]): Promise<unknown> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, path, ...args]);
  return JSON.parse(stdout.trim().split('\n').pop()!);
}

/** The least time that compiling each task took, for each of the trees, which compile by turns. */
async function leastCompileTimes(sides: RunTimesOrder['sides']): Promise<number[][]> {
  const least: number[][] = sides.map(() => []);
  for (let round = 0; round < COMPILE_ROUNDS; round++) {
    for (const [k, { root, filters }] of sides.entries()) {
      const times = (await outputOf('compile-times.ts', [root, JSON.stringify(filters)])) as number[];
      least[k] = times.map((ms, task) => Math.min(ms, least[k][task] ?? Infinity));
    }
  }
  return least;
}

/** The least times of all processes, which change which checkout comes first. */
async function leastRunTimes(sides: RunTimesOrder['sides'], { budget, processes }: Options): Promise<RunTimes[]> {
  const runs: RunTimes[][] = [];
  for (let k = 0; k < processes; k++) {
    const order: RunTimesOrder = { sides, afterFirst: k % 2 === 1, budget: budget / processes };
    runs.push((await outputOf('run-times.ts', [JSON.stringify(order)])) as RunTimes[]);
    console.log(`run times: process ${k + 1} of ${processes}`);
  }
  return runs[0].map((task, index) => {
    const [before, after] = [0, 1].map((side) => Math.min(...runs.map((run) => run[index].ms[side])));
    return { ...task, ms: [before, after] };
  });
}

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
  // A missing adapter shows now, and not after the measurements.
  const gpu = await openGpu({ tuning: false });
  const { description } = gpu;
  gpu.destroy();
  // An older checkout knows transposed convs as deconv.
  const older = options.kinds && { kinds: `${options.kinds},${options.kinds.replaceAll('transposed', 'deconv')}` };
  const { batch, layers, kinds } = options;
  const sides = [
    { root, filters: { batch, layers, kinds, ...older } },
    { root: PACKAGE_ROOT, filters: { batch, layers, kinds } },
  ];
  const commits = [root, PACKAGE_ROOT].map(gitCommit);
  const [compileBefore, compileAfter] = await leastCompileTimes(sides);
  const compared: Compared[] = [];
  for (const { kind, layer, tasks, ms } of await leastRunTimes(sides, options)) {
    const time = ms[1] / ms[0];
    const compileMs = [compileBefore[tasks[0]], compileAfter[tasks[1]]] as const;
    compared.push({ kind, layer, time, compileMs });
    console.log(
      `${kind.padEnd(27)} ${layer.padEnd(42)} ${time.toFixed(3)}  compile ${compileMs.map((each) => each.toFixed(1)).join(' → ')} ms`,
    );
  }
  const table = {
    title: 'Time after, over time before',
    columns: ['Kind', 'Shapes', 'Geometric mean', 'Shapes that compile', 'Compiling, geometric mean', 'Slowest shape'],
    rows: kindRows(compared),
  };
  const metadata = [
    `Before: commit ${commits[0]}; each task by the least of its times, measured in turn, in ${options.processes} processes`,
    ...metadataTexts({
      ...runMetadata(description, commits[1]),
      command: `tsx bench/compare-trees.ts ${process.argv.slice(2).join(' ')}`,
    }),
  ];
  const path = join(options.out, `compare-${adapterSlug(description)}.md`);
  await writeFileAtomic(path, `# Speed before and after\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`);
  console.log(`\n${markdownTable(table)}\n\nwritten: ${path}`);
}

const program = new Command('compare-trees')
  .description('Times the tasks of the bench in another checkout (before) and in this one (after), in turn')
  .argument('<other>', 'the other checkout, with its packages installed')
  .option('--batch <list>', 'pictures per batch', '4')
  .option('--layers <text>', 'only layers whose name contains this, or those of this network')
  .option('--kinds <list>', 'only these kinds, such as "conv forward,transposed" (parts of their names)')
  .option('--budget <ms>', 'milliseconds to spend on each task; it takes at least five samples', integer(1, 1e6), 500)
  .option(
    '--processes <n>',
    'processes to share the budget; where memory lies differs between them',
    integer(1, 100),
    2,
  )
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
