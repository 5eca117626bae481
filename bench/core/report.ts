import type { ReportTable } from '../../src/evaluation/reports/html-report.js';
import { linePlot } from '../../src/evaluation/reports/plot-svg.js';
import { adapterKind } from '../../src/gpu/description.js';
import type { Measurement } from './measure.js';
import { type BenchResult, gbpsOf, gflopsOf } from './result.js';
import { geometricMean } from './statistics.js';

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** Three significant digits, without an exponent. */
export const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value >= 0.1 ? 2 : 3);

/** The labels of the kernels that ran, each once. */
function kernelNames({ kernels }: Measurement): string {
  return [...new Set(kernels)].join(', ');
}

export function measurementsTable(result: BenchResult): ReportTable {
  const { ceilings, measurements, batches, clock } = result;
  return {
    title: `Kernels by layer, batch ${batches.join(' and ')}`,
    columns: [
      'Kind',
      'Layer',
      'Batch',
      'ms',
      'quartiles',
      'GFLOP/s',
      'of peak',
      'GB/s',
      'of copy',
      'compile, ms',
      'kernels',
    ],
    rows: measurements.map((measurement) => {
      const { kind, layer, batch, time, compileMs } = measurement;
      const gflops = gflopsOf(measurement);
      const gbps = gbpsOf(measurement);
      return [
        kind,
        layer,
        batch,
        short(time.median),
        `${short(time.low)} to ${short(time.high)}`,
        gflops === null ? '' : short(gflops),
        gflops === null ? '' : percent(gflops, ceilings.gflops),
        short(gbps),
        percent(gbps, ceilings.gbps),
        compileMs.toFixed(0),
        kernelNames(measurement),
      ];
    }),
    note:
      `Medians of several samples, by ${clock === 'timestamps' ? "the device's timestamps" : 'the wall clock, with several runs per sample'}. ` +
      'GB/s counts each operand and each result once, however often a kernel reads it. Data that fit into a cache can move faster than the copy, which does not fit. The times include padding and reordering of operands. ' +
      '"compile" is how much longer the first run took than the median.',
  };
}

export function kindsTable({ measurements, ceilings, batches }: BenchResult): ReportTable {
  const kinds = [...new Set(measurements.map(({ kind }) => kind))];
  return {
    title: 'Geometric means by kind and batch',
    columns: ['Kind', 'Batch', 'Layers', 'GFLOP/s', 'of peak', 'best', 'of peak', 'GB/s', 'of copy'],
    rows: kinds
      .flatMap((kind) => batches.map((batch) => ({ kind, batch })))
      .flatMap(({ kind, batch }) => {
        const group = measurements.filter((measurement) => measurement.kind === kind && measurement.batch === batch);
        if (group.length === 0) return [];
        const rates = group.map(gflopsOf).filter((rate) => rate !== null);
        const bandwidth = geometricMean(group.map(gbpsOf));
        const flops = rates.length > 0 ? [geometricMean(rates), Math.max(...rates)] : [];
        return [
          [
            kind,
            batch,
            group.length,
            ...[0, 1].flatMap((k) =>
              flops.length > 0 ? [short(flops[k]), percent(flops[k], ceilings.gflops)] : ['', ''],
            ),
            short(bandwidth),
            percent(bandwidth, ceilings.gbps),
          ],
        ];
      }),
  };
}

export function ceilingsTable({ ceilings }: BenchResult): ReportTable {
  return {
    title: 'Measured ceilings of this adapter',
    columns: ['Ceiling', 'Reached', 'How'],
    rows: [
      ['f32 multiply-add', `${short(ceilings.gflops)} GFLOP/s`, `registers only, ${ceilings.form}`],
      ['memory', `${short(ceilings.gbps)} GB/s`, 'copy by vec4, counting both the bytes read and those written'],
    ],
  };
}

export function networksTable({ networks }: BenchResult): ReportTable {
  return {
    title: 'Whole networks',
    columns: ['Network', 'Task', 'Batch', 'images/s', 'ms per batch', 'quartiles', 'JavaScript'],
    rows: networks.map(({ network, task, batch, time, jsShare }) => [
      network,
      task,
      batch,
      short((1000 * batch) / time.median),
      short(time.median),
      `${short(time.low)} to ${short(time.high)}`,
      percent(jsShare, 1),
    ]),
    note: 'By the wall clock. "JavaScript" is the share of the time in which JavaScript records and submits the work; on a software adapter it shares the cores with the kernels.',
  };
}

/** The part of a result that the roofline shows. */
export interface RooflineData {
  measurements: readonly Measurement[];
  ceilings: BenchResult['ceilings'];
  adapter: { name: string };
}

/** A plot of GFLOP/s over operations per byte, on logarithmic axes, below the two measured ceilings. */
export function rooflinePlot({ measurements, ceilings, adapter }: RooflineData): string {
  const timed = measurements.filter(({ flops }) => flops > 0);
  const intensity = ({ flops, bytes }: Measurement): number => flops / bytes;
  const ridge = ceilings.gflops / ceilings.gbps;
  const low = Math.min(0.5, ridge / 2, ...timed.map(intensity));
  const high = Math.max(2 * ridge, ...timed.map(intensity));
  const kinds = [...new Set(timed.map(({ kind }) => kind))];
  return linePlot({
    title: `Roofline: ${adapter.name}`,
    xLabel: 'operations per byte that must be moved',
    yLabel: 'GFLOP/s',
    logX: true,
    logY: true,
    width: 860,
    height: 560,
    series: [
      {
        name: 'measured ceilings',
        points: [
          [low, low * ceilings.gbps],
          [ridge, ceilings.gflops],
          [high, ceilings.gflops],
        ],
      },
      ...kinds.map((kind) => ({
        name: kind,
        markers: 'only' as const,
        points: timed
          .filter((measurement) => measurement.kind === kind)
          .map((measurement): [number, number] => [intensity(measurement), gflopsOf(measurement)!]),
      })),
    ],
  });
}

/** Paragraphs that say what was measured, and on which adapter. */
export function introduction({
  adapter,
  runtime,
  engineVersion,
  commit,
  date,
  batches,
  tuned,
  precision = 'f32',
}: BenchResult): string[] {
  const driver = adapter.driver ? `, ${adapter.driver}` : '';
  return [
    `${adapter.name} (${adapterKind(adapter.kind)}${driver}) in ${runtime}; engine ${engineVersion}, commit ${commit ?? 'unknown'}, ${date}.`,
    `Layers of the autoencoder, Sphere20 and MobileFaceNet, ${batches.join(' and ')} pictures per batch; conv kernels ${tuned ? 'tuned by measurement on this adapter' : 'chosen by estimate, not tuned'}, their operands stored as ${precision}.`,
  ];
}
