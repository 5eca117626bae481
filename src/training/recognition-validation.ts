import { ArgumentError, NotFiniteError } from '../common/errors.js';
import type { FaceSet } from '../data/faces/face-set.js';
import { bestThreshold, cosineSimilarity, tarAtFar } from '../evaluation/metrics/verification.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder } from '../models/embedder.js';
import type { Recognizer } from '../models/recognizer.js';

/** How well a recogniser tells held-out identities apart, over all pairs of their faces. */
export interface RecognitionValidation {
  faces: number;
  genuine: number;
  impostor: number;
  /** True accept rates at these false accept rates. */
  tar2: number;
  tar3: number;
  /** Mean of the shares of genuine and of impostor pairs that the best threshold decides correctly. */
  accuracy: number;
  /** Mean of 1 − cosine between the embedding and the teacher's; absent without a teacher. */
  distance?: number;
}

/**
 * Compares every two faces of a set by their identities. The network is left in evaluation mode.
 * @param teacher a teacher's embeddings of all faces, one after the other
 * @throws ArgumentError for a network whose embedding of a face is not finite
 */
export async function validateRecognition(
  gpu: Gpu,
  network: Recognizer,
  faces: FaceSet,
  teacher: Float32Array | null = null,
): Promise<RecognitionValidation> {
  const indices = (await faces.readable()).filter((index) => faces.entries[index].identity !== '');
  network.eval();
  const embedder = new Embedder(gpu, network, 16);
  const { dimension } = network;
  try {
    const pixels = new Uint8Array(indices.length * network.height * network.width * 3);
    for (const [k, index] of indices.entries())
      pixels.set(await faces.face(index), k * (pixels.length / indices.length));
    const values = await embedder.embed(pixels).catch((error: unknown) => {
      if (!(error instanceof NotFiniteError)) throw error;
      const { path } = faces.entries[indices[error.face]];
      const message = `${path}: the network gives an embedding that is not finite; training has diverged`;
      throw new ArgumentError(message, { cause: error });
    });
    const rows = indices.map((_, k) => values.subarray(k * dimension, (k + 1) * dimension));
    const cosines = indices.map((index, k) =>
      teacher ? cosineSimilarity(rows[k], teacher.subarray(index * dimension, (index + 1) * dimension)) : 0,
    );
    const distance = teacher && { distance: 1 - cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length };
    const identities = indices.map((index) => faces.entries[index].identity);
    const { genuine, impostor } = pairScores(rows, identities);
    const counts = { faces: rows.length, genuine: genuine.length, impostor: impostor.length };
    if (genuine.length === 0 || impostor.length === 0) {
      return { ...counts, tar2: NaN, tar3: NaN, accuracy: NaN, ...distance };
    }
    return {
      ...counts,
      tar2: tarAtFar(genuine, impostor, 1e-2).tar,
      tar3: tarAtFar(genuine, impostor, 1e-3).tar,
      accuracy: balancedAccuracy(genuine, impostor),
      ...distance,
    };
  } finally {
    embedder.dispose();
  }
}

/** The cosines of all pairs of embeddings, by whether both have the same identity. */
function pairScores(rows: readonly Float32Array[], identities: readonly string[]) {
  const genuine: number[] = [];
  const impostor: number[] = [];
  for (let a = 0; a < rows.length; a++) {
    for (let b = a + 1; b < rows.length; b++) {
      const same = identities[a] === identities[b];
      (same ? genuine : impostor).push(cosineSimilarity(rows[a], rows[b]));
    }
  }
  return { genuine, impostor };
}

/** As many impostors as genuine pairs, evenly spread over their scores, so that both kinds count alike. */
function balancedAccuracy(genuine: readonly number[], impostor: readonly number[]): number {
  const count = Math.min(genuine.length, impostor.length);
  const spread = (scores: readonly number[]): number[] => {
    const sorted = Float64Array.from(scores).sort();
    return Array.from({ length: count }, (_, k) => sorted[Math.floor(((k + 0.5) * sorted.length) / count)]);
  };
  const scores = [...spread(genuine), ...spread(impostor)];
  return bestThreshold(
    scores,
    scores.map((_, k) => k < count),
  ).accuracy;
}
