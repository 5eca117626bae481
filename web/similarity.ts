import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import type { Embedder } from '../src/models/embedder.js';
import { faceEmbedding } from '../src/models/face-similarity.js';

/** Embeddings of faces, kept as long as the faces are. */
const known = new WeakMap<Uint8Array, Float32Array>();

async function embeddingOf(embedder: Embedder, face: Uint8Array): Promise<Float32Array> {
  const embedding = known.get(face) ?? (await faceEmbedding(embedder, face));
  known.set(face, embedding);
  return embedding;
}

/** How alike two faces are to a recogniser, as `faceSimilarity` and `cameo verify` compute it. */
export async function similarity(embedder: Embedder, a: Uint8Array, b: Uint8Array): Promise<number> {
  return cosineSimilarity(await embeddingOf(embedder, a), await embeddingOf(embedder, b));
}
