import { AutoencoderCodec } from '../codec/autoencoder-codec.js';
import { FaceCodec } from '../codec/face-codec.js';
import { named } from '../data/checkpoints/weights-file.js';
import type { Gpu } from '../gpu/gpu.js';
import { openDevice } from './device.js';
import {
  areShipped,
  type CodecKind,
  chosenWeights,
  expectKind,
  readWeights,
  type Weights,
  type WeightsOf,
  weightsPath,
} from './weights.js';

/**
 * The codecs of one run. Weights that the user chose are for one codec, and are used for all files. Without them, each codec
 * uses the shipped weights. Weights are read and the GPU is opened when first needed: a batch without readable input needs none.
 */
export class CodecSession {
  #weights: { [K in CodecKind]?: Promise<WeightsOf<K>> } = {};
  #gpu: Promise<Gpu> | undefined;
  #codec: Promise<FaceCodec> | undefined;
  #autoencoder: Promise<AutoencoderCodec> | undefined;

  private constructor(readonly chosen: Weights | undefined) {}

  /**
   * @param option value of --model
   * @throws FileError, CheckpointError if the weights that the user chose cannot be read
   */
  static async open(option?: string): Promise<CodecSession> {
    const path = chosenWeights(option);
    return new CodecSession(path === undefined ? undefined : await readWeights(path));
  }

  /** The default codec. */
  get defaultKind(): CodecKind {
    return this.chosen?.kind ?? (areShipped('codec') ? 'codec' : 'autoencoder');
  }

  /** @throws FileError if there are none, CheckpointError for weights of the other codec */
  weights<K extends CodecKind>(kind: K): Promise<WeightsOf<K>> {
    const read = async () => expectKind(this.chosen ?? (await readWeights(weightsPath(undefined, kind))), kind);
    const all = this.#weights as Record<CodecKind, Promise<WeightsOf<K>> | undefined>;
    all[kind] ??= read();
    return all[kind];
  }

  /** @throws NoAdapterError */
  gpu(): Promise<Gpu> {
    this.#gpu ??= openDevice();
    return this.#gpu;
  }

  /** @throws NoAdapterError, and as `weights` */
  faceCodec(): Promise<FaceCodec> {
    this.#codec ??= (async () => {
      const { path, file } = await this.weights('codec');
      const gpu = await this.gpu();
      return named(path, () => FaceCodec.fromKlt(gpu, file));
    })();
    return this.#codec;
  }

  /** @throws NoAdapterError, and as `weights` */
  autoencoderCodec(): Promise<AutoencoderCodec> {
    this.#autoencoder ??= (async () => {
      const { path, bytes } = await this.weights('autoencoder');
      const gpu = await this.gpu();
      return named(path, () => AutoencoderCodec.fromWeights(gpu, bytes));
    })();
    return this.#autoencoder;
  }

  async close(): Promise<void> {
    for (const codec of [this.#codec, this.#autoencoder]) (await codec?.catch(() => undefined))?.dispose();
    (await this.#gpu?.catch(() => undefined))?.destroy();
  }
}
