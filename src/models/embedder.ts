import { ArgumentError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { checkResults } from './finite-results.js';
import type { Recognizer } from './recognizer.js';
import { writeUnitPixels } from './unit-pixels.js';

/** Runs a recogniser on any number of faces, in batches of one size, as one recorded step. */
export class Embedder {
  readonly #x: Tensor;
  readonly #step: RecordedStep<{ x: Tensor }, { embeddings: Tensor }>;

  /** @param recognizer in evaluation mode; the caller disposes it */
  constructor(
    readonly gpu: Gpu,
    readonly recognizer: Recognizer,
    readonly batch = 16,
  ) {
    if (recognizer.training) throw new ArgumentError('Embedder: the recogniser is in training mode; call eval() first');
    const { height, width } = recognizer;
    this.#x = keep(Tensor.zeros(gpu, [batch, height, width, 3]));
    this.#step = recordStep(gpu, { x: this.#x }, ({ x }) => ({ embeddings: recognizer.embed(x) }));
  }

  /**
   * @param pixels RGB bytes of faces, one after the other
   * @returns [faces · dimension], not normalised
   * @throws ArgumentError if the bytes are not a whole number of faces; NotFiniteError for an embedding with NaN or infinity
   */
  async embed(pixels: Uint8Array): Promise<Float32Array> {
    const { height, width, dimension } = this.recognizer;
    const size = height * width * 3;
    const count = pixels.length / size;
    if (!Number.isInteger(count)) {
      throw new ArgumentError(`Embedder: ${pixels.length} bytes; expected a multiple of ${height}·${width}·3`);
    }
    const result = new Float32Array(count * dimension);
    const values = new Float32Array(this.batch * size);
    for (let first = 0; first < count; first += this.batch) {
      const faces = Math.min(this.batch, count - first);
      const bytes = pixels.subarray(first * size, (first + faces) * size);
      writeUnitPixels([bytes], values);
      this.#x.write(values); // values left from the batch before are computed, but not used
      this.#step.run();
      const embeddings = await this.#step.outputs.embeddings.read();
      checkResults('Embedder: the values of the embedding', embeddings, faces, dimension, first);
      result.set(embeddings.subarray(0, faces * dimension), first * dimension);
    }
    return result;
  }

  dispose(): void {
    this.#step.dispose();
    this.#x.dispose();
  }
}

/**
 * Faces of equal size one after the other, as `Embedder.embed` takes them.
 * @param flip each is followed by its mirror image
 */
export function joinFaces(faces: readonly Uint8Array[], width: number, flip = false): Uint8Array {
  const all = flip ? faces.flatMap((face) => [face, mirrored(face, width)]) : faces;
  const pixels = new Uint8Array(all.length && all.length * all[0].length);
  all.forEach((face, k) => {
    pixels.set(face, k * face.length);
  });
  return pixels;
}

/** A picture of RGB bytes, mirrored left to right. */
export function mirrored(pixels: Uint8Array, width: number): Uint8Array {
  const result = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const column = (at / 3) % width;
    const from = at + 3 * (width - 1 - 2 * column);
    for (let c = 0; c < 3; c++) result[at + c] = pixels[from + c];
  }
  return result;
}
