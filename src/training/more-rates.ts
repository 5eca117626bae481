import { ArgumentError } from '../common/errors.js';
import { readAutoencoder, writeAutoencoder } from '../models/model-file.js';
import type { HostTensors } from '../nn/host-tensor.js';

/** What each rate has, a tensor of the compact map's channels. */
const PER_RATE = ['logGain', 'logInverseGain', 'logScale'];
/** The header of a file holds four bits. */
const MOST_RATES = 16;
/** ln of a gain below which a rate does not use a channel. */
const UNUSED = -7;

/**
 * An autoencoder with rates between those that were trained, from the lowest on, 16 in all or twice as many less one: so files come closer to a
 * number of bytes. The gains of a rate in between are geometric means; a channel that the lower rate does not use is left out.
 * @param bytes weights as training writes them
 * @throws ArgumentError for a model with one rate, or with 16
 */
export function withMoreRates(bytes: Uint8Array): Uint8Array {
  const { config, tensors, metadata } = readAutoencoder(bytes);
  const { rates } = config;
  const added = Math.min(rates - 1, MOST_RATES - rates);
  if (added < 1) throw new ArgumentError(`the model has ${rates} rates; expected 2 to ${MOST_RATES - 1}`);
  const names = new Set(PER_RATE.flatMap((name) => Array.from({ length: rates }, (_, rate) => `${name}${rate}`)));
  const all: HostTensors = new Map([...tensors].filter(([name]) => !names.has(name)));
  let to = 0;
  const put = (tensorOf: (name: string) => Float32Array): void => {
    for (const name of PER_RATE) all.set(`${name}${to}`, { shape: [config.latentChannels], data: tensorOf(name) });
    to++;
  };
  for (let rate = 0; rate < rates; rate++) {
    const at = (name: string, own: number): Float32Array => tensors.get(`${name}${own}`)!.data;
    put((name) => at(name, rate));
    if (rate >= added) continue;
    const used = at('logGain', rate).map((gain) => Number(gain > UNUSED));
    put((name) => {
      const above = at(name, rate + 1);
      return at(name, rate).map((low, channel) => (used[channel] ? (low + above[channel]) / 2 : low));
    });
  }
  return writeAutoencoder({ ...config, rates: to }, all, Object.fromEntries(metadata));
}
