import { FACE_WIDTH } from '../src/data/pictures/align.js';
import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import { type Embedder, mirrored } from '../src/models/embedder.js';

/** Embeddings of faces, kept as long as the faces are. */
const known = new WeakMap<Uint8Array, Float32Array>();

async function embeddingOf(embedder: Embedder, face: Uint8Array): Promise<Float32Array> {
  let embedding = known.get(face);
  if (!embedding) {
    const both = new Uint8Array(2 * face.length);
    both.set(face);
    both.set(mirrored(face, FACE_WIDTH), face.length);
    embedding = await embedder.embed(both);
    known.set(face, embedding);
  }
  return embedding;
}

/** How alike two faces are to a recogniser, as `cameo verify` computes it: cosine of face and mirror image together. */
export async function similarity(embedder: Embedder, a: Uint8Array, b: Uint8Array): Promise<number> {
  return cosineSimilarity(await embeddingOf(embedder, a), await embeddingOf(embedder, b));
}
