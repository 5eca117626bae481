import { PersonBootstrap } from '../src/evaluation/comparison/person-bootstrap.js';
import { type PersonMean, personMean } from '../src/evaluation/comparison/person-means.js';
import { binOf, FACE_BINS, type FaceBin } from '../src/evaluation/quality/face-bins.js';
import type { ReportTable } from '../src/evaluation/reports/html-report.js';

/** One face by one codec within one budget. */
export interface Figures {
  bytes: number;
  /** dB: of the crop, and of its pixels inside of the photograph. */
  psnr: number;
  inside: number;
  /** 1 − cos between the embeddings of the restored and the given crop, for each recogniser. */
  distances: number[];
}

/** What is outside of the photograph: its mirror image, or black. */
export const BORDERS = ['mirrored', 'black'] as const;
export type Border = (typeof BORDERS)[number];

/** A face, what it is told apart by, and its figures by `border codec budget`; null where no file fits. */
export interface MeasuredFace extends Record<FaceBin, number> {
  path: string;
  person: string;
  set: string;
  figures: Record<string, Figures | null>;
}

export const figuresKey = (border: Border, codec: string, budget: number): string => `${border} ${codec} ${budget}`;

/** Means over the faces of a bin: of each codec, and of Cameo minus WebP. */
export interface BinMeans {
  border: Border;
  budget: number;
  measure: string;
  bin: string;
  codecs: Record<string, PersonMean>;
  difference: PersonMean;
}

type Measure = { name: string; of: (figures: Figures) => number };

/** What is reported of each file. @param recognizers names */
export function measures(recognizers: readonly string[]): Measure[] {
  return [
    { name: 'PSNR, dB', of: ({ psnr }) => psnr },
    { name: 'PSNR inside of the photograph, dB', of: ({ inside }) => inside },
    ...recognizers.map((name, r) => ({ name: `1 − cos, ${name}`, of: ({ distances }: Figures) => distances[r] })),
  ];
}

/** The bins that have faces, each with its faces; first all of them, then by set. */
export function binsOf(faces: readonly MeasuredFace[]): { bin: string; members: MeasuredFace[] }[] {
  const bins = [
    { bin: 'all', members: [...faces] },
    ...[...new Set(faces.map(({ set }) => set))].map((set) => ({
      bin: `set: ${set}`,
      members: faces.filter((face) => face.set === set),
    })),
    ...(Object.keys(FACE_BINS) as FaceBin[]).flatMap((kind) =>
      FACE_BINS[kind].names.map((name, k) => ({
        bin: `${FACE_BINS[kind].title.toLowerCase()}: ${name}`,
        members: faces.filter((face) => binOf(kind, face[kind]) === k),
      })),
    ),
    // Turned faces have more outside of the photograph, so the two together.
    ...[true, false].flatMap((turned) =>
      [true, false].map((cut) => ({
        bin: `turn ${turned ? 'above' : 'below'} 30°, outside ${cut ? 'something' : 'nothing'}`,
        members: faces.filter(({ turn, border }) => turn >= 30 === turned && border > 0 === cut),
      })),
    ),
  ];
  return bins.filter(({ members }) => members.length > 0);
}

export interface TablesRequest {
  codecs: readonly string[];
  budgets: readonly number[];
  recognizers: readonly string[];
}

/** The means of each bin over the faces for which every codec has a file. */
export function binMeans(faces: readonly MeasuredFace[], { codecs, budgets, recognizers }: TablesRequest): BinMeans[] {
  const bootstrap = new PersonBootstrap(faces.map(({ person }) => person));
  return BORDERS.flatMap((border) =>
    budgets.flatMap((budget) =>
      measures(recognizers).flatMap(({ name, of }) =>
        binsOf(faces).flatMap(({ bin, members }): BinMeans[] => {
          const fitting = members.filter(({ figures }) =>
            codecs.every((one) => figures[figuresKey(border, one, budget)]),
          );
          const value = (face: MeasuredFace, codec: string): number =>
            of(face.figures[figuresKey(border, codec, budget)]!);
          const meanOf = (f: (face: MeasuredFace) => number): PersonMean =>
            personMean(
              fitting.map(f),
              fitting.map(({ person }) => person),
              bootstrap,
            );
          if (fitting.length === 0) return [];
          const means = codecs.map((codec) => [codec, meanOf((face) => value(face, codec))]);
          const difference = meanOf((face) => value(face, 'cameo') - value(face, 'webp'));
          return [{ border, budget, measure: name, bin, codecs: Object.fromEntries(means), difference }];
        }),
      ),
    ),
  );
}

const signed = (value: number, digits: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;

function text({ mean, interval }: PersonMean, digits: number, show: typeof signed): string {
  const values = interval ? ` (${show(interval.low, digits)} to ${show(interval.high, digits)})` : '';
  return `${show(mean, digits)}${values}`;
}

/** A table for each border, budget and measure. @param titles of the codecs, by name */
export function binTables(means: readonly BinMeans[], titles: Readonly<Record<string, string>>): ReportTable[] {
  const tables = new Map<string, ReportTable & { rows: (string | number)[][] }>();
  for (const { border, budget, measure, bin, codecs, difference } of means) {
    const title = `${measure}, ${budget} bytes, ${border} border`;
    const columns = ['Bin', 'Faces', 'Persons', ...Object.keys(codecs).map((name) => titles[name]), 'Cameo − WebP'];
    const digits = measure.startsWith('PSNR') ? 2 : 4;
    const table = tables.get(title) ?? { title, columns, rows: [] };
    tables.set(title, table);
    table.rows.push([
      bin,
      difference.faces,
      difference.persons,
      ...Object.values(codecs).map((mean) => text(mean, digits, (value, d) => value.toFixed(d))),
      text(difference, digits, signed),
    ]);
  }
  return [...tables.values()];
}
