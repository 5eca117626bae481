import { htmlReport, type ReportTable } from '../src/evaluation/reports/html-report.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { ablationTable } from './ablation-table.js';
import {
  ceilingsTable,
  introduction,
  kindsTable,
  measurementsTable,
  networksTable,
  rooflinePlot,
  short,
} from './core/report.js';
import type { BenchResult } from './core/result.js';
import { meanRatios, type PeerRow } from './peers/compare.js';
import type { PeerReport } from './peers/run.js';
import { type TorchReport, torchTable } from './torch.js';

/** The results of a run, together with the comparisons with peers. */
export interface FullResult extends BenchResult {
  peers: PeerReport[];
}

const times = (ratio: number | null): string => (ratio === null ? '' : `${ratio.toFixed(2)}×`);

export function peerTables({ name, version, note, rows }: PeerReport): ReportTable[] {
  const rate = (megaflop: number, ms: number | undefined): string => (ms === undefined ? '' : short(megaflop / ms));
  const quartiles = (row: PeerRow['ours']): string => (row ? `${short(row.low)} to ${short(row.high)}` : '');
  return [
    {
      title: `Against ${name} ${version}, same device and process: geometric means`,
      columns: ['Kind', 'Batch', 'Layers', 'Ratio', 'Device', 'Least', 'Layer of the least'],
      rows: meanRatios(rows).map(({ kind, batch, layers, ratio, deviceRatio, worst }) => [
        kind,
        batch,
        layers,
        times(ratio),
        times(deviceRatio),
        times(worst.ratio),
        worst.layer,
      ]),
      note:
        'A ratio is its time over ours; above 1, ours is faster. Both are timed in turn, after both results agreed with float64. "Ratio" is by ' +
        `the wall clock, "Device" by the device's timestamps if it has them. ${note}`.trimEnd(),
    },
    {
      title: `Against ${name} ${version}, by layer`,
      columns: [
        'Kind',
        'Layer',
        'Batch',
        'ours, GFLOP/s',
        'ours, ms, quartiles',
        `${name}, GFLOP/s`,
        `${name}, ms, quartiles`,
        'Ratio',
        'Device',
        'Remark',
      ],
      rows: rows.map((row) => [
        row.kind,
        row.layer,
        row.batch,
        rate(row.megaflop, row.ours?.median),
        quartiles(row.ours),
        rate(row.megaflop, row.peer?.median),
        quartiles(row.peer),
        times(row.ratio),
        times(row.deviceRatio),
        row.problem ?? '',
      ]),
    },
  ];
}

const introductionWithCommand = (result: FullResult): string[] => [
  ...introduction(result),
  'Written by `npm run bench`.',
];

function tablesOf(result: FullResult, torch: TorchReport | null): ReportTable[] {
  return [
    ceilingsTable(result),
    kindsTable(result),
    ...(result.networks.length > 0 ? [networksTable(result)] : []),
    ...(torch ? [torchTable(result, torch)] : []),
    ablationTable(result),
    ...result.peers.flatMap(peerTables),
    measurementsTable(result),
  ].filter(({ rows }) => rows.length > 0);
}

export function benchMarkdown(result: FullResult, torch: TorchReport | null): string {
  const text = [
    `# Bench: ${result.adapter.name}`,
    ...introductionWithCommand(result),
    ...tablesOf(result, torch).map(markdownTable),
  ];
  return `${text.join('\n\n')}\n`;
}

export function benchHtml(result: FullResult, torch: TorchReport | null): string {
  return htmlReport({
    title: `Bench: ${result.adapter.name}`,
    intro: introductionWithCommand(result),
    figures: [
      {
        title: 'Roofline',
        picture: { svg: rooflinePlot(result) },
        caption: 'Each dot is a layer. The line is the highest rate that the adapter reached in the same run.',
      },
    ],
    tables: tablesOf(result, torch),
  });
}
