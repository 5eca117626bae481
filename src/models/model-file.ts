import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFiniteTensors, type HostTensors } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { Autoencoder, type AutoencoderConfig } from './autoencoder.js';

const ARCHITECTURE_KEY = 'cameo.autoencoder';

/** An autoencoder's weights as a safetensors file, with the architecture (and other text) in its metadata. */
export function writeAutoencoder(
  config: AutoencoderConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return writeSafetensors(
    tensors,
    new Map(Object.entries({ ...metadata, [ARCHITECTURE_KEY]: JSON.stringify(config) })),
  );
}

export interface AutoencoderFile {
  config: AutoencoderConfig;
  tensors: HostTensors;
  metadata: Map<string, string>;
}

/** Whether a safetensors file holds an autoencoder, and not another network. */
export const isAutoencoderFile = (metadata: ReadonlyMap<string, string>): boolean => metadata.has(ARCHITECTURE_KEY);

/** @throws CheckpointError for a file that is not an autoencoder */
export function readAutoencoder(bytes: Uint8Array): AutoencoderFile {
  const { tensors, metadata } = readSafetensors(bytes);
  checkFiniteTensors(tensors);
  const text = metadata.get(ARCHITECTURE_KEY);
  if (!text) throw new CheckpointError(`not weights of a Cameo autoencoder: metadata "${ARCHITECTURE_KEY}" is missing`);
  try {
    const config = new Autoencoder(parseProgramJson(text, 'it') as AutoencoderConfig).config; // checks it
    return { config, tensors, metadata };
  } catch (cause) {
    throw new CheckpointError(
      `metadata "${ARCHITECTURE_KEY}" does not describe a network: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

/** The network of a weights file, on a GPU and in evaluation mode. */
export function loadAutoencoder(gpu: Gpu, file: AutoencoderFile): Autoencoder {
  const model = new Autoencoder(file.config);
  loadState(model, file.tensors, gpu);
  model.eval();
  return model;
}
