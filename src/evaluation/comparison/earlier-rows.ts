import { createHash } from 'node:crypto';
import { ArgumentError, FormatError } from '../../common/errors.js';
import type { FacePair } from '../../data/lfw.js';
import type { HostTensors } from '../../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../../nn/safetensors.js';
import type { Condition } from './compare-codecs.js';
import type { Mix, Verdict } from './judge.js';

/** The metadata of a file of scores that says what they were measured on. */
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

const tensorName = ({ codec, budget }: Condition, { recognizer, mix }: Verdict): string =>
  `${codec} ${budget ?? '-'} ${recognizer} ${mix}`;

/** The scores of all pairs, a tensor a verdict: with them a later run compares other codecs on the same pairs. */
export function writeScores(conditions: readonly Condition[], setting: string): Uint8Array {
  const tensors: HostTensors = new Map();
  for (const condition of conditions) {
    for (const verdict of condition.verdicts) {
      const { scores } = verdict;
      tensors.set(tensorName(condition, verdict), { shape: [scores.length], data: scores });
    }
  }
  return writeSafetensors(tensors, new Map([[SETTING, setting]]));
}

/** Rows as they stand in a report's JSON: without what is kept elsewhere, or is of no use later. */
export const plainRows = (conditions: readonly Condition[]): unknown[] =>
  conditions.map(({ psnrs: _, ...condition }) => ({
    ...condition,
    verdicts: condition.verdicts.map(({ scores: _, ...verdict }) => verdict),
  }));

/** JSON writes NaN and Infinity as null: means over no face, and the PSNR of pictures as they are. */
function unwritten({ budget, bytes, bpp, psnr, ssim }: Condition) {
  const known = (value: number | null, otherwise = Number.NaN): number => value ?? otherwise;
  return {
    bytes: known(bytes),
    bpp: known(bpp),
    psnr: known(psnr, budget === null ? Infinity : Number.NaN),
    ssim: known(ssim),
  };
}

/**
 * The rows of an earlier report, to be kept in one of the same setting.
 *
 * @param json of the report
 * @param scores beside it
 * @throws FormatError where the two are no report's, or not of the same run; ArgumentError where the setting is another
 */
export function readEarlier(json: string, scores: Uint8Array, setting: string, pairs: number): Condition[] {
  const { tensors, metadata } = readSafetensors(scores);
  const found = metadata.get(SETTING);
  if (found !== setting) {
    throw new ArgumentError(
      `the report to extend was measured on other pictures or pairs, or with other recognisers (setting ${found ?? 'unknown'}; this run has ${setting})`,
    );
  }
  let rows: Condition[];
  try {
    rows = JSON.parse(json).conditions;
    if (!Array.isArray(rows)) throw new SyntaxError('it has no rows');
    for (const { codec, version, run, verdicts } of rows) {
      if (typeof codec !== 'string' || typeof version !== 'string' || !run || !Array.isArray(verdicts)) {
        throw new SyntaxError('a row lacks what rows have');
      }
    }
  } catch (error) {
    throw new FormatError(`report.json is not the report of a comparison: ${(error as Error).message}`);
  }
  return rows.map((row) => ({
    ...row,
    ...unwritten(row),
    psnrs: [],
    verdicts: row.verdicts.map((verdict) => {
      const data = tensors.get(tensorName(row, verdict))?.data;
      if (data?.length !== pairs) {
        throw new FormatError(
          `scores.safetensors has ${data?.length ?? 'no'} scores of "${tensorName(row, verdict)}"; expected ${pairs}`,
        );
      }
      return { ...verdict, scores: data };
    }),
  }));
}
