import { CheckpointError } from '../common/errors.js';
import type { AutoencoderConfig } from '../models/autoencoder.js';
import type { HostTensor, HostTensors } from '../nn/host-tensor.js';

/** Numbers of channels in the order in which a PNG takes the fewest bytes: that of the largest value first. */
export const largestFirst = (values: ArrayLike<number>): number[] =>
  Array.from(values, (_, channel) => channel).sort((a, b) => values[b] - values[a]);

/** Takes entries of one axis of an array in another order. */
function reorder({ shape, data }: HostTensor, axis: number, order: readonly number[]): HostTensor {
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const result = new Float32Array(data.length);
  for (let from = 0; from < data.length; from += order.length * inner) {
    order.forEach((channel, k) => {
      result.set(data.subarray(from + channel * inner, from + (channel + 1) * inner), from + k * inner);
    });
  }
  return { shape, data: result };
}

/**
 * The same network with the channels of its compact map in another order: that of the largest scale first, on average over
 * rates. PNG takes some per cent less for the same symbols, because zeros then come together (results/paper/png-costs.md).
 * @throws CheckpointError for tensors of another network
 */
export function sortChannels({ latentChannels, rates }: AutoencoderConfig, tensors: HostTensors): HostTensors {
  const scaleOf = (channel: number): number =>
    Array.from({ length: rates }, (_, rate) => tensors.get(`logScale${rate}`)?.data[channel] ?? Number.NaN).reduce(
      (sum, value) => sum + value,
      0,
    );
  const scales = Array.from({ length: latentChannels }, (_, channel) => scaleOf(channel));
  const order = largestFirst(scales);
  const perRate = /^(logGain|logInverseGain|logScale)\d+$/;
  const basis = tensors.get('global.basis');
  if (basis) {
    const [rows, columns] = basis.shape;
    // Columns come by channel.
    const byChannel = { shape: [rows, latentChannels, columns / latentChannels], data: basis.data };
    return new Map(
      [...tensors].map(([name, tensor]) => {
        if (name === 'global.basis') return [name, { ...basis, data: reorder(byChannel, 1, order).data }];
        if (name === 'latentMean') return [name, reorder(tensor, 2, order)];
        return [name, perRate.test(name) ? reorder(tensor, 0, order) : tensor];
      }),
    );
  }
  // The last conv of the encoder and the first of the decoder; conv weights are [kh,kw,Cin,Cout].
  const numberOf = (name: string): number => Number(name.split('.')[1]);
  const last = [...tensors.keys()]
    .filter((name) => /^encoder\.\d+\.weight$/.test(name))
    .sort((a, b) => numberOf(a) - numberOf(b)) // files have names in the order of the alphabet
    .at(-1);
  if (!last || scales.some(Number.isNaN)) throw new CheckpointError('not the tensors of an autoencoder');
  const axes = new Map([
    [last, 3],
    [last.replace('weight', 'bias'), 0],
    ['latentMean', 2],
    ['decoder.0.weight', 2],
  ]);
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const axis = perRate.test(name) ? 0 : axes.get(name);
      return [name, axis === undefined ? tensor : reorder(tensor, axis, order)];
    }),
  );
}
