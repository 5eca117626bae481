import type { FaceSymbols } from '../src/codec/container/face-code.js';
import type { FaceCodec } from '../src/codec/face-codec.js';
import { CounterRandom } from '../src/common/random.js';
import type { HostTensors } from '../src/nn/host-tensor.js';

/** Quantization index, number of components that are drawn, and their spread relative to that of real faces. */
const [Q_INDEX, DRAWN, SPREAD] = [30, 300, 1.1];

/**
 * Symbols of persons who do not exist, one for each seed. The components of largest spread are drawn from normal distributions; the codec's tables
 * give their standard deviations.
 * @param tensors those of the codec's weights file
 */
export function inventSymbols(codec: FaceCodec, tensors: HostTensors, seeds: readonly number[]): FaceSymbols[] {
  const valuesOf = (name: string): Float32Array => tensors.get(name)!.data;
  const gain = 2 ** (Q_INDEX / 8);
  const scales = Float64Array.from(
    codec.tables.order,
    (k) => Math.exp(valuesOf('logScale')[k] + valuesOf('logGain')[k]) * gain,
  );
  const largest = [...scales.keys()].sort((a, b) => scales[b] - scales[a]).slice(0, DRAWN);
  return seeds.map((seed) => {
    const random = new CounterRandom(seed);
    const symbols = new Int16Array(scales.length);
    for (const k of largest) symbols[k] = Math.round(random.normal() * SPREAD * scales[k]);
    return { symbols, qIndex: Q_INDEX, grey: false };
  });
}
