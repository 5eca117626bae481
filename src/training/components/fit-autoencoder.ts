import { ArgumentError } from '../../common/errors.js';
import type { FaceSet } from '../../data/faces/face-set.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { Recognizer } from '../../models/recognizer.js';
import type { TrainedAutoencoder } from '../trained-autoencoder.js';
import { featureImportance } from './feature-importance.js';
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
 * @param recognizers of the loss, on the GPU: what they look at decides the weights of features, if the network has such
 * @throws ArgumentError where such a network's training has no distance of embeddings in its loss
 */
export async function fitAutoencoder(
  gpu: Gpu,
  codec: TrainedAutoencoder,
  faces: FaceSet,
  weights: ArrayLike<number> | undefined,
  recognizers: readonly Recognizer[],
  onProgress?: (what: string, done: number, total: number) => void,
): Promise<void> {
  const { network, config } = codec;
  if (!network.global) return;
  const loss = { error: config.errorWeight, distance: Math.max(...config.stages.map(({ distance }) => distance)) };
  const { global } = network;
  if (global.weight && loss.distance === 0) {
    throw new ArgumentError('training: global.importance needs a stage with a distance term; no stage has one');
  }
  const importanceOf = (): Promise<Float32Array> =>
    featureImportance(gpu, global, recognizers, faces, loss, (done, total) =>
      onProgress?.('importance of features', done, total),
    );
  const given = { faces, weights, importanceOf, samples: GAIN_FACES };
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
