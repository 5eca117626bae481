import { AutoencoderCodec } from '../codec/autoencoder-codec.js';
import { FaceCodec } from '../codec/face-codec.js';
import { EncodingCache } from '../evaluation/codecs/encoding-cache.js';
import { FOREIGN_CODECS } from '../evaluation/codecs/index.js';
import {
  autoencoderPngEncoder,
  baselineEncoder,
  cameoEncoder,
  cameoPngEncoder,
  type FaceEncoder,
} from '../evaluation/comparison/face-encoders.js';
import { OWN } from '../evaluation/comparison/judge.js';
import type { Gpu } from '../gpu/gpu.js';
import {
  AUTOENCODER_PNG,
  autoencoderWeights,
  type CodecsInputs,
  type CodecsRequest,
  OWN_CODECS,
} from './codecs-request.js';
import { encodingsFolder } from './places.js';
import type { AutoencoderWeights } from './weights.js';

/** The codecs of a comparison, each opened when first needed. */
export class ComparedCodecs {
  /** Our own. */
  readonly cameo: FaceCodec;
  /** Other weights of it or of the autoencoder, in the order of the request's. */
  readonly extraModels: (FaceCodec | AutoencoderCodec)[];
  readonly #cache = new EncodingCache(encodingsFolder());
  readonly #opened = new Map<string, Promise<FaceEncoder>>();
  #autoencoder: AutoencoderCodec | null = null;
  #autoencoderWeights: AutoencoderWeights | null = null;

  constructor(
    private readonly gpu: Gpu,
    private readonly inputs: CodecsInputs,
    private readonly signal: AbortSignal,
  ) {
    this.cameo = FaceCodec.fromKlt(gpu, inputs.weights.file);
    this.extraModels = inputs.extraModels.map((weights) =>
      weights.kind === 'codec'
        ? FaceCodec.fromKlt(gpu, weights.file)
        : AutoencoderCodec.fromWeights(gpu, weights.bytes),
    );
  }

  /** Those that the request names, in its order. */
  async asked({ codecs, extraModels }: CodecsRequest): Promise<FaceEncoder[]> {
    const encoders: FaceEncoder[] = [];
    for (const { name, budgets } of codecs) encoders.push({ ...(await this.#encoder(name)), budgets });
    extraModels.forEach(({ name, budgets }, k) => {
      const model = this.extraModels[k];
      const encoder =
        model instanceof FaceCodec
          ? cameoEncoder(model, this.#cache, `Cameo, ${name}`, encoderNameOf(model, name))
          : autoencoderPngEncoder(model, this.#cache, `Autoencoder, PNG, ${name}`, encoderNameOf(model, name));
      encoders.push({ ...encoder, budgets });
    });
    return encoders;
  }

  /** Name of the encoder that others are compared with: that of an extra model where one has the name, else of a codec. */
  referenceOf({ reference, extraModels }: CodecsRequest): string {
    const k = extraModels.findIndex(({ name }) => name === reference);
    return k < 0 ? reference : encoderNameOf(this.extraModels[k], reference);
  }

  /** Every codec that an earlier report may have rows for. @param autoencoder whether the autoencoder is among them */
  every(autoencoder: boolean): Promise<FaceEncoder[]> {
    const names = [...FOREIGN_CODECS.map(({ name }) => name), ...OWN_CODECS, ...(autoencoder ? [AUTOENCODER_PNG] : [])];
    return Promise.all(names.map((name) => this.#encoder(name)));
  }

  /** The shipped autoencoder's weights, if it takes part; known after `asked` and `every`. */
  get autoencoder(): AutoencoderWeights | null {
    return this.#autoencoderWeights;
  }

  dispose(): void {
    for (const codec of [this.cameo, ...this.extraModels, this.#autoencoder]) codec?.dispose();
  }

  #encoder(name: string): Promise<FaceEncoder> {
    const encoder = this.#opened.get(name) ?? this.#open(name);
    this.#opened.set(name, encoder);
    return encoder;
  }

  async #open(name: string): Promise<FaceEncoder> {
    if (name === 'cameo') return cameoEncoder(this.cameo, this.#cache);
    if (name === 'cameo-png') return cameoPngEncoder(this.cameo, this.#cache);
    if (name === AUTOENCODER_PNG) {
      const weights = this.inputs.autoencoder ?? (await autoencoderWeights());
      this.#autoencoderWeights = weights;
      this.#autoencoder = AutoencoderCodec.fromWeights(this.gpu, weights.bytes);
      return autoencoderPngEncoder(this.#autoencoder, this.#cache);
    }
    return baselineEncoder(FOREIGN_CODECS.find((codec) => codec.name === name)!, this.#cache, this.signal);
  }
}

const encoderNameOf = (model: FaceCodec | AutoencoderCodec, name: string): string =>
  `${model instanceof FaceCodec ? OWN : AUTOENCODER_PNG}-${name}`;
