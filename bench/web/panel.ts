import { CameoError } from '../../src/common/errors.js';
import { renderTable } from '../../src/evaluation/reports/html-report.js';
import { adapterKind, adapterName } from '../../src/gpu/description.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { openBrowserGpu } from '../../src/gpu/open.js';
import { ablationTable } from '../ablation-table.js';
import type { Ceilings } from '../core/ceilings.js';
import { budgetOf, chooseLayers, type Filters, wanted, wantsNetworks } from '../core/choose.js';
import type { Measurement } from '../core/measure.js';
import {
  ceilingsTable,
  introduction,
  kindsTable,
  measurementsTable,
  networksTable,
  rooflinePlot,
} from '../core/report.js';
import { adapterSlug, type BenchResult, benchResult } from '../core/result.js';
import { allTasks, runSuite } from '../core/suite.js';
import { OWN_KINDS } from '../core/task.js';
import { KINDS } from '../core/work.js';
import { benchLayers } from '../layers.js';

/** The commit that the page was built from. The bundler replaces this name by its value. */
declare const BENCH_COMMIT: string | null;

const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const inputs = {
  batch: byId<HTMLInputElement>('batch'),
  layers: byId<HTMLInputElement>('layers'),
  kinds: byId<HTMLInputElement>('kinds'),
  quick: byId<HTMLInputElement>('quick'),
};
const status = byId('status');
const progress = byId<HTMLProgressElement>('progress');
const result = byId('result');

interface Choice extends Filters {
  batch: number;
  quick: boolean;
}

function showProblem(error: unknown): void {
  const problem = byId('problem');
  problem.hidden = error === null;
  problem.textContent = error === null ? '' : error instanceof Error ? error.message : String(error);
  // An unexpected error also goes to the console, with its stack.
  if (error !== null && !(error instanceof CameoError)) console.error(error);
}

function fillList(id: string, values: Iterable<string>): void {
  byId(id).append(...[...values].map((value) => new Option(value, value)));
}

/** Shows paragraphs, plot and tables, in place of those of the run before. */
function showResult(outcome: BenchResult): void {
  const paragraphs = introduction(outcome).map((text) => {
    const paragraph = document.createElement('p');
    paragraph.textContent = text;
    return paragraph;
  });
  const tables = [ceilingsTable, kindsTable, networksTable, ablationTable, measurementsTable]
    .map((table) => table(outcome))
    .filter(({ rows }) => rows.length > 0);
  const report = document.createElement('div');
  // Both renderers escape every text that they are given.
  report.innerHTML = rooflinePlot(outcome) + tables.map(renderTable).join('\n');
  result.replaceChildren(...paragraphs, report);
}

/** Least milliseconds between two drawings of the roofline during a measurement. */
const DRAW_MS = 1000;
let drawn = 0;

/** Shows the roofline of the measurements so far. */
function showSoFar({ description }: Gpu, measurements: readonly Measurement[], ceilings: Ceilings): void {
  if (performance.now() - drawn < DRAW_MS || !measurements.some(({ flops }) => flops > 0)) return;
  drawn = performance.now();
  const adapter = { name: adapterName(description) };
  // The plot escapes every text that it is given.
  result.innerHTML = rooflinePlot({ measurements, ceilings, adapter });
}

/** Shows a link that downloads the result, in place of that of the run before. */
function offerDownload(outcome: BenchResult, gpu: Gpu): void {
  const place = byId('download');
  const link = document.createElement('a');
  const json = `${JSON.stringify(outcome, null, 1)}\n`;
  link.href = URL.createObjectURL(new Blob([json], { type: 'application/json' }));
  link.download = `bench-browser-${adapterSlug(gpu.description)}.json`;
  link.textContent = 'Download the result as JSON';
  const previous = place.querySelector('a');
  if (previous) URL.revokeObjectURL(previous.href);
  place.replaceChildren(link);
}

async function measure(gpu: Gpu, choice: Choice): Promise<BenchResult> {
  const { batch, quick } = choice;
  const layers = chooseLayers(choice);
  const tasks = wanted(allTasks(layers, [batch]), layers, choice);
  const networks = wantsNetworks(choice);
  const measured: Measurement[] = [];
  progress.max = tasks.length + (networks ? 1 : 0);
  progress.value = 0;
  status.textContent = 'Measuring what the adapter can do…';
  const suite = await runSuite(gpu, {
    tasks,
    batches: [batch],
    budget: budgetOf(quick),
    networks,
    onMeasurement: (measurement, ceilings) => {
      const { kind, layer } = measurement;
      progress.value++;
      measured.push(measurement);
      showSoFar(gpu, measured, ceilings);
      const last = networks && progress.value === tasks.length;
      status.textContent = `${progress.value} of ${tasks.length}: ${kind}, ${layer}${last ? '; now whole networks…' : ''}`;
    },
  });
  return benchResult(
    gpu,
    { batches: [batch], tuned: false, commit: BENCH_COMMIT, runtime: navigator.userAgent },
    suite,
  );
}

/** Only one run at a time: a second one would slow the first. */
let running = false;

async function run(gpu: Gpu): Promise<void> {
  if (running) return;
  running = true;
  // `disabled` would take the focus away from the button.
  byId('run').setAttribute('aria-disabled', 'true');
  showProblem(null);
  progress.hidden = false;
  try {
    const outcome = await measure(gpu, {
      batch: inputs.batch.valueAsNumber,
      layers: inputs.layers.value.trim(),
      kinds: inputs.kinds.value.trim(),
      quick: inputs.quick.checked,
    });
    showResult(outcome);
    offerDownload(outcome, gpu);
    status.textContent = `Done: ${outcome.measurements.length} measurements.`;
  } catch (error) {
    await Promise.resolve(); // `gpu.lost` is set after the interrupted call has failed
    status.textContent = gpu.lost ? 'The GPU device was lost before the end. Run it again.' : '';
    showProblem(error);
  } finally {
    running = false;
    progress.hidden = true;
    byId('run').removeAttribute('aria-disabled');
  }
}

/**
 * Opens a GPU for the panel (panel.html), and shows there which one. It is not the GPU that the rest of a page uses, because the bench
 * needs one without tuning: its report says that kernels are chosen by estimate.
 */
async function open(): Promise<Gpu | null> {
  try {
    const gpu = await openBrowserGpu({ tuning: false });
    const { description } = gpu;
    byId('adapter').textContent = `Adapter: ${adapterName(description)} (${adapterKind(description.kind)})`;
    return gpu;
  } catch (error) {
    byId('adapter').textContent = 'No GPU to measure.';
    showProblem(error);
    return null;
  }
}

/** Fills the panel, opens its GPU, and measures when the form is submitted. */
export async function startBench(): Promise<void> {
  const layers = benchLayers();
  fillList(
    'layer-names',
    new Set([...layers.flatMap(({ counts }) => Object.keys(counts)), ...layers.map(({ name }) => name)]),
  );
  fillList('kind-names', [...KINDS, ...OWN_KINDS]);
  byId('form').addEventListener('submit', (event) => event.preventDefault());
  let gpu = await open();
  if (!gpu) return;
  inputs.batch.value = String(gpu.limits.software ? 4 : 32);
  byId<HTMLFieldSetElement>('choices').disabled = false;
  byId('form').addEventListener('submit', async () => {
    if (running) return;
    if (!gpu || gpu.lost) gpu = await open();
    if (gpu) await run(gpu);
    // The interrupted run is dropped; this opens a device for the next one.
    if (gpu?.lost) gpu = await open();
  });
}
