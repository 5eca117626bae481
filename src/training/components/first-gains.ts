import { latentsFromSymbols } from '../../codec/latents.js';
import { packLatentsPng } from '../../codec/png/container.js';
import { type AutoencoderConfig, SYMBOL_RANGE } from '../../models/autoencoder.js';
import type { MapStatistics } from './fit-global-layers.js';

/** Halvings of the interval of gains. */
const HALVINGS = 9;
/** Natural logarithms of the smallest and the largest gain that are tried. */
const GAINS = [-3, 5] as const;

/** How far values may be from 0, in standard deviations, for symbols that are not clipped. */
const WITHIN = 5;

/** How the values of a rate are quantised: values of the first channels are multiplied by gains, and the others are left out. */
export interface FirstGain {
  channels: number;
  /** ln of the gain of each channel, those left out, too. */
  logGains: Float32Array;
  /** ln of the gain that the channels have whose symbols are not clipped by it. */
  logGain: number;
}

type Candidate = Pick<FirstGain, 'channels' | 'logGain'>;

/**
 * For each rate, the gain and the number of channels with the least squared error among those whose PNG files have the rate's bytes.
 * Channels are in the order of falling variance. All values that are kept have the same step, which is what squared error asks for;
 * only where symbols would be clipped it is larger.
 * @param targetBytes mean size of a face's PNG file, by rate
 */
export function firstGains(
  { values, deviations }: MapStatistics,
  { latentChannels }: Pick<AutoencoderConfig, 'latentChannels'>,
  [h, w]: readonly [number, number],
  targetBytes: readonly number[],
): FirstGain[] {
  const channelSize = h * w;
  const limits = Array.from({ length: latentChannels }, (_, channel) =>
    Math.log(SYMBOL_RANGE.max / (WITHIN * Math.max(1e-6, deviations[channel * channelSize]))),
  );
  /** Symbols of a face, and the mean squared error of its values that are kept. */
  const quantised = (own: Float32Array, { channels, logGain }: Candidate): { symbols: number[]; error: number } => {
    let error = 0;
    const symbols = new Array(latentChannels * channelSize).fill(0);
    for (let k = 0; k < channels * channelSize; k++) {
      const channel = Math.floor(k / channelSize);
      const gain = Math.exp(Math.min(logGain, limits[channel]));
      const symbol = Math.max(SYMBOL_RANGE.min, Math.min(SYMBOL_RANGE.max, Math.round(own[k] * gain)));
      error += (own[k] - symbol / gain) ** 2;
      // Values come by channel; a map has its channels last.
      symbols[(k % channelSize) * latentChannels + channel] = symbol;
    }
    return { symbols, error: error / values.length };
  };
  const bytesOf = (symbols: number[]): number =>
    packLatentsPng(latentsFromSymbols(symbols, h, w, latentChannels), { modelId: '00000000', rate: 0 }).length;
  /** Squared error of what is left out: of all faces, as the samples are few. */
  const leftOut = (channels: number): number =>
    deviations.subarray(channels * channelSize).reduce((sum, deviation) => sum + deviation ** 2, 0);

  return targetBytes.map((target) => {
    let best: (Candidate & { error: number }) | null = null;
    for (let channels = latentChannels; channels >= 1; channels -= Math.max(1, Math.round(latentChannels / 12))) {
      let [low, high]: [number, number] = [...GAINS];
      for (let k = 0; k < HALVINGS; k++) {
        const middle = (low + high) / 2;
        const bytes = values.reduce(
          (sum, own) => sum + bytesOf(quantised(own, { channels, logGain: middle }).symbols),
          0,
        );
        if (bytes > target * values.length) high = middle;
        else low = middle;
      }
      const gain = { channels, logGain: low };
      const error = leftOut(channels) + values.reduce((sum, own) => sum + quantised(own, gain).error, 0);
      // With still fewer channels, the error only grows.
      if (best && error > best.error) break;
      best = { ...gain, error };
    }
    const { channels, logGain } = best!;
    return { channels, logGain, logGains: Float32Array.from(limits, (limit) => Math.min(logGain, limit)) };
  });
}
