import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { BASELINE_CODECS } from '../codecs/baselines.js';
import { meanOf } from '../metrics/mean-of.js';
import type { ComparedCodec, FaceScores } from './face-scores.js';

/** Means over the faces of one codec. */
export interface CodecMeans {
  /** Faces behind the means: those for which the codec has a file. */
  faces: number;
  bytes: number;
  /** Bits for each pixel of the face. */
  bpp: number;
  /** Mean of each face's PSNR, dB; identical pictures count as {@link PSNR_CAP}. */
  psnr: number;
  ssim: number;
  /** Faces for which the codec has no file as small as Cameo's; a larger one was used, in its favour. */
  larger: number;
  /** How far Cameo's PSNR is above, face by face: mean and standard error, dB. Absent for Cameo itself. */
  cameoGain?: { mean: number; standardError: number };
}

/** The results of one group of faces at one rate. */
export interface GroupSummary {
  faces: number;
  codecs: { cameo: CodecMeans } & Partial<Record<ComparedCodec, CodecMeans>>;
}

/** Pictures of a face's size that differ in a single sample by one level have 93 dB. */
export const PSNR_CAP = 100;

/** @param faces at least one */
export function summarise(faces: readonly FaceScores[]): GroupSummary {
  const codecs: GroupSummary['codecs'] = { cameo: meansOf(faces, 'cameo') };
  for (const codec of BASELINE_CODECS) {
    const coded = faces.filter((scores) => scores[codec] !== undefined);
    if (coded.length > 0) codecs[codec] = meansOf(coded, codec);
  }
  return { faces: faces.length, codecs };
}

/** Summaries by a property of the faces, in order of its values; faces without one ('') are left out. */
export function summariseBy(
  faces: readonly FaceScores[],
  groupOf: (index: number) => string,
): Record<string, GroupSummary> {
  const groups = new Map<string, FaceScores[]>();
  faces.forEach((scores, index) => {
    const name = groupOf(index);
    if (name === '') return;
    const group = groups.get(name);
    if (group) group.push(scores);
    else groups.set(name, [scores]);
  });
  const names = [...groups.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, summarise(groups.get(name)!)]));
}

function meansOf(faces: readonly FaceScores[], codec: ComparedCodec): CodecMeans {
  const capped = (value: number): number => Math.min(value, PSNR_CAP);
  const scores = faces.map((face) => face[codec]!);
  const bytes = meanOf(scores.map((score) => score.bytes));
  const means: CodecMeans = {
    faces: faces.length,
    bytes,
    bpp: (8 * bytes) / (FACE_WIDTH * FACE_HEIGHT),
    psnr: meanOf(scores.map((score) => capped(score.psnr))),
    ssim: meanOf(scores.map((score) => score.ssim)),
    larger: scores.filter(({ fits }) => !fits).length,
  };
  if (codec !== 'cameo') {
    const gains = faces.map((face, i) => capped(face.cameo.psnr) - capped(scores[i].psnr));
    means.cameoGain = { mean: meanOf(gains), standardError: standardError(gains) };
  }
  return means;
}

/** Of the mean: standard deviation (n − 1) over √n; 0 for a single value. */
function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
