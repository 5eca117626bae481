import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CameoError } from '../src/common/errors.js';
import type { Precision } from '../src/common/precision.js';
import { ensureFolder, writeFileAtomic } from '../src/data/files/atomic-file.js';
import { readText } from '../src/data/files/read-file.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { textTable } from '../src/evaluation/reports/tables.js';
import { adapterKind, adapterName } from '../src/gpu/description.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { saveTuning } from '../src/gpu/node/tuning-file.js';
import { benchCodec } from './codec-speed.js';
import type { Ceilings } from './core/ceilings.js';
import {
  budgetOf,
  chooseLayers,
  defaultBatches,
  type Filters,
  parseBatches,
  wanted,
  wantsNetworks,
} from './core/choose.js';
import type { Measurement } from './core/measure.js';
import { ceilingsTable, kindsTable, networksTable, rooflinePlot } from './core/report.js';
import { adapterSlug, type BenchResult, benchResult, gbpsOf, gflopsOf } from './core/result.js';
import { allTasks, runSuite } from './core/suite.js';
import { tuneTasks } from './core/tune.js';
import { allWorks } from './core/work.js';
import { runPeers } from './peers/run.js';
import { benchHtml, benchMarkdown, type FullResult } from './report.js';
import { disableShaderCaches } from './shader-cache.js';
import { parseTorchReport, type TorchReport, torchShapes, torchTable } from './torch.js';

disableShaderCaches();

interface Options extends Filters {
  batch?: number[];
  quick?: boolean;
  tune?: boolean;
  precision: Precision;
  peers?: boolean;
  out?: string;
  torch?: string;
  listShapes?: string;
  against?: string;
}

function printMeasurement(measurement: Measurement, ceilings: Ceilings): void {
  const { kind, layer, batch, time, compileMs } = measurement;
  const gflops = gflopsOf(measurement);
  const share =
    gflops === null ? '' : `${gflops.toFixed(2)} GFLOP/s, ${((100 * gflops) / ceilings.gflops).toFixed(0)} %`;
  console.log(
    `${kind.padEnd(27)} ${layer.padEnd(42)} ${String(batch).padStart(3)} ${time.median.toFixed(2).padStart(9)} ms  ${share.padStart(22)}  ${gbpsOf(
      measurement,
    )
      .toFixed(2)
      .padStart(7)} GB/s  compile ${compileMs.toFixed(0)} ms`,
  );
}

async function measure(gpu: Gpu, batches: number[], options: Options): Promise<FullResult> {
  const { description } = gpu;
  console.log(`${adapterName(description)} (${adapterKind(description.kind)}), batch ${batches.join(' and ')}`);
  const layers = chooseLayers(options);
  const tasks = wanted(allTasks(layers, batches), layers, options);
  const { tune: tuned = false, quick = false } = options;
  if (tuned) console.log(`${await tuneTasks(gpu, tasks, () => saveTuning(gpu))} kernel choices measured`);
  const suite = await runSuite(gpu, {
    tasks,
    batches,
    budget: budgetOf(quick),
    networks: wantsNetworks(options),
    onMeasurement: printMeasurement,
  });
  const runtime = `Node ${process.version}`;
  return { ...benchResult(gpu, { batches, tuned, commit: gitCommit(), runtime }, suite), peers: [] };
}

function printSummary(result: BenchResult, torch: TorchReport | null): void {
  console.log(`\ntimes by ${result.clock === 'timestamps' ? "the device's timestamps" : 'the wall clock'}`);
  const tables = [ceilingsTable(result), kindsTable(result), networksTable(result)];
  if (torch) tables.push(torchTable(result, torch));
  for (const table of tables.filter(({ rows }) => rows.length > 0)) console.log(`\n${textTable(table)}`);
}

async function writeResult(path: string, result: FullResult, torch: TorchReport | null): Promise<void> {
  await writeFileAtomic(`${path}.json`, `${JSON.stringify(result, null, 1)}\n`);
  await writeFileAtomic(`${path}.md`, benchMarkdown(result, torch));
  await writeFileAtomic(`${path}.html`, benchHtml(result, torch));
  await writeFileAtomic(`${path}.svg`, rooflinePlot(result));
}

async function readTorchReport(path: string): Promise<TorchReport> {
  return parseTorchReport(await readText(path));
}

async function bench(options: Options): Promise<void> {
  if (options.listShapes !== undefined) {
    const works = (options.batch ?? [32]).flatMap((batch) => allWorks(chooseLayers(options), batch));
    await writeFileAtomic(options.listShapes, `${JSON.stringify(torchShapes(works), null, 1)}\n`);
    return;
  }
  if (options.kinds?.trim() === 'codec') {
    const folder = options.out ?? 'results/speed';
    await ensureFolder(folder);
    await benchCodec(folder, options.quick ?? false, options.against);
    return;
  }
  const torch = options.torch === undefined ? null : await readTorchReport(options.torch);
  const folder = options.out ?? 'results';
  await ensureFolder(folder);
  const gpu = await openGpu({ tuning: options.tune ?? false, precision: options.precision });
  try {
    const batches = options.batch ?? defaultBatches(options.quick ?? false);
    const path = join(
      folder,
      `bench-${adapterSlug(gpu.description)}${options.precision === 'f32' ? '' : `-${options.precision}`}`,
    );
    const result = await measure(gpu, batches, options);
    printSummary(result, torch);
    await writeResult(path, result, torch); // now, because the peers take as long again and may fail
    if (options.peers) {
      const layers = chooseLayers(options);
      const all = batches.flatMap((batch) => allWorks(layers, batch));
      const works = wanted(all, layers, options);
      result.peers = await runPeers(gpu, works, budgetOf(options.quick ?? false), console.log);
      await writeResult(path, result, torch);
    }
    console.log(`\nwritten: ${path}.json, .md, .html, .svg`);
  } finally {
    gpu.destroy();
  }
}

function batchesOption(text: string): number[] {
  try {
    return parseBatches(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function main(): Promise<void> {
  const program = new Command('bench')
    .description(
      'Times kernels on the layers of the networks, and whole networks, and compares them with what the adapter can do',
    )
    .option('--batch <list>', 'pictures per batch, or several numbers (default 1,32; with --quick 4)', batchesOption)
    .option('--layers <text>', 'only layers whose name contains this, or those of this network')
    .option(
      '--kinds <list>',
      'only these kinds, such as "conv forward,transposed" (parts of their names); "codec": encoding and decoding, on the faces in CAMEO_DATA',
    )
    .option('--against <folder>', 'with --kinds codec: another checkout to time by turns with this one')
    .option('--quick', 'spend less time on each, with fewer samples')
    .option(
      '--tune',
      'first measure which kernel is fastest for each conv, where that is not known yet, as `cameo tune` does',
    )
    .addOption(
      new Option('--precision <name>', 'type in which the fast convs store their operands')
        .choices(['f32', 'f16'])
        .default('f32'),
    )
    .option('--peers', 'also compare with other WebGPU libraries on the same device')
    .option('--torch <file>', 'compare with the results of bench/torch_peer.py in this file')
    .option('--list-shapes <file>', 'only write the shapes for bench/torch_peer.py')
    .option('--out <folder>', 'where to write the results (default results)');
  try {
    await bench(program.parse().opts<Options>());
  } catch (error) {
    if (!(error instanceof CameoError)) throw error;
    console.error(`bench: ${error.message}`);
    process.exitCode = 1;
  }
}

await main();
