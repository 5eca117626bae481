import type { ReportTable } from '../reports/html-report.js';
import { percent, probability } from '../reports/percent.js';
import { listLines, metadataTexts, type RunMetadata } from '../reports/run-metadata.js';
import { markdownTable } from '../reports/tables.js';
import { RESAMPLES } from '../verification/resampled.js';
import {
  FPIR,
  type IdentificationRow,
  type ResampledDifference,
  type ResampledShare,
} from './compare-identification.js';

/** The results and metadata of an evaluation of identification: the content of its JSON file. */
export interface IdentificationReport extends RunMetadata {
  recognizer: { name: string; id: string; embedding: 'single' | 'flip'; seen: boolean };
  /** Id of the model of our own codec. */
  codec: string;
  data: {
    persons: number;
    /** Persons of the data that were left out, for a quick run. */
    personsLeftOut: number;
    /** Probes whose person is in the gallery, and how many persons they are. */
    mated: number;
    matedPersons: number;
    /** Probes of the persons with one picture. */
    unmated: number;
  };
  fpir: number;
  rows: IdentificationRow[];
}

/** The exact protocol of the searches. */
function protocolTexts({ data, fpir }: IdentificationReport): string[] {
  const { persons, personsLeftOut, mated, matedPersons, unmated } = data;
  const limited =
    personsLeftOut > 0 ? `; ${personsLeftOut} persons are left out: figures of few persons say little` : '';
  return [
    `Gallery: ${persons} faces, the first picture of each person (by name, of the pictures of View 2)${limited}. Compressed as the row says, and restored`,
    `Probes, never compressed: every other picture, ${mated} of the ${matedPersons} persons with two or more, whose mate is in the gallery; and the picture of each of the ${unmated} persons who have one alone`,
    `Rank 1: share of the ${mated} searches in which the mate is more similar than the face of every other person`,
    `FPIR: of all ${mated + unmated} searches, with the face of the probe's own person left out of the gallery, the share that returns a face. The threshold is the lowest at which FPIR is at most ${fpir}; each row has its own`,
    `FNIR: share of the ${mated} searches in which the mate does not come first, or is below the threshold`,
    `Intervals: 95 %, of ${RESAMPLES} resamples of the persons; a search counts as often as the person of its probe is drawn, the threshold is found anew, and the gallery stays as it is`,
  ];
}

const shareText = ({ value, low, high }: ResampledShare): string =>
  `${percent(value, 1)} (${percent(low, 1)} to ${percent(high, 1)})`;

const sign = (value: number): string => `${value > 0 ? '+' : ''}${(100 * value).toFixed(1)}`.replace('-', '−');

const differenceText = ({ difference, low, high, p }: ResampledDifference): string =>
  `${sign(difference)} (${sign(low)} to ${sign(high)}; ${probability(p)})`;

/** A row a codec and budget. */
export function identificationTable({ rows, fpir }: Pick<IdentificationReport, 'rows' | 'fpir'>): ReportTable {
  const missing = rows.some((row) => row.missing > 0);
  return {
    title: 'Identification',
    columns: [
      'Gallery',
      'Bytes',
      'Mean',
      'Rank 1',
      `FNIR at FPIR ${fpir}`,
      'Threshold',
      ...(missing ? ['No file'] : []),
    ],
    rows: rows.map((row) => [
      row.title,
      row.budget ?? '',
      row.bytes === null ? '' : row.bytes.toFixed(1),
      shareText(row.rankOne),
      shareText(row.fnir),
      row.threshold.toFixed(4),
      ...(missing ? [row.missing] : []),
    ]),
    ...(missing ? { note: 'A grey picture stands in where a codec makes no file of so few bytes.' } : {}),
  };
}

/** Our own codec against the others at the same bytes; undefined where none was compared. */
export function againstTable(rows: readonly IdentificationRow[]): ReportTable | undefined {
  const compared = rows.flatMap(({ against, ...row }) => (against ? [{ ...row, against }] : []));
  if (compared.length === 0) return undefined;
  return {
    title: 'Cameo against others at the same bytes',
    columns: ['Other', 'Bytes', 'Rank 1, points more', 'FNIR, points more'],
    rows: compared.map(({ title, budget, against }) => [
      title,
      budget ?? '',
      differenceText(against.rankOne),
      differenceText(against.fnir),
    ]),
    note: 'Of Cameo minus that of the other, paired: each resample draws the same persons for both. A lower FNIR is better.',
  };
}

export function identificationMarkdown(report: IdentificationReport): string {
  const { recognizer, codec, rows } = report;
  const against = againstTable(rows);
  const seen = recognizer.seen ? '; the codec was trained with it' : '';
  return [
    '# Identification on LFW: one to many',
    listLines([
      ...protocolTexts(report),
      `Recogniser: ${recognizer.name} (weights ${recognizer.id}), ${recognizer.embedding === 'single' ? 'the picture alone' : 'the picture and its mirror image'}${seen}`,
      `Codec: Cameo, model ${codec}`,
      ...metadataTexts(report),
    ]),
    markdownTable(identificationTable(report)),
    ...(against ? [markdownTable(against)] : []),
    '',
  ].join('\n\n');
}

/** One line for a terminal. */
export const identificationLine = ({ title, budget, rankOne, fnir }: IdentificationRow): string =>
  `${title}${budget === null ? '' : `, ${budget} bytes`}: rank 1 ${shareText(rankOne)}; FNIR at FPIR ${FPIR} ${shareText(fnir)}`;
