import { ArgumentError } from '../common/errors.js';
import { cosineSimilarity } from '../evaluation/metrics/verification.js';
import { type Embedder, joinFaces } from './embedder.js';

/**
 * What faces are compared by: the embedding of a face, followed by that of its mirror image.
 * @param face RGB bytes of one aligned face, of the size that the recogniser takes
 * @param flip false: the embedding of the face alone
 * @returns [2 · dimension], or [dimension]; not normalised
 * @throws ArgumentError for bytes that are not one face; NotFiniteError for an embedding with NaN or infinity
 */
export function faceEmbedding(embedder: Embedder, face: Uint8Array, flip = true): Promise<Float32Array> {
  const { width, height } = embedder.recognizer;
  if (face.length !== 3 * width * height) {
    throw new ArgumentError(
      `faceEmbedding: ${face.length} bytes; a face of ${width}×${height} has ${3 * width * height}`,
    );
  }
  return embedder.embed(joinFaces([face], width, flip));
}

/**
 * How similar a recogniser finds two faces, from −1 to 1: the cosine of the angle between their embeddings by
 * `faceEmbedding`, as `cameo verify` prints it.
 * @throws as `faceEmbedding`
 */
export async function faceSimilarity(embedder: Embedder, a: Uint8Array, b: Uint8Array, flip = true): Promise<number> {
  return cosineSimilarity(await faceEmbedding(embedder, a, flip), await faceEmbedding(embedder, b, flip));
}
