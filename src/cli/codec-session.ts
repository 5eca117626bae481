import { join } from 'node:path';
import { FaceCodec, modelIdOf } from '../codec/face-codec.js';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../data/align.js';
import type { Gpu } from '../gpu/gpu.js';
import { openGpu } from '../gpu/node/adapters.js';
import type { AutoencoderConfig } from '../models/autoencoder.js';
import { readAutoencoder } from '../models/model-file.js';
import { PACKAGE_ROOT } from './package-root.js';
import { readRegularFile } from './read-file.js';

const MAX_WEIGHTS_BYTES = 2 ** 30;

/** Faces in one batch: enough to keep a GPU busy, and little enough memory for a CPU. */
export const BATCH = 16;

/** Where the weights lie: --model, else CAMEO_MODEL, else those that ship with the package. */
export function weightsPath(option?: string): string {
  return option ?? (process.env.CAMEO_MODEL || join(PACKAGE_ROOT, 'models', 'codec.safetensors'));
}

/** A weights file that has been read and checked, but is on no GPU. */
export interface Weights {
  path: string;
  bytes: Uint8Array;
  /** 8 hexadecimal digits. */
  modelId: string;
  config: AutoencoderConfig;
}

/**
 * @param option value of --model
 * @throws FileError, or CheckpointError for a file that holds no autoencoder for faces of 96×112
 */
export async function readWeights(option?: string): Promise<Weights> {
  const path = weightsPath(option);
  const bytes = await readRegularFile(path, MAX_WEIGHTS_BYTES);
  const { config, modelId } = named(path, () => {
    const file = readAutoencoder(bytes);
    return { config: file.config, modelId: modelIdOf(file) };
  });
  if (config.width !== FACE_WIDTH || config.height !== FACE_HEIGHT) {
    const size = `${config.width}×${config.height}`;
    throw new CheckpointError(
      `${path}: a model for pictures of ${size}; expected ${FACE_WIDTH}×${FACE_HEIGHT} (width×height)`,
    );
  }
  return { path, bytes, modelId, config };
}

/** @throws ArgumentError for a rate that the model has not */
export function checkRate({ config }: Weights, rate: number): void {
  if (rate >= config.rates) {
    throw new ArgumentError(`--rate ${rate}: this model has rates 0 (smallest files) to ${config.rates - 1}`);
  }
}

/** A codec that opens its GPU when it is first needed: a batch with no readable input needs none. */
export class CodecSession {
  #opened: Promise<{ gpu: Gpu; codec: FaceCodec }> | undefined;

  constructor(readonly weights: Weights) {}

  /** @throws NoAdapterError, CheckpointError */
  async codec(): Promise<FaceCodec> {
    return (await this.#open()).codec;
  }

  async gpu(): Promise<Gpu> {
    return (await this.#open()).gpu;
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.codec.dispose();
    opened?.gpu.destroy();
  }

  #open() {
    this.#opened ??= (async () => {
      const gpu = await openGpu();
      try {
        return { gpu, codec: named(this.weights.path, () => FaceCodec.fromWeights(gpu, this.weights.bytes)) };
      } catch (error) {
        gpu.destroy();
        throw error;
      }
    })();
    return this.#opened;
  }
}

/** Puts the path before the message of a CheckpointError, which does not know it. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
