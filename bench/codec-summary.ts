import { ArgumentError } from '../src/common/errors.js';
import { FOREIGN_CODECS } from '../src/evaluation/codecs/index.js';
import type { ComparisonRow } from '../src/evaluation/comparison/compare-codecs.js';
import { accuracyText, percent, probability } from '../src/evaluation/reports/percent.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';

/** A row of a report as it stands in JSON, which has null for an infinite PSNR, and no scores. */
export type MeasuredCodec = Pick<ComparisonRow, 'codec' | 'title' | 'budget' | 'verdicts'> & { psnr: number | null };

const NAMES: Record<string, string> = {
  uncompressed: 'uncompressed',
  'cameo-mse': 'the same trained for squared error alone',
  avif: 'AVIF, whole file',
  'avif-payload': 'AVIF, payload alone',
};
const OTHERS = FOREIGN_CODECS.map(({ name }) => name);
/** The order of the rows of one budget: our codecs come first. */
const ORDER = ['uncompressed', 'cameo', 'cameo-mse', 'cameo-png', 'autoencoder-png', ...OTHERS];
/** Short names of recognisers, for a heading. */
const SHORT: Record<string, string> = { 'mobilefacenet-ms1m': 'ms1m' };

/** The verdicts for pairs of which both pictures are compressed, in the order of the row's recognisers. */
const both = ({ verdicts }: MeasuredCodec) => verdicts.filter(({ mix }) => mix === 'both');

/** The table of accuracies, and below it the significance of the differences. */
export function summary(conditions: readonly MeasuredCodec[]): string {
  const rank = ({ codec, budget }: MeasuredCodec): number => (budget ?? 0) * ORDER.length + ORDER.indexOf(codec);
  const rows = [...conditions].sort((a, b) => rank(a) - rank(b));
  const table = markdownTable({
    columns: [
      'bytes',
      'codec',
      'PSNR, dB',
      ...both(rows[0]).flatMap(({ recognizer }) => [`accuracy, ${SHORT[recognizer] ?? recognizer}`, 'TAR']),
    ],
    rows: rows.map((row) => [
      row.budget ?? '—',
      NAMES[row.codec] ?? row.title,
      row.psnr === null ? '' : row.psnr.toFixed(2),
      ...both(row).flatMap(({ figures, open }) => [accuracyText(figures), percent(open.tar, 1)]),
    ]),
  });
  const others = rows.filter(({ codec }) => OTHERS.includes(codec));
  const tests = others.flatMap((row) => both(row).flatMap(({ against }) => against?.accuracy ?? []));
  const worse = tests.every(({ onlyFirst, onlySecond }) => onlyFirst > onlySecond);
  if (!worse || tests.length === 0) return table;
  const p = Math.max(...tests.map(({ p }) => p));
  return `${table}\n\nEvery other codec is less accurate than Cameo at the same bytes, by each recogniser: ${probability(p)} at most (McNemar, paired).`;
}

/**
 * Puts a table between the marks of the command that writes it.
 * @throws ArgumentError if the text lacks them
 */
export function intoText(text: string, table: string, name: string, command = 'codec-table'): string {
  const [before, after] = [`<!-- npm run ${command} -->`, `<!-- end of ${command} -->`];
  const start = text.indexOf(before);
  const end = text.indexOf(after);
  if (start < 0 || end < start)
    throw new ArgumentError(`${name} lacks ${before} and ${after}, between which the table goes`);
  return `${text.slice(0, start + before.length)}\n\n${table}\n\n${text.slice(end)}`;
}
