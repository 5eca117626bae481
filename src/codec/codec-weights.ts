import { CheckpointError } from '../common/errors.js';
import type { KltConfig } from '../models/klt-autoencoder.js';
import { type KltWeights, readKltWeights, writeKltWeights } from '../models/klt-file.js';
import { type HostTensors, withoutPrefix, withPrefix } from '../nn/host-tensor.js';
import { writeSafetensors } from '../nn/safetensors.js';
import { crc32 } from './crc32.js';
import { LatentModel } from './entropy/latent-model.js';
import { QUANTIZED_FROM, quantizedFrom } from './quantized-from.js';

const LATENTS = 'latents.';
const ORDER = 'latentOrder';

/** What the entropy coder needs in addition to the network. */
export interface KltTables {
  model: LatentModel;
  /** The component of each symbol, [symbols]. */
  order: Int32Array;
}

/** The weights of the codec for byte budgets. `tensors` are those of the network alone. */
export interface KltFile extends KltWeights {
  /** Null in a file of training, which cannot encode. */
  tables: KltTables | null;
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
  const { [QUANTIZED_FROM]: _, ...own } = metadata; // these tensors are whole
  const all: HostTensors = new Map(tensors);
  if (tables) {
    for (const [name, tensor] of withPrefix(tables.model.toTensors(), LATENTS)) all.set(name, tensor);
    all.set(ORDER, { shape: [tables.order.length], data: Float32Array.from(tables.order) });
  }
  return writeKltWeights(config, all, own);
}

/** @throws CheckpointError for a file that is not a KLT autoencoder, or whose tables do not fit it */
export function readKlt(bytes: Uint8Array): KltFile {
  const { config, tensors: all, metadata, latentCount: count } = readKltWeights(bytes);
  const ofTables = (name: string): boolean => name === ORDER || name.startsWith(LATENTS);
  const tensors: HostTensors = new Map([...all].filter(([name]) => !ofTables(name)));
  const order = all.get(ORDER);
  if (!order) return { config, tensors, tables: null, metadata };
  const network = crc32(writeSafetensors(tensors));
  const model = LatentModel.fromTensors(withoutPrefix(all, LATENTS), network, quantizedFrom(metadata));
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
