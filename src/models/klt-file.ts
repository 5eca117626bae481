import { CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { HostTensors } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { KltAutoencoder, type KltConfig } from './klt-autoencoder.js';

const ARCHITECTURE_KEY = 'cameo.klt-autoencoder';
/** The large matrices; with 11 bits a value their errors stay far below a quantization step. */
const HALF = new Set(['symmetric', 'antisymmetric']);

export interface KltFile {
  config: KltConfig;
  tensors: HostTensors;
  metadata: Map<string, string>;
}

/** A KLT autoencoder's weights as a safetensors file, with the architecture (and other text) in its metadata. */
export function writeKlt(
  config: KltConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const text = new Map(Object.entries({ ...metadata, [ARCHITECTURE_KEY]: JSON.stringify(config) }));
  return writeSafetensors(tensors, text, HALF);
}

/** Whether a safetensors file holds such a network, and not one of another kind. */
export const isKltFile = (metadata: ReadonlyMap<string, string>): boolean => metadata.has(ARCHITECTURE_KEY);

/** @throws CheckpointError for a file that is no KLT autoencoder of ours */
export function readKlt(bytes: Uint8Array): KltFile {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata.get(ARCHITECTURE_KEY);
  if (!text) throw new CheckpointError(`not weights of a KLT autoencoder: metadata "${ARCHITECTURE_KEY}" is missing`);
  try {
    const config = new KltAutoencoder(JSON.parse(text)).config; // checks it
    return { config, tensors, metadata };
  } catch (cause) {
    throw new CheckpointError(
      `metadata "${ARCHITECTURE_KEY}" does not describe a network: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The network of a weights file, on a GPU and in evaluation mode. */
export function loadKlt(gpu: Gpu, file: KltFile): KltAutoencoder {
  const model = new KltAutoencoder(file.config).prepare(gpu);
  loadState(model, file.tensors, gpu);
  model.eval();
  return model;
}
