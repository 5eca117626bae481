import { ArgumentError, NotFiniteError } from '../../common/errors.js';
import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import { Embedder, joinFaces } from '../../models/embedder.js';

/** Embeddings of crops, each of length 1: of the crop, and of its mirror image appended to it. */
export class CropEmbedder {
  readonly #embedder: Embedder;

  /**
   * @param recognizer on the GPU; the caller disposes it
   * @param batch crops in a pass
   * @param flip whether the embedding of the mirror image is appended
   */
  constructor(
    gpu: Gpu,
    private readonly recognizer: OpenRecognizer,
    batch: number,
    readonly flip: boolean,
  ) {
    this.#embedder = new Embedder(gpu, recognizer.recognizer, batch * (flip ? 2 : 1));
  }

  /** Values of an embedding. */
  get dimension(): number {
    return this.recognizer.recognizer.dimension * (this.flip ? 2 : 1);
  }

  /**
   * @param crops RGB bytes of the size that the recogniser takes
   * @param nameOf name of a crop in messages
   * @throws ArgumentError for an embedding that is not finite, by its crop
   */
  async embed(crops: readonly Uint8Array[], nameOf: (k: number) => string): Promise<Float32Array[]> {
    if (crops.length === 0) return [];
    const { width } = this.recognizer.recognizer;
    const pixels = joinFaces(crops, width, this.flip);
    const refuse = (k: number, cause?: unknown): never => {
      throw new ArgumentError(`${nameOf(k)}: ${this.recognizer.name} gives an embedding that is not finite`, { cause });
    };
    const values = await this.#embedder.embed(pixels).catch((error: unknown) => {
      if (!(error instanceof NotFiniteError)) throw error;
      return refuse(Math.floor(error.face / (this.flip ? 2 : 1)), error);
    });
    return crops.map((_, k) => {
      const embedding = unit(values.subarray(k * this.dimension, (k + 1) * this.dimension));
      return embedding.every(Number.isFinite) ? embedding : refuse(k);
    });
  }

  dispose(): void {
    this.#embedder.dispose();
  }
}

/** A copy, of length 1. */
function unit(values: Float32Array): Float32Array {
  let sum = 0;
  for (const value of values) sum += value * value;
  const norm = Math.sqrt(sum) || 1;
  return values.map((value) => value / norm);
}
