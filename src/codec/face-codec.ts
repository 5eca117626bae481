import { ArgumentError, FormatError, ModelMismatchError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Autoencoder } from '../models/autoencoder.js';
import { type AutoencoderFile, loadAutoencoder, readAutoencoder } from '../models/model-file.js';
import { writeSafetensors } from '../nn/safetensors.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { crc32 } from './crc32.js';
import { latentsFromSymbols, symbolsOf } from './latents.js';
import { packLatentsPng, unpackLatentsPng } from './png-container.js';

/**
 * The id that binds a file to the weights it needs: CRC-32 of all tensors (names, shapes and values; not the metadata),
 * as 8 hexadecimal digits.
 */
export function modelIdOf(file: AutoencoderFile): string {
  return crc32(writeSafetensors(file.tensors)).toString(16).padStart(8, '0');
}

/** Encodes aligned faces to small files and back, with one model on one GPU. */
export class FaceCodec {
  private constructor(
    private readonly gpu: Gpu,
    readonly model: Autoencoder,
    /** 8 hexadecimal digits. */
    readonly modelId: string,
  ) {}

  /**
   * @param safetensors a weights file as `cameo train codec` writes it
   * @throws CheckpointError for a file that is none, or does not fit its own architecture
   */
  static fromWeights(gpu: Gpu, safetensors: Uint8Array): FaceCodec {
    const file = readAutoencoder(safetensors);
    return new FaceCodec(gpu, loadAutoencoder(gpu, file), modelIdOf(file));
  }

  /** Number of rates; 0 makes the smallest files. */
  get rates(): number {
    return this.model.config.rates;
  }

  /** Picture size in pixels: the faces of `encode` are RGB, row by row, 3 bytes a pixel. */
  get faceSize(): { width: number; height: number; bytes: number } {
    const { width, height } = this.model.config;
    return { width, height, bytes: 3 * width * height };
  }

  /**
   * Faces to compact files (valid PNGs), all in one batch: 16 at a time is a good number.
   * @throws ArgumentError for a face of another size, or a rate the model has not
   */
  async encode(faces: readonly Uint8Array[], rate: number): Promise<Uint8Array[]> {
    if (faces.length === 0) return [];
    const { width, height, bytes } = this.faceSize;
    const pixels = new Float32Array(faces.length * bytes);
    faces.forEach((face, k) => {
      if (face.length !== bytes) {
        throw new ArgumentError(`face ${k} has ${face.length} bytes; ${width}×${height} RGB has ${bytes}`);
      }
      for (let i = 0; i < bytes; i++) pixels[k * bytes + i] = face[i] / 255;
    });
    const symbols = scope(this.gpu, () =>
      this.model.compress(Tensor.from(this.gpu, pixels, [faces.length, height, width, 3]), rate),
    );
    try {
      const values = await symbols.read();
      const [, h, w, c] = symbols.shape;
      return faces.map((_, k) => {
        const one = values.subarray(k * h * w * c, (k + 1) * h * w * c);
        return packLatentsPng(latentsFromSymbols(one, h, w, c), { modelId: this.modelId, rate });
      });
    } finally {
      symbols.dispose();
    }
  }

  /**
   * Compact files to faces, all in one batch.
   * @throws FormatError for a file that is damaged or none of ours, ModelMismatchError for one of another model
   */
  async decode(files: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const faces: Uint8Array[] = new Array(files.length);
    const byRate = new Map<number, number[]>();
    const unpacked = files.map((file, k) => {
      const one = this.unpack(file);
      const batch = byRate.get(one.rate);
      if (batch) batch.push(k);
      else byRate.set(one.rate, [k]);
      return one.symbols;
    });
    const [h, w] = this.model.latentSize;
    const c = this.model.config.latentChannels;
    for (const [rate, indices] of byRate) {
      const symbols = new Float32Array(indices.length * h * w * c);
      indices.forEach((k, i) => {
        symbols.set(unpacked[k], i * h * w * c);
      });
      const pixels = scope(this.gpu, () =>
        this.model.restore(Tensor.from(this.gpu, symbols, [indices.length, h, w, c]), rate),
      );
      try {
        const values = await pixels.read();
        const { bytes } = this.faceSize;
        indices.forEach((k, i) => {
          faces[k] = Uint8Array.from({ length: bytes }, (_, at) => Math.round(values[i * bytes + at] * 255));
        });
      } finally {
        pixels.dispose();
      }
    }
    return faces;
  }

  /**
   * Takes a file apart and checks that this model can decode it, without the GPU: with this a batch is freed of its bad
   * files.
   * @throws FormatError for a file that is damaged or none of ours, ModelMismatchError for one of another model
   */
  unpack(file: Uint8Array): { rate: number; symbols: Float32Array } {
    const { latents, modelId, rate } = unpackLatentsPng(file);
    if (modelId !== this.modelId) {
      throw new ModelMismatchError(`the file was made by model ${modelId}; the model loaded is ${this.modelId}`);
    }
    const [h, w] = this.model.latentSize;
    const c = this.model.config.latentChannels;
    if (latents.height !== h || latents.width !== w || latents.channels !== c) {
      const size = `${latents.height}×${latents.width}×${latents.channels}`;
      throw new FormatError(`latents of ${size}; this model has ${h}×${w}×${c}`);
    }
    if (rate >= this.rates) throw new FormatError(`rate ${rate}; this model has rates 0 to ${this.rates - 1}`);
    return { rate, symbols: symbolsOf(latents) };
  }

  /** Frees the model's memory. */
  dispose(): void {
    this.model.dispose();
  }
}
