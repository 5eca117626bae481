import type { AutoencoderCodec } from '../../codec/autoencoder-codec.js';
import type { FaceSet } from '../../data/faces/face-set.js';
import { BASELINE_CODECS } from '../codecs/baselines.js';
import { compareFace, compressFaces, type FaceCoder, type FaceScores, mapConcurrently } from './face-scores.js';
import { type GroupSummary, summarise, summariseBy } from './summary.js';

/** The results of a set of faces at one rate of the model. */
export interface RateEvaluation {
  rate: number;
  all: GroupSummary;
  /** By source of the faces, as the manifest names it. */
  sources: Record<string, GroupSummary>;
  /** By sex and race, of the faces for which the manifest gives both. */
  groups: Record<string, GroupSummary>;
}

const BATCH = 16;

/** The codec at one of its rates. */
export const atRate = (codec: AutoencoderCodec, rate: number): FaceCoder => ({
  encode: (faces) => codec.encode(faces, rate),
  decode: (files) => codec.decode(files),
});

/**
 * Compresses every readable face of a set at every rate of the model, and restores it. JPEG and JPEG2000 do the same with at
 * most as many bytes for each face.
 *
 * @param onProgress called after each face and rate
 * @returns one element for each rate
 * @throws ImageError when no face is readable
 */
export async function evaluateAutoencoder(
  codec: AutoencoderCodec,
  set: FaceSet,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<RateEvaluation[]> {
  const indices = await set.readable();
  if (indices.length === 0) await set.batch([0]); // throws, and says why
  const total = indices.length * codec.rates;
  let done = 0;
  const scores: FaceScores[][] = Array.from({ length: codec.rates }, () => []);
  for (let first = 0; first < indices.length; first += BATCH) {
    const faces = await set.batch(indices.slice(first, first + BATCH));
    for (let rate = 0; rate < codec.rates; rate++) {
      const { files, restored } = await compressFaces(atRate(codec, rate), faces);
      const compared = await mapConcurrently([...faces.keys()], async (k) => {
        const { scores } = await compareFace(faces[k], files[k], restored[k], BASELINE_CODECS);
        onProgress(++done, total);
        return scores;
      });
      scores[rate].push(...compared);
    }
  }
  const entries = indices.map((index) => set.entries[index]);
  return scores.map((faces, rate) => ({
    rate,
    all: summarise(faces),
    sources: summariseBy(faces, (i) => entries[i].source),
    groups: summariseBy(faces, (i) =>
      entries[i].sex && entries[i].race ? `${entries[i].sex} ${entries[i].race}` : '',
    ),
  }));
}
