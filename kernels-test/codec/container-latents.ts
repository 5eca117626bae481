import { type Latents, latentsFromSymbols } from '../../src/codec/latents.js';
import { CounterRandom } from '../../src/common/random.js';

/** Synthetic latents, and the number of bits that an ideal code would need if it knew every channel's scale. */
export interface SyntheticLatents {
  latents: Latents;
  idealBits: number;
}

/**
 * Independent rounded Laplacian symbols, with a scale per channel from 8 down to 0.1, and the last third near zero:
 * similar to the symbols of a face by an autoencoder with ordered channels.
 */
export function laplacianLatents(seed: number, height: number, width: number, channels: number): SyntheticLatents {
  const random = new CounterRandom(seed);
  const active = Math.ceil((channels * 2) / 3);
  const scales = Array.from({ length: channels }, (_, c) => (c < active ? 8 * 80 ** (-c / active) : 0.1));
  const symbols: number[] = [];
  let idealBits = 0;
  for (let p = 0; p < height * width; p++) {
    for (const scale of scales) {
      const u = random.uniform() - 0.5;
      const value = -scale * Math.sign(u) * Math.log(1 - 2 * Math.abs(u));
      const symbol = Math.max(-128, Math.min(127, Math.round(value)));
      symbols.push(symbol);
      idealBits -= Math.log2(laplacianMass(symbol, scale));
    }
  }
  return { latents: latentsFromSymbols(symbols, height, width, channels), idealBits };
}

/** Probability that a Laplacian variable rounds to `symbol`. */
function laplacianMass(symbol: number, scale: number): number {
  const below = (x: number): number => (x < 0 ? 0.5 * Math.exp(x / scale) : 1 - 0.5 * Math.exp(-x / scale));
  // This uses the symmetric negative side, where no digits cancel.
  const s = -Math.abs(symbol);
  return below(s + 0.5) - below(s - 0.5);
}

/** Symbols without any structure: every value equally likely. */
export function uniformLatents(seed: number, height: number, width: number, channels: number): Latents {
  const random = new CounterRandom(seed);
  const symbols = Array.from({ length: height * width * channels }, () => random.int(256) - 128);
  return latentsFromSymbols(symbols, height, width, channels);
}
