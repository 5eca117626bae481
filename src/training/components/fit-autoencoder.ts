import type { FaceSet } from '../../data/faces/face-set.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { TrainedAutoencoder } from '../trained-autoencoder.js';
import { firstGains } from './first-gains.js';
import { fitGlobalLayers } from './fit-global-layers.js';
import { LOGISTIC_DEVIATION } from './logistic-deviation.js';

/** Faces whose files decide the first gains. */
const GAIN_FACES = 12;
/** ln of the gain, before and after rounding, of a channel that a rate does not use: its symbols are 0, and noise does not show. */
const UNUSED_GAIN = -14;

/** Logistic scale of the values of each channel, from the deviations of its values. */
const channelScales = (deviations: Float64Array, channelSize: number): Float32Array =>
  Float32Array.from({ length: deviations.length / channelSize }, (_, channel) => {
    const own = deviations.subarray(channel * channelSize, (channel + 1) * channelSize);
    const variance = own.reduce((sum, deviation) => sum + deviation ** 2, 0) / channelSize;
    return Math.sqrt(Math.max(variance, 1e-12)) / LOGISTIC_DEVIATION;
  });

/**
 * Computes the linear layers of an autoencoder, and the gains that it begins with; does nothing where it has none.
 * @param weights of the faces, [faces.count]
 */
export async function fitAutoencoder(
  gpu: Gpu,
  codec: TrainedAutoencoder,
  faces: FaceSet,
  weights: ArrayLike<number> | undefined,
  onProgress?: (what: string, done: number, total: number) => void,
): Promise<void> {
  const { network, config } = codec;
  if (!network.global) return;
  const given = { faces, weights, samples: GAIN_FACES };
  const statistics = await fitGlobalLayers(gpu, network.config, network.global, given, onProgress);
  const gains = firstGains(statistics, network.config, network.latentSize, config.targetBytes);
  const [h, w] = network.latentSize;
  const scales = channelScales(statistics.deviations, h * w);
  gains.forEach(({ channels, logGains }, rate) => {
    const own = logGains.map((gain, channel) => (channel < channels ? gain : UNUSED_GAIN));
    network.logGain[rate].set(gpu, own);
    network.logInverseGain[rate].set(
      gpu,
      own.map((gain, channel) => (channel < channels ? -gain : UNUSED_GAIN)),
    );
    network.logScale[rate].set(
      gpu,
      own.map((gain, channel) => gain + Math.log(scales[channel])),
    );
  });
  await codec.weighRates();
  onProgress?.('first gains', gains.length, gains.length);
}
