import { htmlReport, type ReportTable } from '../src/evaluation/html-report.js';
import { markdownTable } from '../src/evaluation/tables.js';
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
import { meanRatios } from './peers/compare.js';
import { NOT_COMPARED, type PeerReport } from './peers/run.js';
import { type TorchReport, torchTable } from './torch.js';

/** Everything a run found, with what it was compared with. */
export interface FullResult extends BenchResult {
  peers: PeerReport[];
}

export function peerTables({ name, version, rows, batch }: PeerReport): ReportTable[] {
  const rate = (megaflop: number, ms: number | undefined): string => (ms === undefined ? '' : short(megaflop / ms));
  return [
    {
      title: `Against ${name} ${version}, same device and process, batch ${batch}: geometric means`,
      columns: ['Kind', 'Layers', 'Ratio', 'Least', 'Layer of the least'],
      rows: meanRatios(rows).map(({ kind, layers, ratio, worst }) => [
        kind,
        layers,
        `${ratio.toFixed(2)}×`,
        `${worst.ratio!.toFixed(2)}×`,
        worst.layer,
      ]),
      note: `Its time over ours: above 1, ours is faster. Timed by turns, after both results agreed with float64. ${NOT_COMPARED}`,
    },
    {
      title: `Against ${name} ${version}, by layer`,
      columns: ['Kind', 'Layer', 'ours, GFLOP/s', `${name}, GFLOP/s`, 'Ratio', 'Remark'],
      rows: rows.map((row) => [
        row.kind,
        row.layer,
        rate(row.megaflop, row.ours?.median),
        rate(row.megaflop, row.peer?.median),
        row.ratio === null ? '' : `${row.ratio.toFixed(2)}×`,
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
        caption: 'A dot is one layer; the line is what the adapter can do at best, as measured in the same run.',
      },
    ],
    tables: tablesOf(result, torch),
  });
}
