import { encodePng } from '../../data/pictures/image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { contactSheet } from '../reports/contact-sheet.js';
import { htmlReport, type ReportFigure, type ReportTable } from '../reports/html-report.js';
import { accuracyText, percent, probability } from '../reports/percent.js';
import { linePlot } from '../reports/plot-svg.js';
import { listLines, metadataTexts } from '../reports/run-metadata.js';
import { markdownTable } from '../reports/tables.js';
import { type ComparisonRow, facesToShow } from './compare-codecs.js';
import type { GroupFigures } from './compare-groups.js';
import type { ComparisonReport } from './comparison-content.js';
import type { RestoredFace } from './face-encoders.js';
import { goals } from './goals.js';
import type { Mix, Verdict } from './judge.js';
import type { GoalSpec } from './parse-goals.js';

const MIXES: Record<Mix, string> = { both: 'both pictures compressed', reference: 'only the first picture compressed' };

export function summaryLine({ title, budget, missing, faces, bytes, psnr, verdicts }: ComparisonRow): string {
  const what = budget === null ? title : `${title} ${budget} B`;
  if (missing === faces) return `${what}: makes no file`;
  const verdict = verdicts.find(({ mix }) => mix === 'both');
  const accuracy = verdict
    ? `, ${verdict.recognizer} ${accuracyText(verdict.figures)}`
    : `, no file for ${missing} of ${faces} faces`;
  return `${what}: ${bytes.toFixed(0)} bytes, ${psnr.toFixed(2)} dB${accuracy}`;
}

/** One table a recogniser and mix. */
function verdictTable(report: ComparisonReport, recognizer: string, mix: Mix): ReportTable | null {
  const rows: (string | number)[][] = [];
  let impostors = 0;
  for (const row of report.conditions) {
    const verdict = row.verdicts.find((one) => one.recognizer === recognizer && one.mix === mix);
    impostors = verdict?.open.impostors ?? impostors;
    if (!verdict && (row.budget === null || mix !== 'both')) continue;
    rows.push([row.budget ?? '—', row.title, ...verdictCells(row, verdict)]);
  }
  if (!rows.some((row) => row[2] !== '—')) return null;
  const reference = report.reference?.title ?? 'Cameo';
  const { seen } = report.recognizers.find(({ name }) => name === recognizer)!;
  return {
    title: `${recognizer}${seen ? ' (seen in training)' : ' (these weights took no part in training)'}: ${MIXES[mix]}`,
    columns: [
      'Budget, bytes',
      'Codec',
      'Accuracy ± SE',
      'TAR at FAR 1e-3',
      '95 % interval',
      `${reference} better / worse`,
      'TAR gained, p',
      'TAR, all mismatched pairs',
      'gained, p',
    ],
    rows,
    note: `${reference} better / worse: pairs that only ${reference}, and only this codec, decides rightly at the same budget (McNemar, exact, mid-p). TAR gained: ${reference} minus this codec, in points (paired bootstrap). With fewer than 1,000 mismatched pairs, TAR is at a false accept rate of 0. All mismatched pairs: at the threshold which one in a thousand of all pairs of different persons among the pictures passes (${impostors.toLocaleString('en')} pairs, each once); TAR is of the matched pairs of View 2, with its 95 % interval; what is gained is resampled with the thresholds, persons drawn with replacement, and its p is 0.002 at least (rows of an older program have neither interval nor p). Where a codec has no file for at most one face in a hundred, a grey picture stands in for it.`,
  };
}

function verdictCells({ missing, faces }: ComparisonRow, verdict: Verdict | undefined): string[] {
  if (!verdict) {
    const why = missing === faces ? 'makes no file' : `no file for ${missing} of ${faces}`;
    return ['—', '—', '—', why, '—', '—', '—'];
  }
  const { figures, open, against } = verdict;
  const { tar } = figures;
  return [
    accuracyText(figures),
    percent(tar.tar, 1),
    `${percent(tar.low, 1)} to ${percent(tar.high, 1)}`,
    against
      ? `${against.accuracy.onlyFirst} / ${against.accuracy.onlySecond}, ${probability(against.accuracy.p)}`
      : '—',
    against ? `${(100 * against.tar.difference).toFixed(1)}${pCell(against.tar.p)}` : '—',
    open.low === undefined
      ? percent(open.tar, 1)
      : `${percent(open.tar, 1)} (${percent(open.low, 1)} to ${percent(open.high!, 1)})`,
    against ? `${(100 * against.open.difference).toFixed(1)}${pCell(against.open.p)}` : '—',
  ];
}

const pCell = (p: number | undefined): string => (p === undefined ? '' : `, ${p.toFixed(3)}`);

function distortionTable({ conditions }: ComparisonReport): ReportTable {
  return {
    title: 'Rate and distortion',
    columns: ['Budget, bytes', 'Codec', 'Mean bytes', 'bpp', 'PSNR, dB', 'SSIM', 'Faces without a file'],
    rows: conditions
      .filter(({ budget }) => budget !== null)
      .map(({ budget, title, bytes, bpp, psnr, ssim, missing, faces }) =>
        missing === faces
          ? [budget!, title, '—', '—', '—', '—', `${missing} of ${faces}`]
          : [
              budget!,
              title,
              bytes.toFixed(0),
              bpp.toFixed(3),
              psnr.toFixed(2),
              ssim.toFixed(4),
              missing === 0 ? '0' : `${missing} of ${faces}`,
            ],
      ),
    note: 'Each codec gives the best file it finds within the budget for each face; means over faces that have one.',
  };
}

/** One row a group, three columns a codec. */
function groupTable(groups: readonly GroupFigures[]): ReportTable {
  const titles = [...new Set(groups.map(({ title }) => title))];
  const names = [...new Set(groups.map(({ group }) => group))];
  const { budget, recognizer } = groups[0];
  return {
    title: `By sex and race, as UTKFace labels them, ${budget} bytes: PSNR, SSIM, and cosine of restored and original face`,
    columns: ['Group', 'Faces', ...titles.flatMap((title) => [`${title}: PSNR, dB`, 'SSIM', 'cosine ± SE'])],
    rows: names.map((name) => {
      const own = groups.filter(({ group }) => group === name);
      return [
        name,
        own[0].faces,
        ...titles.flatMap((title) => {
          const one = own.find((service) => service.title === title)!;
          const similarity = `${one.similarity.toFixed(3)} ± ${one.similarityError.toFixed(3)}`;
          return [one.psnr.toFixed(2), one.ssim.toFixed(3), similarity];
        }),
      ];
    }),
    note: `Faces of split test, each against itself, seen by ${recognizer}; pairs of one person by group are not at hand, so error rates by group are not known.`,
  };
}

/** PNG against our own container, where both hold the same symbols. */
function containerTable(conditions: readonly ComparisonRow[]): ReportTable {
  return {
    title: 'The same symbols in a PNG and in our own bare container',
    columns: ['Budget, bytes', 'PNG, bytes', 'Own, bytes', 'Saved'],
    rows: conditions.map(({ budget, bytes, ownBytes }) => [
      budget!,
      bytes.toFixed(0),
      ownBytes!.toFixed(0),
      percent(1 - ownBytes! / bytes, 1),
    ]),
    note: 'Means over the faces whose PNG fits the budget, headers and checksums counted.',
  };
}

function goalTable(report: ComparisonReport, specs: readonly GoalSpec[]): ReportTable {
  return {
    title: 'Figures to reach',
    columns: ['What', 'At least', 'Found', 'Reached'],
    rows: goals(report, specs).map(({ what, wanted, found, reached }) => [
      what,
      wanted,
      found,
      reached === null ? '—' : reached ? 'yes' : 'no',
    ]),
    note: 'Both pictures compressed, recognisers that training never saw. ✗ marks what falls short.',
  };
}

const comparisonTables = (report: ComparisonReport): ReportTable[] => [
  ...(report.goals?.length ? [goalTable(report, report.goals)] : []),
  ...report.recognizers.flatMap(({ name }) =>
    (['both', 'reference'] as const).map((mix) => verdictTable(report, name, mix)).filter((table) => table !== null),
  ),
  distortionTable(report),
  ...[report.conditions.filter(({ ownBytes }) => ownBytes !== undefined)]
    .filter((pngs) => pngs.length > 0)
    .map(containerTable),
  ...(report.groups.length > 0 ? [groupTable(report.groups)] : []),
];

/** The rows from earlier runs, by the program that measured them; none if all rows are from this run. */
function earlierRows({ conditions, date }: ComparisonReport): string[] {
  const runs = new Map<string, string[]>();
  for (const { title, budget, run } of conditions) {
    if (run.date === date) continue;
    const key = `commit ${run.commit ?? 'unknown'}, ${run.date}, on ${run.device}, by \`${run.command}\``;
    runs.set(key, [...(runs.get(key) ?? []), budget === null ? title : `${title} ${budget} B`]);
  }
  return [...runs].map(([run, rows]) => `Measured before, and kept (${run}): ${rows.join(', ')}`);
}

function metadataLines(report: ComparisonReport): string[] {
  const { pairs, recognizers, model, autoencoder, detector } = report;
  const finding = detector === undefined ? '' : ` by the landmarks that the detector with weights ${detector} finds`;
  return [
    `Pairs: ${pairs.count} of LFW's View 2 in ${pairs.folds} folds${pairs.quick ? ' (quick mode: a tenth of the pairs, for daily work; errors are large)' : ', all there are'}; aligned losslessly from the original pictures${finding}; the threshold of each fold is chosen on the others`,
    `Embedding: ${report.embedding}`,
    `Recognisers: ${recognizers.map(({ name, id, seen }) => `${name} (weights ${id}${seen ? ', seen in joint training' : ''})`).join('; ')}`,
    `Cameo: bare container, header and checksum counted; model ${model.id}${autoencoder ? `; the autoencoder is model ${autoencoder}` : ''}${report.besides.map(({ name, id }) => `; "${name}" is model ${id}`).join('')}`,
    ...metadataTexts(report),
    ...earlierRows(report),
  ];
}

export function comparisonMarkdown(report: ComparisonReport, plots: readonly string[]): string {
  return [
    '# Codecs at the same bytes a face',
    listLines(metadataLines(report)),
    ...comparisonTables(report).map(markdownTable),
    ...plots.map((plot) => `![${plot}](${plot})`),
    `Training of the Cameo model: \`${JSON.stringify(report.model.training)}\``,
    '',
  ].join('\n\n');
}

/** One row a codec, budget, recogniser and mix. */
export function comparisonCsv({ conditions }: ComparisonReport): string {
  const head =
    'codec,budget,faces,missing,bytes,bpp,psnr,ssim,recognizer,mix,accuracy,standard_error,tar,tar_low,tar_high,only_cameo,only_codec,p_accuracy,tar_gained,p_tar,tar_open,tar_open_low,tar_open_high,tar_open_gained,p_tar_open';
  const rows = conditions.flatMap((row) => {
    const { codec, budget, faces, missing, bytes, bpp, psnr, ssim, verdicts } = row;
    const own = [codec, budget ?? '', faces, missing, bytes, bpp, psnr, ssim];
    const rest = verdicts.map(({ recognizer, mix, figures, open, against }) => [
      recognizer,
      mix,
      figures.accuracy,
      figures.standardError,
      figures.tar.tar,
      figures.tar.low,
      figures.tar.high,
      ...(against
        ? [
            against.accuracy.onlyFirst,
            against.accuracy.onlySecond,
            against.accuracy.p,
            against.tar.difference,
            against.tar.p,
          ]
        : ['', '', '', '', '']),
      open.tar,
      open.low ?? '',
      open.high ?? '',
      ...(against ? [against.open.difference, against.open.p ?? ''] : ['', '']),
    ]);
    return (rest.length > 0 ? rest : [new Array(17).fill('')]).map((cells) => [...own, ...cells].join(','));
  });
  return [head, ...rows, ''].join('\n');
}

/** SVG plots by file name. */
export function comparisonPlots({ conditions, recognizers }: ComparisonReport): Map<string, string> {
  const compressed = conditions.filter(({ budget, faces, missing }) => budget !== null && missing < faces);
  const titles = [...new Set(compressed.map(({ title }) => title))];
  const plots = new Map<string, string>();
  const add = (file: string, title: string, yLabel: string, value: (row: ComparisonRow) => number): void => {
    const series = titles
      .map((name) => ({
        name,
        markers: true,
        points: compressed.filter((c) => c.title === name).map((c): [number, number] => [c.bytes, value(c)]),
      }))
      .filter(({ points }) => points.some(([, y]) => Number.isFinite(y)));
    if (series.length > 0) {
      plots.set(file, linePlot({ title, xLabel: 'bytes a face', yLabel, series, width: 760, height: 460 }));
    }
  };
  const of = (row: ComparisonRow, name: string): Verdict | undefined =>
    row.verdicts.find(({ recognizer, mix }) => recognizer === name && mix === 'both');
  for (const { name } of recognizers) {
    add(
      `accuracy-${name}.svg`,
      `LFW accuracy, ${name}, both compressed`,
      'accuracy, %',
      (row) => 100 * (of(row, name)?.figures.accuracy ?? Number.NaN),
    );
    add(
      `tar-${name}.svg`,
      `TAR at FAR 1e-3, ${name}, both compressed`,
      'TAR, %',
      (row) => 100 * (of(row, name)?.figures.tar.tar ?? Number.NaN),
    );
  }
  add('psnr.svg', 'Distortion', 'PSNR, dB', ({ psnr }) => psnr);
  add('ssim.svg', 'Structural similarity', 'SSIM', ({ ssim }) => ssim);
  return plots;
}

const picture = (data: Uint8Array) => ({ width: FACE_WIDTH, height: FACE_HEIGHT, data });

/** Best, median and worst faces of our own codec by PSNR, beside those of the other codecs, as one HTML page. */
export async function comparisonHtml(
  report: ComparisonReport,
  plots: ReadonlyMap<string, string>,
  names: readonly string[],
  originals: readonly Uint8Array[],
  samples: ReadonlyMap<string, readonly (RestoredFace | null)[]>,
  sampleBudget: number,
): Promise<string> {
  const figures: ReportFigure[] = [...plots].map(([file, svg]) => ({ title: file, picture: { svg } }));
  const own = report.conditions.find(({ codec, budget }) => codec === 'cameo' && budget === sampleBudget);
  // Rows that an older program measured do not say how good each face is.
  if (own && own.psnrs.length > 0 && samples.size > 0) {
    const { best, median, worst } = facesToShow(own.psnrs);
    for (const [title, faces] of [
      ['Best', best],
      ['Median', median],
      ['Worst', worst],
    ] as const) {
      const sheet = contactSheet({
        title: `${title} faces of Cameo by PSNR, ${sampleBudget} bytes`,
        columns: ['Original', ...samples.keys()],
        rows: faces.map((k) => ({
          caption: names[k],
          cells: [
            { image: picture(originals[k]) },
            ...[...samples.values()].map((all) => {
              const one = all[k];
              return one ? { image: picture(one.rgb), caption: `${one.size} B` } : undefined;
            }),
          ],
        })),
      });
      figures.push({ title: `${title} faces`, picture: { png: await encodePng(sheet) } });
    }
  }
  return htmlReport({
    title: 'Codecs at the same bytes a face',
    intro: metadataLines(report),
    tables: comparisonTables(report),
    figures,
  });
}
