import { createHash } from 'node:crypto';
import { ArgumentError, FormatError } from '../../common/errors.js';
import { parseJson } from '../../common/json.js';
import type { FacePair } from '../../data/faces/lfw.js';
import type { HostTensors } from '../../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../../nn/safetensors.js';
import { RESAMPLES } from '../verification/resampled.js';
import type { ComparisonRow } from './compare-codecs.js';
import type { ComparisonReport } from './comparison-content.js';
import { type Mix, OWN, type Verdict } from './judge.js';

/** The metadata key of a file of scores that identifies what they were measured on. */
const SETTING = 'cameo.setting';

/** What all rows of a report have in common. */
export interface Setting {
  pairs: readonly FacePair[];
  faces: ReadonlyMap<string, Uint8Array>;
  recognizers: readonly { name: string; modelId: string }[];
  mixes: readonly Mix[];
  single: boolean;
}

/** 16 hexadecimal digits: rows of the same setting can stand in one report. */
export function settingId({ pairs, faces, recognizers, mixes, single }: Setting): string {
  const hash = createHash('sha256').update(
    JSON.stringify({
      pairs: pairs.map(({ a, b, same, fold }) => [a, b, same, fold]),
      recognizers: recognizers.map(({ name, modelId }) => [name, modelId]),
      mixes,
      single,
    }),
  );
  for (const [name, face] of faces) hash.update(name).update(face);
  return hash.digest('hex').slice(0, 16);
}

const tensorName = ({ codec, budget }: ComparisonRow, { recognizer, mix }: Verdict): string =>
  `${codec} ${budget ?? '-'} ${recognizer} ${mix}`;

const thresholdsName = (row: ComparisonRow, verdict: Verdict): string => `${tensorName(row, verdict)} thresholds`;

const psnrsName = ({ codec, budget }: ComparisonRow): string => `${codec} ${budget ?? '-'} psnr`;

/**
 * For each verdict, one tensor with the scores of all pairs, and one with the thresholds of resamples. With these, a later run
 * compares other codecs on the same pairs. For our own codec also the PSNR of each face, which chooses the faces to show.
 */
export function writeScores(conditions: readonly ComparisonRow[], setting: string): Uint8Array {
  const tensors: HostTensors = new Map();
  for (const row of conditions) {
    const { codec, psnrs } = row;
    if (codec === OWN && psnrs.length > 0) {
      tensors.set(psnrsName(row), { shape: [psnrs.length], data: Float32Array.from(psnrs) });
    }
    for (const verdict of row.verdicts) {
      const { scores, thresholds } = verdict;
      tensors.set(tensorName(row, verdict), { shape: [scores.length], data: scores });
      if (thresholds) {
        tensors.set(thresholdsName(row, verdict), { shape: [thresholds.length], data: thresholds });
      }
    }
  }
  return writeSafetensors(tensors, new Map([[SETTING, setting]]));
}

/** Rows as a report's JSON has them, without fields that are kept elsewhere or not needed later. */
export const plainRows = (conditions: readonly ComparisonRow[]): unknown[] =>
  conditions.map(({ psnrs: _, ...row }) => ({
    ...row,
    verdicts: row.verdicts.map(({ scores: _, thresholds: __, ...verdict }) => verdict),
  }));

/** JSON writes NaN and Infinity as null: means over no face, and the PSNR of pictures as they are. */
function unwritten({ budget, bytes, bpp, psnr, ssim }: ComparisonRow) {
  const known = (value: number | null, otherwise = Number.NaN): number => value ?? otherwise;
  return {
    bytes: known(bytes),
    bpp: known(bpp),
    psnr: known(psnr, budget === null ? Infinity : Number.NaN),
    ssim: known(ssim),
  };
}

/** What is kept of an earlier report. */
export type EarlierReport = Pick<ComparisonReport, 'conditions' | 'groups' | 'besides' | 'model' | 'goals'>;

/**
 * The rows of an earlier report, to be kept in one of the same setting.
 *
 * @param json of the report
 * @param scores beside it
 * @throws FormatError if the two do not belong to a report, or not to the same run; ArgumentError if the setting is another
 */
export function readEarlier(json: string, scores: Uint8Array, setting: string, pairs: number): EarlierReport {
  const { tensors, metadata } = readSafetensors(scores);
  let report: ComparisonReport;
  try {
    report = parseJson(json, 'report.json') as ComparisonReport;
    checkReport(report);
  } catch (error) {
    throw new FormatError(`report.json is not the report of a comparison: ${(error as Error).message}`);
  }
  for (const found of [report.setting, metadata.get(SETTING)]) {
    if (found !== setting) {
      throw new ArgumentError(
        `the report to extend was measured on other pictures or pairs, or with other recognisers (setting ${found ?? 'unknown'}; this run has ${setting})`,
      );
    }
  }
  const psnrsOf = (row: ComparisonRow): number[] => {
    const psnrs = [...(tensors.get(psnrsName(row))?.data ?? [])];
    if (psnrs.length === 0 || psnrs.length === row.faces) return psnrs;
    throw new FormatError(
      `scores.safetensors has ${psnrs.length} values of "${psnrsName(row)}"; expected ${row.faces}`,
    );
  };
  const conditions = report.conditions.map((row) => ({
    ...row,
    ...unwritten(row),
    psnrs: psnrsOf(row),
    verdicts: row.verdicts.map((verdict) => {
      const data = tensors.get(tensorName(row, verdict))?.data;
      if (data?.length !== pairs) {
        throw new FormatError(
          `scores.safetensors has ${data?.length ?? 'no'} scores of "${tensorName(row, verdict)}"; expected ${pairs}`,
        );
      }
      const thresholds = tensors.get(thresholdsName(row, verdict))?.data;
      return { ...verdict, scores: data, ...(thresholds?.length === RESAMPLES ? { thresholds } : {}) };
    }),
  }));
  return { conditions, groups: report.groups, besides: report.besides, model: report.model, goals: report.goals };
}

/**
 * Splits rows into those that this program would measure the same, and those of encoders that have changed.
 * @param versions of this program's encoders by name, also of those not asked for; rows of other encoders are kept
 */
export function stillValid(
  rows: readonly ComparisonRow[],
  versions: ReadonlyMap<string, string>,
): { kept: ComparisonRow[]; changed: ComparisonRow[] } {
  const valid = ({ codec, version }: ComparisonRow): boolean => (versions.get(codec) ?? version) === version;
  return { kept: rows.filter(valid), changed: rows.filter((row) => !valid(row)) };
}

function checkReport({ conditions, groups, besides, model }: ComparisonReport): void {
  if (!Array.isArray(conditions) || !Array.isArray(groups) || !Array.isArray(besides) || !model) {
    throw new SyntaxError('it has no rows');
  }
  for (const { codec, title, version, run, verdicts, budget } of conditions) {
    const named = [codec, title, version].every((text) => typeof text === 'string');
    const sized = budget === null || Number.isInteger(budget);
    const judged = Array.isArray(verdicts) && verdicts.every(({ figures, open }) => figures?.folds && open);
    if (!named || !sized || !run || !judged) throw new SyntaxError('a row lacks what rows have');
  }
}
