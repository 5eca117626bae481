import type { FaceCodec } from '../codec/face-codec.js';
import type { FaceEntry } from '../data/face-listing.js';
import type { FaceSet } from '../data/faces.js';
import { type BaselineCodec, encodeBaselines } from './baselines.js';
import { psnr, ssim } from './metrics.js';

/** What one codec made of one face. */
export interface FaceScore {
  bytes: number;
  psnr: number;
  ssim: number;
  /** False for a baseline that has no file as small as Cameo's: its smallest one is scored, in its favour. */
  fits: boolean;
}

/** One face at one rate: Cameo, and each baseline at no more than Cameo's bytes. */
export interface FaceResult {
  entry: FaceEntry;
  rate: number;
  scores: Partial<Record<'cameo' | BaselineCodec, FaceScore>>;
}

/** Means of one codec over some faces. */
export interface CodecMeans {
  faces: number;
  /** Faces for which no file of the codec fits Cameo's bytes. */
  misfits: number;
  bytes: number;
  bitsPerPixel: number;
  psnr: number;
  ssim: number;
}

const BATCH = 16;

/**
 * Codes faces with Cameo at every rate, and with the baselines at the bytes that Cameo took for the same face.
 * Faces that cannot be read are left out; they are in `faces.unreadable`.
 */
export async function evaluateCodec(
  codec: FaceCodec,
  faces: FaceSet,
  baselines: readonly BaselineCodec[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<FaceResult[]> {
  const { width, height } = codec.faceSize;
  const indices = await faces.readable();
  const results: FaceResult[] = [];
  const total = indices.length * codec.rates;
  for (let first = 0; first < indices.length; first += BATCH) {
    const batch = indices.slice(first, first + BATCH);
    const originals = await Promise.all(batch.map((index) => faces.face(index)));
    for (let rate = 0; rate < codec.rates; rate++) {
      const files = await codec.encode(originals, rate);
      const decoded = await codec.decode(files);
      // Two at a time: the baselines' libraries work outside JavaScript's one thread.
      for (let k = 0; k < batch.length; k += 2) {
        const pair = [k, k + 1].filter((at) => at < batch.length);
        const scored = await Promise.all(
          pair.map(async (at) => {
            const original = originals[at];
            const bytes = files[at].length;
            const scores: FaceResult['scores'] = {
              cameo: {
                bytes,
                psnr: psnr(original, decoded[at]),
                ssim: ssim(original, decoded[at], width, height, 3),
                fits: true,
              },
            };
            for (const one of await encodeBaselines(original, width, height, bytes, baselines)) {
              scores[one.codec] = { bytes: one.bytes.length, psnr: one.psnr, ssim: one.ssim, fits: one.fits };
            }
            return { entry: faces.entries[batch[at]], rate, scores };
          }),
        );
        results.push(...scored);
        onProgress(results.length, total);
      }
    }
  }
  return results;
}

/** Means of a codec over results; null where it made no file. */
export function meansOf(
  results: readonly FaceResult[],
  codec: 'cameo' | BaselineCodec,
  pixels: number,
): CodecMeans | null {
  const scores = results.flatMap(({ scores }) => scores[codec] ?? []);
  if (scores.length === 0) return null;
  const mean = (of: (score: FaceScore) => number): number =>
    scores.reduce((sum, score) => sum + of(score), 0) / scores.length;
  const bytes = mean((score) => score.bytes);
  return {
    faces: scores.length,
    misfits: scores.filter(({ fits }) => !fits).length,
    bytes,
    bitsPerPixel: (8 * bytes) / pixels,
    psnr: mean((score) => score.psnr),
    ssim: mean((score) => score.ssim),
  };
}

/** Results by group: each source, and each sex and race where the manifest knows them. */
export function groupsOf(results: readonly FaceResult[]): Map<string, FaceResult[]> {
  const groups = new Map<string, FaceResult[]>();
  const put = (name: string, result: FaceResult): void => {
    const group = groups.get(name);
    if (group) group.push(result);
    else groups.set(name, [result]);
  };
  for (const result of results) {
    const { source, sex, race } = result.entry;
    if (source) put(`source: ${source}`, result);
    if (sex && race) put(`${sex}, ${race}`, result);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}
