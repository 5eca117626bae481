import { ArgumentError } from '../../common/errors.js';

/**
 * Cosines of a probe and of many faces: dot products of embeddings of length 1. A face without an embedding, a row of NaN,
 * gives NaN.
 *
 * @param probe [dimension]
 * @param faces [count · dimension], one face after the other
 * @param out [count], filled and returned
 * @throws ArgumentError for a probe without values, or arrays whose lengths do not fit
 */
export function similarities(probe: Float32Array, faces: Float32Array, out: Float32Array): Float32Array {
  const { length } = probe;
  if (length === 0 || faces.length !== out.length * length) {
    throw new ArgumentError(
      `similarities: ${faces.length} values of ${out.length} faces, and a probe of ${length}; expected as many a face as of the probe, at least 1`,
    );
  }
  for (let k = 0; k < out.length; k++) {
    const at = k * length;
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    let i = 0;
    // Four sums do not wait for each other.
    for (; i + 3 < length; i += 4) {
      s0 += probe[i] * faces[at + i];
      s1 += probe[i + 1] * faces[at + i + 1];
      s2 += probe[i + 2] * faces[at + i + 2];
      s3 += probe[i + 3] * faces[at + i + 3];
    }
    for (; i < length; i++) s0 += probe[i] * faces[at + i];
    out[k] = s0 + s1 + s2 + s3;
  }
  return out;
}

/** A face of a gallery, and its similarity to a probe. */
export interface GalleryMatch {
  /** Its number in the gallery, from 0. */
  face: number;
  similarity: number;
}

/** The most similar faces of a gallery that is shown piece by piece. Of equal similarities the lower number comes first. */
export class BestMatches {
  readonly #best: GalleryMatch[] = [];

  /** @throws ArgumentError for a count that is not a positive integer */
  constructor(readonly count: number) {
    if (Number.isInteger(count) && count > 0) return;
    throw new ArgumentError(`BestMatches: count is ${count}; expected a positive integer`);
  }

  /** @param scores of faces from number `first` on; NaN is skipped: such a face has no embedding */
  add(scores: Float32Array, first = 0): void {
    scores.forEach((similarity, k) => {
      const match = { face: first + k, similarity };
      const last = this.#best.length === this.count ? this.#best[this.count - 1] : undefined;
      if (Number.isNaN(similarity) || (last && !precedes(match, last))) return;
      let at = this.#best.length;
      while (at > 0 && precedes(match, this.#best[at - 1])) at--;
      this.#best.splice(at, 0, match);
      this.#best.length = Math.min(this.#best.length, this.count);
    });
  }

  /** From the most similar one on. */
  get ranked(): readonly GalleryMatch[] {
    return this.#best;
  }
}

const precedes = (a: GalleryMatch, b: GalleryMatch): boolean =>
  a.similarity > b.similarity || (a.similarity === b.similarity && a.face < b.face);
