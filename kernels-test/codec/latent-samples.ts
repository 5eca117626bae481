import { CounterRandom } from '../../src/common/random.js';
import type { LatentSamples } from '../../src/training/entropy/fit-samples.js';

/** Latents of imaginary faces, and gains for them. */
export interface SyntheticFaces extends LatentSamples {
  /** [steps][channels] */
  gain: number[][];
}

/** Quantization steps from coarse (most symbols are zero) to fine. */
const STEPS = 10;

/**
 * Latents with the properties of those of real faces: channels of very different size, scales that depend on the position, a few
 * factors common to the whole face, neighbours and channels that are correlated, a left half like the right one, heavy
 * tails, and magnitudes that are large or small together.
 */
export function syntheticFaces(
  seed: number,
  count: number,
  height: number,
  width: number,
  channels: number,
): SyntheticFaces {
  const world = new CounterRandom(1, 1);
  const positions = height * width;
  const latents = positions * channels;
  const normals = (n: number) => Float32Array.from({ length: n }, () => world.normal());
  const deviations = Float32Array.from({ length: channels }, (_, c) => 4 * 2 ** ((-5 * c) / channels));
  const sizes = normals(latents).map((x) => Math.exp(0.4 * x));
  const means = normals(latents);
  const factors = 12;
  const loadings = normals(factors * latents);
  const parents = Int32Array.from({ length: channels }, (_, c) => (c === 0 ? 0 : world.int(c)));
  const ties = normals(channels).map((x) => 0.5 * Math.tanh(x));

  const data = new Float32Array(count * latents);
  const random = new CounterRandom(seed);
  for (let face = 0; face < count; face++) {
    const ofFace = data.subarray(face * latents, (face + 1) * latents);
    const common = Float32Array.from({ length: factors }, () => random.normal());
    const liveliness = 0.4 * random.normal();
    const local = Float32Array.from({ length: positions }, () => Math.exp(liveliness + 0.5 * random.normal()));
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < positions; p++) {
        const i = p * channels + c;
        const x = p % width;
        const u = random.uniform() - 0.5;
        let value = -Math.sign(u) * Math.log(1 - 2 * Math.abs(u)) * 0.7 * local[p];
        if (x > 0) value += 0.35 * ofFace[i - channels];
        if (p >= width) value += 0.25 * ofFace[i - width * channels];
        const mirrored = p - x + width - 1 - x;
        if (mirrored < p) value += 0.25 * ofFace[mirrored * channels + c];
        value += ties[c] * ofFace[p * channels + parents[c]];
        for (let f = 0; f < factors; f++) value += 0.12 * loadings[f * latents + i] * common[f];
        ofFace[i] = value;
      }
    }
    for (let i = 0; i < latents; i++) ofFace[i] = (ofFace[i] * sizes[i] + 0.5 * means[i]) * deviations[i % channels];
  }
  const gain = Array.from({ length: STEPS }, (_, qIndex) =>
    Array.from({ length: channels }, (_, c) => Math.round(-28 + 4 * qIndex + 3 * Math.sin(c))),
  );
  return { data, count, height, width, channels, gain };
}

/** The symbols of one face at index `qIndex`. */
export function symbolsAt(
  { data, gain, channels, height, width }: SyntheticFaces,
  face: number,
  qIndex: number,
  round: (value: number) => number = Math.round,
): Int16Array {
  const latents = height * width * channels;
  return Int16Array.from({ length: latents }, (_, i) =>
    round(data[face * latents + i] * 2 ** (gain[qIndex][i % channels] / 8)),
  );
}

/** Bits of a face under a static model, which codes each channel's symbols by their frequency in `training`. */
export function staticModel(training: SyntheticFaces, qIndex: number): (symbols: Int16Array) => number {
  const { channels, count } = training;
  const histograms = Array.from({ length: channels }, () => new Map<number, number>());
  const totals = new Float64Array(channels);
  for (let face = 0; face < count; face++) {
    symbolsAt(training, face, qIndex).forEach((symbol, i) => {
      const histogram = histograms[i % channels];
      histogram.set(symbol, (histogram.get(symbol) ?? 0) + 1);
      totals[i % channels]++;
    });
  }
  // A symbol that does not occur counts as half an occurrence.
  return (symbols) =>
    symbols.reduce((bits, symbol, i) => {
      const c = i % channels;
      return bits - Math.log2((histograms[c].get(symbol) ?? 0.5) / (totals[c] + 0.5));
    }, 0);
}
