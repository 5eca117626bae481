import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { concatenate } from '../codec/container/face-code.js';
import { ArgumentError } from '../common/errors.js';
import { writeFileAtomic } from '../data/atomic-file.js';
import type { FaceSet } from '../data/faces.js';
import type { OpenRecognizer } from '../data/recognizer-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder } from '../models/embedder.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';

const KEY = 'cameo.teacher';
const BATCH = 16;

/** Embeddings of pictures of the recogniser's size, each of length 1. */
export async function unitEmbeddings(embedder: Embedder, pictures: readonly Uint8Array[]): Promise<Float32Array[]> {
  const { dimension } = embedder.recognizer;
  const all = await embedder.embed(concatenate(pictures));
  return pictures.map((_, n) => {
    const values = all.subarray(n * dimension, (n + 1) * dimension);
    const norm = Math.hypot(...values) || 1;
    return values.map((value) => value / norm);
  });
}

/**
 * A teacher's embedding of every readable face of a set, each of length 1; zeros for faces that are not readable. Kept in
 * a file, which is used again where the teacher and the faces' paths and pixels are the same.
 *
 * @param indices the readable faces
 * @returns [faces.count · dimension]
 * @throws ArgumentError for a teacher of another input size than the faces, or another dimension than the student's, or
 *   whose embedding of a face is not finite
 */
export async function teacherEmbeddings(
  gpu: Gpu,
  teacher: OpenRecognizer,
  faces: FaceSet,
  indices: readonly number[],
  dimension: number,
  cache: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Float32Array> {
  const { recognizer } = teacher;
  const size = recognizer.height * recognizer.width * 3;
  const first = await faces.face(indices[0]);
  if (first.length !== size) {
    throw new ArgumentError(
      `teacher ${teacher.name} takes faces of ${recognizer.width}×${recognizer.height}; expected 96×112`,
    );
  }
  if (recognizer.dimension !== dimension) {
    throw new ArgumentError(
      `teacher ${teacher.name} has embeddings of ${recognizer.dimension} values; the network to train has ${dimension}`,
    );
  }
  const hash = createHash('sha256').update(teacher.modelId);
  for (const index of indices) hash.update(`${index} ${faces.entries[index].path}\n`).update(await faces.face(index));
  const key = hash.digest('hex');
  const known = await readFile(cache)
    .then((bytes) => readSafetensors(bytes))
    .catch(() => null); // none yet, or a damaged one: computed anew
  const stored = known?.metadata.get(KEY) === key ? known.tensors.get('embeddings') : undefined;
  if (stored && stored.data.length === faces.count * dimension && stored.data.every(Number.isFinite)) {
    return Float32Array.from(stored.data);
  }

  const result = new Float32Array(faces.count * dimension);
  const embedder = new Embedder(gpu, recognizer, BATCH);
  try {
    for (let k = 0; k < indices.length; k += BATCH) {
      const some = indices.slice(k, k + BATCH);
      const embeddings = await unitEmbeddings(embedder, await faces.batch(some));
      some.forEach((index, n) => {
        if (!embeddings[n].every(Number.isFinite)) {
          throw new ArgumentError(
            `${faces.entries[index].path}: teacher ${teacher.name} gives an embedding that is not finite`,
          );
        }
        result.set(embeddings[n], index * dimension);
      });
      onProgress?.(Math.min(k + BATCH, indices.length), indices.length);
    }
  } finally {
    embedder.dispose();
  }
  const tensors = new Map([['embeddings', { shape: [faces.count, dimension], data: result }]]);
  await writeFileAtomic(cache, writeSafetensors(tensors, new Map([[KEY, key]])));
  return result;
}
