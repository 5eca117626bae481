import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import type { Embedder } from '../src/models/embedder.js';
import { faceEmbedding } from '../src/models/face-similarity.js';

/** Embeddings of faces, which are kept as long as the arrays of the faces are. */
const embeddings = new WeakMap<Uint8Array, Float32Array>();

async function embeddingOf(embedder: Embedder, face: Uint8Array): Promise<Float32Array> {
  const embedding = embeddings.get(face) ?? (await faceEmbedding(embedder, face));
  embeddings.set(face, embedding);
  return embedding;
}

/** The similarity of two faces by a recogniser: the cosine that `faceSimilarity` and `cameo verify` compute, too. */
export async function similarity(embedder: Embedder, a: Uint8Array, b: Uint8Array): Promise<number> {
  return cosineSimilarity(await embeddingOf(embedder, a), await embeddingOf(embedder, b));
}
