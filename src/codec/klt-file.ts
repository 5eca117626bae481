import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import type { Gpu } from '../gpu/gpu.js';
import { KltAutoencoder, type KltConfig } from '../models/klt-autoencoder.js';
import { checkFinite, type HostTensors, withoutPrefix, withPrefix } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { crc32 } from './crc32.js';
import { LatentModel } from './entropy/latent-model.js';

const ARCHITECTURE_KEY = 'cameo.klt-autoencoder';
const LATENTS = 'latents.';
const ORDER = 'latentOrder';
/** The large matrices; with 11 bits a value their errors stay far below a quantization step. */
const HALF = new Set(['symmetric', 'antisymmetric']);

/** What the entropy coder needs beside the network. */
export interface KltTables {
  model: LatentModel;
  /** The component of each symbol, [symbols]. */
  order: Int32Array;
}

export interface KltFile {
  config: KltConfig;
  /** Of the network alone. */
  tensors: HostTensors;
  /** Null in a file of training, which makes no streams. */
  tables: KltTables | null;
  metadata: Map<string, string>;
}

/**
 * A KLT autoencoder's weights as a safetensors file, with the architecture (and other text) in its metadata.
 * @param tables of the entropy coder, where they have been fitted
 */
export function writeKlt(
  config: KltConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
  tables: KltTables | null = null,
): Uint8Array {
  const text = new Map(Object.entries({ ...metadata, [ARCHITECTURE_KEY]: JSON.stringify(config) }));
  const all: HostTensors = new Map(tensors);
  if (tables) {
    for (const [name, tensor] of withPrefix(tables.model.toTensors(), LATENTS)) all.set(name, tensor);
    all.set(ORDER, { shape: [tables.order.length], data: Float32Array.from(tables.order) });
  }
  return writeSafetensors(all, text, HALF);
}

/** Whether a safetensors file holds such a network, and not one of another kind. */
export const isKltFile = (metadata: ReadonlyMap<string, string>): boolean => metadata.has(ARCHITECTURE_KEY);

/** @throws CheckpointError for a file that is no KLT autoencoder of ours, or whose tables do not fit it */
export function readKlt(bytes: Uint8Array): KltFile {
  const { tensors: all, metadata } = readSafetensors(bytes);
  checkFinite(all);
  const text = metadata.get(ARCHITECTURE_KEY);
  if (!text) throw new CheckpointError(`not weights of a KLT autoencoder: metadata "${ARCHITECTURE_KEY}" is missing`);
  let config: KltConfig;
  let count: number;
  try {
    const network = new KltAutoencoder(parseProgramJson(text, 'it') as KltConfig); // checks it
    config = network.config;
    count = network.latentCount;
  } catch (cause) {
    throw new CheckpointError(`metadata "${ARCHITECTURE_KEY}" describes no network: ${(cause as Error).message}`, {
      cause,
    });
  }
  const ofTables = (name: string): boolean => name === ORDER || name.startsWith(LATENTS);
  const tensors: HostTensors = new Map([...all].filter(([name]) => !ofTables(name)));
  const order = all.get(ORDER);
  if (!order) return { config, tensors, tables: null, metadata };
  const model = LatentModel.fromTensors(withoutPrefix(all, LATENTS), crc32(writeSafetensors(tensors)));
  const { steps } = model.fields;
  if (model.latents !== count || steps !== config.steps) {
    throw new CheckpointError(
      `the tables are of ${model.latents} symbols and ${steps} steps, the network has ${count} and ${config.steps}`,
    );
  }
  const places = [...order.data];
  if (
    places.length !== count ||
    new Set(places).size !== count ||
    places.some((k) => !(k >= 0 && k < count) || k % 1)
  ) {
    throw new CheckpointError(`${ORDER} must name each of ${count} components once`);
  }
  return { config, tensors, tables: { model, order: Int32Array.from(places) }, metadata };
}

/** @throws CheckpointError for weights without tables */
export function tablesOf({ tables }: KltFile): KltTables {
  if (tables) return tables;
  throw new CheckpointError('the weights have no tables for the entropy coder: make them with `cameo train tables`');
}

/** The network of a weights file, on a GPU and in evaluation mode. */
export function loadKlt(gpu: Gpu, file: KltFile): KltAutoencoder {
  const model = new KltAutoencoder(file.config).prepare(gpu);
  loadState(model, file.tensors, gpu);
  model.eval();
  return model;
}
