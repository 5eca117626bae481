import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFiniteTensors, type HostTensors } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { KltAutoencoder, type KltConfig } from './klt-autoencoder.js';

const ARCHITECTURE_KEY = 'cameo.klt-autoencoder';
/** The large matrices; with 11 bits for each value, their errors stay far below a quantization step. */
const HALF = new Set(['symmetric', 'antisymmetric']);

/** A KLT autoencoder's weights. */
export interface KltWeights {
  config: KltConfig;
  tensors: HostTensors;
  metadata: Map<string, string>;
}

/**
 * A KLT autoencoder's weights as a safetensors file, with the architecture (and other text) in its metadata.
 * @param tensors of the network, and any others for the file
 */
export function writeKltWeights(
  config: KltConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const text = new Map(Object.entries({ ...metadata, [ARCHITECTURE_KEY]: JSON.stringify(config) }));
  return writeSafetensors(tensors, text, HALF);
}

/** Whether a safetensors file holds such a network. */
export const isKltFile = (metadata: ReadonlyMap<string, string>): boolean => metadata.has(ARCHITECTURE_KEY);

/**
 * @returns every tensor of the file, and the number of values that the network gives for a face
 * @throws CheckpointError for a file that is not a KLT autoencoder
 */
export function readKltWeights(bytes: Uint8Array): KltWeights & { latentCount: number } {
  const { tensors, metadata } = readSafetensors(bytes);
  checkFiniteTensors(tensors);
  const text = metadata.get(ARCHITECTURE_KEY);
  if (!text) throw new CheckpointError(`not weights of a KLT autoencoder: metadata "${ARCHITECTURE_KEY}" is missing`);
  try {
    const { config, latentCount } = new KltAutoencoder(parseProgramJson(text, 'it') as KltConfig); // checks it
    return { config, tensors, metadata, latentCount };
  } catch (cause) {
    throw new CheckpointError(`metadata "${ARCHITECTURE_KEY}" describes no network: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The network of a weights file, on a GPU and in evaluation mode. */
export function loadKlt(gpu: Gpu, { config, tensors }: Pick<KltWeights, 'config' | 'tensors'>): KltAutoencoder {
  const model = new KltAutoencoder(config).prepare(gpu);
  loadState(model, tensors, gpu);
  model.eval();
  return model;
}
