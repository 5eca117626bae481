import { ArgumentError, FormatError, ModelMismatchError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Autoencoder } from '../models/autoencoder.js';
import { checkResults } from '../models/finite-results.js';
import { type AutoencoderFile, loadAutoencoder, readAutoencoder } from '../models/model-file.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { writeSafetensors } from '../nn/safetensors.js';
import { inferenceOps } from '../ops/inference-reference.js';
import { Tape } from '../ops/tape.js';
import { type NdArray, ndarray } from '../reference/ndarray.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { assertReplayable, replayInFloat64 } from '../tensor/replay.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { codecBatch } from './codec-batch.js';
import { crc32 } from './crc32.js';
import { formatModelId } from './entropy/latent-model.js';
import { latentsFromSymbols, symbolsOf } from './latents.js';
import { packLatentsPng, unpackLatentsPng } from './png/container.js';
import { quantizedFrom } from './quantized-from.js';
import { isNearTie, roundToSymbols } from './rounding.js';

/**
 * The id that binds a file to the weights it needs: CRC-32 of all tensors (names, shapes and values; not the metadata),
 * as 8 hexadecimal digits.
 */
export function modelIdOf(file: AutoencoderFile): string {
  return formatModelId(crc32(writeSafetensors(file.tensors)));
}

/** Ids of the models whose files these weights decode: their own, then that of the weights they were quantised from. */
export const readableIdsOf = (file: AutoencoderFile): string[] => [
  modelIdOf(file),
  ...quantizedFrom(file.metadata).map(formatModelId),
];

/**
 * Encodes aligned faces to small files and back, with one model on one GPU. Faces go through the network in batches of one
 * fixed size, and the last batch is filled up: kernels are compiled for each shape, which can take longer than all the
 * work.
 */
export class AutoencoderCodec {
  readonly #batch: number;
  readonly #faces: Tensor;
  readonly #symbols: Tensor;
  /** One for each rate, recorded at its first use. With its tape, the same is computed in float64. */
  readonly #analyses = new Map<number, { tape: Tape; step: RecordedStep<{ x: Tensor }, { scaled: Tensor }> }>();
  readonly #restorations = new Map<number, RecordedStep<{ symbols: Tensor }, { pixels: Tensor }>>();
  #parameters: Promise<Map<Tensor, NdArray>> | undefined;

  private constructor(
    private readonly gpu: Gpu,
    readonly model: Autoencoder,
    /** 8 hexadecimal digits each. */
    private readonly readableIds: readonly string[],
  ) {
    this.#batch = codecBatch(gpu);
    const { width, height, latentChannels } = model.config;
    this.#faces = keep(Tensor.zeros(gpu, [this.#batch, height, width, 3]));
    this.#symbols = keep(Tensor.zeros(gpu, [this.#batch, ...model.latentSize, latentChannels]));
  }

  /**
   * @param safetensors a weights file as `cameo train autoencoder` writes it
   * @throws CheckpointError for a file that is not one, or does not fit its own architecture
   */
  static fromWeights(gpu: Gpu, safetensors: Uint8Array): AutoencoderCodec {
    const file = readAutoencoder(safetensors);
    return new AutoencoderCodec(gpu, loadAutoencoder(gpu, file), readableIdsOf(file));
  }

  /** Id of the weights, 8 hexadecimal digits. */
  get modelId(): string {
    return this.readableIds[0];
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
   * Faces to compact files (valid PNGs). The file of a face is the same on every adapter, and with any other faces in the batch:
   * where float32 cannot decide how to round a value, float64 on the CPU decides.
   * @throws ArgumentError for a face of another size, a rate that the model does not have, or a GPU of precision f16, whose rounding
   * would make other files
   */
  async encode(faces: readonly Uint8Array[], rate: number): Promise<Uint8Array[]> {
    if (this.gpu.limits.precision === 'f16') {
      throw new ArgumentError('encode needs a GPU of precision "f32": a face has the same file on every adapter');
    }
    const { bytes } = this.faceSize;
    faces.forEach((face, k) => {
      if (face.length !== bytes) {
        const { width, height } = this.faceSize;
        throw new ArgumentError(`face ${k} has ${face.length} bytes; ${width}×${height} RGB has ${bytes}`);
      }
    });
    const [h, w] = this.model.latentSize;
    const c = this.model.config.latentChannels;
    const files: Uint8Array[] = [];
    for (let first = 0; first < faces.length; first += this.#batch) {
      for (const symbols of await this.#analyse(faces.slice(first, first + this.#batch), rate)) {
        files.push(packLatentsPng(latentsFromSymbols(symbols, h, w, c), { modelId: this.modelId, rate }));
      }
    }
    return files;
  }

  /**
   * Compact files to faces. Pixels may differ by one level between adapters, and by more with half precision (`precision` f16).
   * @throws FormatError for a file that is damaged or of another format, ModelMismatchError for one of another model
   */
  async decode(files: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const faces: Uint8Array[] = new Array(files.length);
    const unpacked = files.map((file) => this.unpack(file));
    for (const rate of new Set(unpacked.map((one) => one.rate))) {
      const indices = [...unpacked.keys()].filter((k) => unpacked[k].rate === rate);
      for (let first = 0; first < indices.length; first += this.#batch) {
        const batch = indices.slice(first, first + this.#batch);
        const restored = await this.#restore(
          batch.map((k) => unpacked[k].symbols),
          rate,
        );
        batch.forEach((k, i) => {
          faces[k] = restored[i];
        });
      }
    }
    return faces;
  }

  /**
   * Unpacks a file and checks that this model can decode it, without the GPU. So bad files can be left out of a batch
   * before it is decoded.
   * @throws FormatError for a file that is damaged or of another format, ModelMismatchError for one of another model
   */
  unpack(file: Uint8Array): { rate: number; symbols: Float32Array } {
    const { latents, modelId, rate } = unpackLatentsPng(file);
    if (!this.readableIds.includes(modelId)) {
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

  /** Frees the model's memory and that of the passes. */
  dispose(): void {
    for (const { step } of this.#analyses.values()) step.dispose();
    for (const step of this.#restorations.values()) step.dispose();
    this.#faces.dispose();
    this.#symbols.dispose();
    this.model.dispose();
  }

  /** One batch of faces to symbols. */
  async #analyse(faces: readonly Uint8Array[], rate: number): Promise<Float32Array[]> {
    const { width, height, bytes } = this.faceSize;
    const pixels = new Float32Array(this.#batch * bytes);
    writeUnitPixels(faces, pixels);
    const { tape, step } = this.#analysisAt(rate);
    step.inputs.x.write(pixels);
    step.run();
    const { scaled } = step.outputs;
    const values = await scaled.read();
    const size = values.length / this.#batch;
    checkResults('encode: the symbols', values, faces.length, size);
    const symbols: Float32Array[] = [];
    for (const k of faces.keys()) {
      const own = values.subarray(k * size, (k + 1) * size);
      if (isNearTie(own)) {
        const face = ndarray([1, height, width, 3], pixels.subarray(k * bytes, (k + 1) * bytes));
        const leaves = new Map([...(await this.#parameterValues()), [step.inputs.x, face] as const]);
        symbols.push(roundToSymbols(replayInFloat64(tape, inferenceOps, leaves).get(scaled)!.data));
      } else {
        symbols.push(roundToSymbols(own));
      }
    }
    return symbols;
  }

  #analysisAt(rate: number) {
    let analysis = this.#analyses.get(rate);
    if (!analysis) {
      const tape = new Tape();
      const step = recordStep(this.gpu, { x: this.#faces }, ({ x }) => ({
        scaled: tape.record(() => this.model.analyse(x, rate)),
      }));
      assertReplayable(tape, inferenceOps); // now, not only at the first face that has a value between two symbols
      analysis = { tape, step };
      this.#analyses.set(rate, analysis);
    }
    return analysis;
  }

  /** One batch of symbols to faces. */
  async #restore(symbols: readonly Float32Array[], rate: number): Promise<Uint8Array[]> {
    const [h, w] = this.model.latentSize;
    const c = this.model.config.latentChannels;
    const all = new Float32Array(this.#batch * h * w * c);
    symbols.forEach((one, k) => {
      all.set(one, k * h * w * c);
    });
    let step = this.#restorations.get(rate);
    if (!step) {
      const inputs = { symbols: this.#symbols };
      step = recordStep(this.gpu, inputs, (own) => ({ pixels: this.model.restore(own.symbols, rate) }));
      this.#restorations.set(rate, step);
    }
    step.inputs.symbols.write(all);
    step.run();
    const values = await step.outputs.pixels.read();
    const { bytes } = this.faceSize;
    checkResults('decode: the pixels', values, symbols.length, bytes);
    return symbols.map((_, k) =>
      Uint8Array.from({ length: bytes }, (_, at) => Math.round(values[k * bytes + at] * 255)),
    );
  }

  /** The model's tensors in float64, read once. */
  #parameterValues(): Promise<Map<Tensor, NdArray>> {
    this.#parameters ??= (async () => {
      const tensors = [...this.model.stateTensors().values()];
      const values = await Promise.all(tensors.map((tensor) => tensor.read()));
      return new Map(tensors.map((tensor, k) => [tensor, ndarray(tensor.shape, values[k])]));
    })();
    return this.#parameters;
  }
}
