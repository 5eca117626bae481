import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import type { FaceSet } from '../../data/faces/face-set.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import type { Gpu } from '../../gpu/gpu.js';
import { pictureSsim, psnr } from '../metrics/picture-quality.js';
import { cosineSimilarity } from '../metrics/verification.js';
import { embedFaces } from '../verification/embed-pictures.js';
import { type FaceEncoder, isAsked } from './face-encoders.js';

/** How well a codec restores the faces of one group: means, with standard errors. */
export interface GroupFigures {
  codec: string;
  title: string;
  budget: number;
  recognizer: string;
  group: string;
  faces: number;
  psnr: number;
  ssim: number;
  /** cosine of the embeddings of original and restored face */
  similarity: number;
  similarityError: number;
}

export interface GroupOptions {
  gpu: Gpu;
  faces: FaceSet;
  encoders: readonly FaceEncoder[];
  budget: number;
  recognizer: OpenRecognizer;
  cache: string | null;
  onProgress?: (what: string, done: number, total: number) => void;
}

/**
 * Whether a codec restores faces of every sex and race equally well, as far as a manifest's labels tell. There are no genuine
 * pairs by such groups, so each restored face is compared with its original.
 *
 * @returns by codec and group, the groups in alphabetical order; empty if no face has both labels
 */
export async function compareGroups(options: GroupOptions): Promise<GroupFigures[]> {
  const { gpu, faces, encoders, budget, recognizer, cache, onProgress = () => {} } = options;
  const indices = (await faces.readable()).filter((k) => faces.entries[k].sex !== '' && faces.entries[k].race !== '');
  if (indices.length === 0) return [];
  const groupOf = (k: number): string => `${faces.entries[indices[k]].sex} ${faces.entries[indices[k]].race}`;
  const groups = [...new Set(indices.map((_, k) => groupOf(k)))].sort();
  const originals = await faces.batch(indices);
  const embed = (pictures: readonly Uint8Array[], what: string): Promise<Float32Array[]> =>
    embedFaces(gpu, recognizer, pictures, {
      flip: false,
      cache,
      onProgress: (done, total) => onProgress(`${what}: ${recognizer.name}`, done, total),
    });
  const reference = await embed(originals, 'groups, uncompressed');
  const rows: GroupFigures[] = [];
  for (const encoder of encoders.filter((one) => isAsked(one, budget))) {
    const what = `groups, ${encoder.title}, ${budget} bytes`;
    const encoded = await encoder.encodeAll(originals, budget, (done, total) => onProgress(what, done, total));
    if (encoded.some((one) => one === null)) continue; // groups are compared on the same faces, or not at all
    const restored = encoded.map((one) => one!.rgb);
    const embeddings = await embed(restored, what);
    for (const group of groups) {
      const own = [...indices.keys()].filter((k) => groupOf(k) === group);
      const mean = (value: (k: number) => number): number => own.reduce((sum, k) => sum + value(k), 0) / own.length;
      const similarities = own.map((k) => cosineSimilarity(reference[k], embeddings[k]));
      const similarity = similarities.reduce((sum, value) => sum + value, 0) / own.length;
      const spread = similarities.reduce((sum, value) => sum + (value - similarity) ** 2, 0);
      rows.push({
        codec: encoder.name,
        title: encoder.title,
        budget,
        recognizer: recognizer.name,
        group,
        faces: own.length,
        psnr: mean((k) => psnr(originals[k], restored[k])),
        ssim: mean((k) => pictureSsim(originals[k], restored[k], FACE_WIDTH, FACE_HEIGHT, 3)),
        similarity,
        similarityError: own.length > 1 ? Math.sqrt(spread / (own.length - 1) / own.length) : Number.NaN,
      });
    }
  }
  return rows;
}
