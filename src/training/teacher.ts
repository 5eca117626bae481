import { concatenate } from '../codec/container/face-code.js';
import type { Embedder } from '../models/embedder.js';

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
