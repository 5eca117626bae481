import { modelIdOf } from '../codec/autoencoder-codec.js';
import { readKlt } from '../codec/codec-weights.js';
import { crc32 } from '../codec/crc32.js';
import { QUANTIZED_FROM } from '../codec/quantized-from.js';
import { ArgumentError } from '../common/errors.js';
import { sizeOf } from '../common/shapes.js';
import type { AutoencoderConfig } from '../models/autoencoder.js';
import { isKltFile } from '../models/klt-file.js';
import { isAutoencoderFile, readAutoencoder } from '../models/model-file.js';
import { checkFiniteTensors, type HostTensor, type HostTensors } from '../nn/host-tensor.js';
import { INT8_KEY, type Int8Parts, splitInt8 } from '../nn/int8-tensors.js';
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from '../nn/safetensors.js';
import { LOGISTIC_DEVIATION } from './components/logistic-deviation.js';

/** How the weights of layers are stored. */
export type WeightBits = 8 | 16;

export interface WeightQuantization {
  /** Bits of a weight of a layer. Biases, batch norm and tables stay as they are. */
  bits: WeightBits;
  /** Components of each half, from the first, that are kept as F16: errors in them show most. */
  leading?: number;
  /** Step of a component's entries, times the component's standard deviation; pixels are of 0 to 1. */
  componentStep?: number;
}

/** Chosen on split `val`: see models/face.md. */
export const COMPONENT_DEFAULTS = { leading: 64, componentStep: 4e-4 };

/** Tensors that are smaller stay F32. */
const MIN_VALUES = 512;

/**
 * A weights file in fewer bytes. The principal components of the codec and of the autoencoder get 8 bits an entry, and the leading ones 16: a component of standard
 * deviation s that is wrong by e shifts pixels by s·e, so the steps are in proportion to 1/s.
 * The files of codecs name the network that they were made from, whose faces they decode as well.
 * @param bytes any weights file of ours, as training writes it
 * @throws CheckpointError for a file that is none; ArgumentError for one that is quantised already
 */
export function quantizeWeights(bytes: Uint8Array, options: WeightQuantization): Uint8Array {
  const stored = readSafetensorsMetadata(bytes);
  if (stored.has(INT8_KEY) || stored.has(QUANTIZED_FROM)) {
    throw new ArgumentError('the weights are quantised already; expected those that training wrote');
  }
  const { tensors, metadata } = readSafetensors(bytes);
  checkFiniteTensors(tensors);
  const file: StoredFile = { tensors: new Map(tensors), metadata: new Map(metadata), half: new Set(), int8: new Set() };
  if (isKltFile(metadata)) {
    file.metadata.set(QUANTIZED_FROM, hex(crc32(writeSafetensors(readKlt(bytes).tensors))));
    quantizeComponents(file, { ...COMPONENT_DEFAULTS, ...options });
  } else if (isAutoencoderFile(metadata)) {
    const autoencoder = readAutoencoder(bytes);
    file.metadata.set(QUANTIZED_FROM, modelIdOf(autoencoder));
    if (tensors.has('global.basis')) quantizeBasis(file, autoencoder.config, options.componentStep);
  }
  for (const [name, tensor] of tensors) {
    if (!file.tensors.has(name) || file.half.has(name) || name.startsWith('latents.')) continue;
    if (tensor.shape.length < 2 || sizeOf(tensor.shape) < MIN_VALUES) continue;
    if (options.bits === 16) file.half.add(name);
    else replace(file, name, splitInt8(name, tensor));
  }
  return writeSafetensors(file.tensors, file.metadata, file.half, file.int8);
}

interface StoredFile {
  tensors: HostTensors;
  metadata: Map<string, string>;
  half: Set<string>;
  int8: Set<string>;
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** Puts the parts of a tensor in its place. */
function replace({ tensors, metadata, half, int8 }: StoredFile, name: string, parts: Int8Parts): void {
  tensors.delete(name);
  for (const [part, tensor] of parts.tensors) tensors.set(part, tensor);
  for (const part of parts.half) half.add(part);
  for (const part of parts.int8) int8.add(part);
  metadata.set(...parts.metadata);
}

/** The kernel of the autoencoder that covers the whole face: as the codec's components, with the first channel as F16. */
function quantizeBasis(
  file: StoredFile,
  { latentChannels, rates }: AutoencoderConfig,
  componentStep = COMPONENT_DEFAULTS.componentStep,
): void {
  const basis = file.tensors.get('global.basis')!;
  const [logScale, logGain] = ['logScale', 'logGain'].map((name) => file.tensors.get(`${name}${rates - 1}`)!.data);
  const channelSize = basis.shape[1] / latentChannels;
  // The highest rate uses the most channels. Pictures are of −1 to 1 here, so steps are twice as large.
  const steps = Float64Array.from({ length: basis.shape[1] - channelSize }, (_, k) => {
    const channel = 1 + Math.floor(k / channelSize);
    return (2 * componentStep) / (Math.exp(logScale[channel] - logGain[channel]) * LOGISTIC_DEVIATION);
  });
  replace(file, 'global.basis', splitInt8('global.basis', basis, channelSize, steps));
  // A mean that is wrong shifts every face, and a weight that is wrong every step.
  for (const name of ['global.mean', 'global.weight']) if (file.tensors.has(name)) file.half.add(name);
}

function quantizeComponents(
  file: StoredFile,
  { leading, componentStep }: { leading: number; componentStep: number },
): void {
  const logScale = file.tensors.get('logScale')!.data;
  let start = 0;
  for (const name of ['symmetric', 'antisymmetric']) {
    const tensor: HostTensor = file.tensors.get(name)!;
    const count = tensor.shape[1];
    const first = Math.min(leading, count - 1);
    const deviations = logScale.subarray(start + first, start + count).map((log) => Math.exp(log) * LOGISTIC_DEVIATION);
    start += count;
    replace(
      file,
      name,
      splitInt8(
        name,
        tensor,
        first,
        deviations.map((deviation) => componentStep / deviation),
      ),
    );
  }
}
