import { checkList, checkOptions, refuse } from '../common/arguments.js';
import { ArgumentError, DisposedError } from '../common/errors.js';
import { inOrder } from '../common/in-order.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkResults } from '../models/finite-results.js';
import { gainOf, type KltAutoencoder, logisticScales, quantizationInputs } from '../models/klt-autoencoder.js';
import { loadKlt } from '../models/klt-file.js';
import { pixelLevels, readLevels, writeUnitPixels } from '../models/unit-pixels.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { type ChosenSymbols, type CodedSymbols, FaceQuantizer, stepsInUnit } from './byte-budget.js';
import { codecBatches } from './codec-batch.js';
import { type KltFile, type KltTables, readKlt, tablesOf } from './codec-weights.js';
import { ARCHIVE_ENTRY_BYTES } from './container/archive-layout.js';
import { BARE_HEADER_BYTES, packFaceBare, unpackFaceBare } from './container/face-bare.js';
import type { DecodedFace, FaceSymbols } from './container/face-code.js';
import { FILE_HEADER_BYTES, isFaceFile, packFaceFile, unpackFaceFile } from './container/face-file.js';
import type { LatentModel } from './entropy/latent-model.js';
import { encodeLatents, valuesOfSymbols } from './entropy/latent-stream.js';
import { GpuTrellis } from './gpu-trellis.js';
import { searchTogether } from './search-together.js';

/** 'file' says by itself what it is; 'bare' takes 8 bytes less, for readers that know what it is. */
export type FaceContainer = 'file' | 'bare';

/** How large a face may get: the maximum bytes of its file; or its quality, as a quantization index. */
export type FaceTarget =
  | { maxBytes: number }
  | { qIndex: number }
  | {
      /** @deprecated Use `qIndex`. */
      step: number;
    };

/** The container of a face: its own, or an archive. In an archive, the face's index entry counts for its bytes; its name does not. */
export type AnyContainer = FaceContainer | 'archive';

/** Bytes of a face in addition to its code. */
export const HEADER_BYTES: Readonly<Record<AnyContainer, number>> = {
  file: FILE_HEADER_BYTES,
  bare: BARE_HEADER_BYTES,
  archive: ARCHIVE_ENTRY_BYTES,
};

/** The smallest budget that works for every face: the bytes of a face whose symbols are all 0. */
export function minFaceBytes(latents: LatentModel, container: AnyContainer): number {
  return HEADER_BYTES[container] + encodeLatents(new Int16Array(latents.latents), 0, latents).length;
}

/** @throws ArgumentError for a budget below what a face takes */
export function checkBudget(latents: LatentModel, bytes: number, container: AnyContainer): void {
  const min = minFaceBytes(latents, container);
  if (Number.isInteger(bytes) && bytes >= min) return;
  throw new ArgumentError(`a budget of ${bytes} bytes; expected an integer of at least ${min}`);
}

/** @throws ArgumentError for a value that is not a list of bytes */
function checkBytes(where: string, name: string, list: readonly Uint8Array[]): void {
  checkList(where, `${name}s`, list, 'an array');
  list.forEach((entry, k) => {
    if (!ArrayBuffer.isView(entry)) refuse(where, `${name} ${k}`, entry, 'bytes');
  });
}

/** @throws ArgumentError for an unknown target or container */
function checkTarget(target: FaceTarget, container: AnyContainer): void {
  const keys = Object.keys(checkOptions('encode', target, ['maxBytes', 'qIndex', 'step']));
  if (keys.length !== 1) refuse('encode', 'the target', target, '{ maxBytes } or { qIndex }');
  if (!(container in HEADER_BYTES)) refuse('encode', 'the container', container, Object.keys(HEADER_BYTES).join(', '));
}

/** Packs a face into a container of its own. */
export const packInto = (container: FaceContainer) => (container === 'file' ? packFaceFile : packFaceBare);

type AnalysisInputs = { x: Tensor; fineness: Tensor };
type RestorationInputs = { symbols: Tensor; logGain: Tensor; fineness: Tensor };
type Analysis = RecordedStep<AnalysisInputs, { values: Tensor }>;
type Restoration = RecordedStep<RestorationInputs, { levels: Tensor<'int32'> }>;

/** Faces that go through the network together. */
interface Batch<T> {
  faces: readonly T[];
  /** Faces that the pass computes, at least as many as there are. */
  size: number;
  /** Number of the first face. */
  first: number;
}

/** The index that a budget usually leads to; the analysis network gets it before the index is known. */
const expectedIndex = (bytes: number, count: number): number =>
  Math.max(0, Math.min(count - 1, Math.round(8 * Math.log2(Math.max(1, bytes) / 24))));

/**
 * Encodes aligned faces to a byte budget, and back, with one model for all sizes. Every adapter turns the same symbols into the
 * same bytes, and the same bytes into the same symbols. Two adapters may still choose different symbols for a face, where a
 * value lies halfway between two, and restored pixels may differ by one level.
 */
export class FaceCodec {
  readonly #batches: readonly number[];
  readonly #quantizer: FaceQuantizer;
  readonly #trellis: GpuTrellis | undefined;
  // By batch. Recorded when they are first needed: compiling their kernels takes most of the time of a first face.
  readonly #analyses = new Map<number, Analysis>();
  readonly #restorations = new Map<number, Restoration>();
  #disposed = false;

  private constructor(
    readonly gpu: Gpu,
    readonly model: KltAutoencoder,
    readonly tables: KltTables,
    /** Logistic scale of each symbol at index 0, in steps. */
    scales: Float64Array,
    batches: readonly number[],
    onGpu: boolean,
  ) {
    this.#batches = batches;
    this.#quantizer = new FaceQuantizer({ latents: tables.model, scales });
    const { trellis } = this.#quantizer;
    if (trellis && onGpu) this.#trellis = new GpuTrellis(gpu, trellis.rows, trellis.order);
  }

  /**
   * @param safetensors a weights file with its tables, as `cameo train tables` writes it
   * @throws CheckpointError for a file that is not one, does not fit its own architecture, or has no tables
   */
  static fromWeights(gpu: Gpu, safetensors: Uint8Array): FaceCodec {
    return FaceCodec.fromKlt(gpu, readKlt(safetensors));
  }

  /**
   * As `fromWeights`, for a file that has been read.
   * @param batch faces in one pass, which computes this many even if there are fewer; default: what suits the device
   * @param onGpu whether the symbols are chosen there, too, and not on the CPU; they are the same. Default: unless the GPU is
   *   the CPU, where this would not be faster
   */
  static fromKlt(gpu: Gpu, file: KltFile, batch?: number, onGpu = !gpu.limits.software): FaceCodec {
    const tables = tablesOf(file);
    const value = (name: string): Float32Array => file.tensors.get(name)!.data;
    const model = loadKlt(gpu, file);
    const all = logisticScales(value('logScale'), value('logGain'));
    const scales = Float64Array.from(tables.order, (k) => all[k]);
    return new FaceCodec(gpu, model, tables, scales, batch ? [batch] : codecBatches(gpu), onGpu);
  }

  /** The integers that code and decode symbols. */
  get latents(): LatentModel {
    return this.tables.model;
  }

  /** Id of the weights and the tables: 8 hexadecimal digits. */
  get modelId(): string {
    return this.latents.idText;
  }

  /** Picture size in pixels: faces are RGB, row by row, 3 bytes a pixel. */
  get faceSize(): { width: number; height: number; bytes: number } {
    const { width, height } = this.model.config;
    return { width, height, bytes: 3 * width * height };
  }

  /** See `minFaceBytes`. */
  leastBytes(container: AnyContainer = 'file'): number {
    return minFaceBytes(this.latents, container);
  }

  /**
   * Faces to files of at most `maxBytes` each, container included.
   * @throws ArgumentError for a face of another size, an index that the model does not have, or a budget below the bytes of a face
   */
  async encode(
    faces: readonly Uint8Array[],
    target: FaceTarget,
    container: FaceContainer = 'file',
  ): Promise<Uint8Array[]> {
    const pack = packInto(container);
    return (await this.codedSymbolsOf(faces, target, container)).map((face) => pack(face, this.latents, face.code));
  }

  /** Faces to symbols, which `encode` or `packArchive` packs. */
  async symbolsOf(
    faces: readonly Uint8Array[],
    target: FaceTarget,
    container: AnyContainer = 'file',
  ): Promise<FaceSymbols[]> {
    const found = await this.codedSymbolsOf(faces, target, container);
    return found.map(({ symbols, qIndex, grey }) => ({ symbols, qIndex, grey }));
  }

  /** As `symbolsOf`, with the code of the symbols where it is known already. */
  async codedSymbolsOf(
    faces: readonly Uint8Array[],
    target: FaceTarget,
    container: AnyContainer = 'file',
  ): Promise<(FaceSymbols & CodedSymbols)[]> {
    const { bytes, width, height } = this.faceSize;
    checkTarget(target, container);
    checkBytes('encode', 'face', faces);
    faces.forEach((face, k) => {
      if (face.length !== bytes) {
        throw new ArgumentError(`face ${k} has ${face.length} bytes; ${width}×${height} RGB has ${bytes}`);
      }
    });
    const { steps } = this.model.config;
    const header = HEADER_BYTES[container];
    if ('maxBytes' in target) checkBudget(this.latents, target.maxBytes, container);
    const budget = 'maxBytes' in target ? target.maxBytes - header : undefined;
    const qIndex =
      'maxBytes' in target
        ? expectedIndex(target.maxBytes - header, steps)
        : 'qIndex' in target
          ? target.qIndex
          : target.step;
    quantizationInputs(qIndex, steps);
    const found: (FaceSymbols & CodedSymbols)[] = [];
    const choose = async ({ faces, size }: Batch<Uint8Array>): Promise<typeof found> => {
      const rough = await this.#analyse(
        faces,
        faces.map(() => qIndex),
        size,
      );
      const chosen =
        budget === undefined
          ? rough.map((own) => this.#atIndex(own, qIndex))
          : await this.#within(faces, rough, qIndex, budget, size);
      return chosen.map((face, k) => ({ ...face, grey: isGrey(faces[k]) }));
    };
    for await (const some of inOrder(this.#batchesOf(faces), choose)) found.push(...some);
    return found;
  }

  /** Faces in batches, of which the last may be smaller than `size`. */
  #batchesOf<T>(faces: readonly T[]): Batch<T>[] {
    const all: Batch<T>[] = [];
    for (let first = 0; first < faces.length; ) {
      const left = faces.length - first;
      const size = this.#batches.find((batch) => batch <= left) ?? this.#batches[this.#batches.length - 1];
      all.push({ faces: faces.slice(first, first + size), size, first });
      first += size;
    }
    return all;
  }

  /** @param values of a face, by the analysis network, which was given this index */
  #atIndex(values: Float32Array, qIndex: number): ChosenSymbols {
    return { symbols: this.#quantizer.symbolsOf(values, this.#quantizer.atDefault(qIndex)), qIndex };
  }

  /** @param rough values of the faces by the analysis network, which was given the index `told` */
  async #within(
    faces: readonly Uint8Array[],
    rough: readonly Float32Array[],
    told: number,
    maxBytes: number,
    size: number,
  ): Promise<CodedSymbols[]> {
    const quantizer = this.#quantizer;
    const near = await searchTogether(quantizer, this.#trellis, rough, () => quantizer.expected(maxBytes, told));
    // Once more, now that the analysis network can be given the index.
    const values = near.some((qIndex) => qIndex !== told) ? await this.#analyse(faces, near, size) : rough;
    return searchTogether(quantizer, this.#trellis, values, (own, k) => quantizer.search(own, maxBytes, near[k]));
  }

  /**
   * Files of either container to faces.
   * @throws FormatError for a file that is damaged or of another format, ModelMismatchError for one of another model
   */
  async decode(files: readonly Uint8Array[]): Promise<Uint8Array[]> {
    checkBytes('decode', 'file', files);
    return this.restore(files.map((file) => this.unpack(file)));
  }

  /** Unpacks a file and checks it, without the GPU. @throws as `decode` */
  unpack(file: Uint8Array): DecodedFace {
    return isFaceFile(file) ? unpackFaceFile(file, this.latents) : unpackFaceBare(file, this.latents);
  }

  /** Symbols to faces. */
  async restore(faces: readonly FaceSymbols[]): Promise<Uint8Array[]> {
    const restored: Uint8Array[] = [];
    const restore = (batch: Batch<FaceSymbols>) => this.#restoreBatch(batch);
    for await (const some of inOrder(this.#batchesOf(faces), restore)) restored.push(...some);
    return restored;
  }

  async #restoreBatch({ faces, size, first }: Batch<FaceSymbols>): Promise<Uint8Array[]> {
    const { bytes } = this.faceSize;
    const { order } = this.tables;
    const step = this.#restorationStep(size);
    const { inputs, outputs } = step;
    const count = this.model.latentCount;
    const symbols = new Float32Array(size * count);
    faces.forEach((face, n) => {
      const values = valuesOfSymbols(face.symbols, this.latents);
      // The network takes them in steps of the index that it is given.
      const scale = gainOf(face.qIndex) / stepsInUnit(this.latents, face.qIndex);
      for (let k = 0; k < count; k++) symbols[n * count + order[k]] = values[k] * scale;
    });
    inputs.symbols.write(symbols);
    this.#writeIndices(
      inputs,
      faces.map(({ qIndex }) => qIndex),
      size,
    );
    step.run();
    const restored = readLevels('decode: the pixels', await outputs.levels.read(), faces.length, bytes, first);
    return restored.map((face, n) => (faces[n].grey ? greyed(face) : face));
  }

  /** Values in steps of index 0, in the order of the symbols. */
  async #analyse(faces: readonly Uint8Array[], indices: readonly number[], size: number): Promise<Float32Array[]> {
    const { bytes } = this.faceSize;
    const step = this.#analysisStep(size);
    const { inputs, outputs } = step;
    const pixels = new Float32Array(size * bytes);
    writeUnitPixels(faces, pixels);
    inputs.x.write(pixels);
    this.#writeIndices(inputs, indices, size);
    step.run();
    const values = await outputs.values.read();
    const count = this.model.latentCount;
    checkResults('encode: the symbols', values, faces.length, count);
    const { order } = this.tables;
    return faces.map((_, n) => {
      const own = new Float32Array(count);
      for (let k = 0; k < count; k++) own[k] = values[n * count + order[k]];
      return own;
    });
  }

  #analysisStep(size: number): Analysis {
    const { width, height } = this.model.config;
    let step = this.#analyses.get(size);
    if (!step) {
      const inputs = { x: this.#zeros(size, height, width, 3), fineness: this.#zeros(size, 1, 1, 1) };
      step = recordStep(this.gpu, inputs, ({ x, fineness }) => ({
        values: this.model.analyseAtFirst(x, { logGain: fineness, fineness }),
      }));
      this.#analyses.set(size, step);
    }
    return step;
  }

  #restorationStep(size: number): Restoration {
    let step = this.#restorations.get(size);
    if (!step) {
      const symbols = this.#zeros(size, this.model.latentCount);
      const inputs = { symbols, logGain: this.#zeros(size, 1), fineness: this.#zeros(size, 1, 1, 1) };
      step = recordStep(this.gpu, inputs, (given) => ({
        levels: pixelLevels(this.model.reconstructAroundZero(given.symbols, given), 0.5),
      }));
      this.#restorations.set(size, step);
    }
    return step;
  }

  /** An input of a recorded step. @throws DisposedError after `dispose` */
  #zeros(...shape: number[]): Tensor {
    if (this.#disposed) throw new DisposedError('the codec has been disposed');
    return keep(Tensor.zeros(this.gpu, shape));
  }

  #writeIndices(inputs: { fineness: Tensor; logGain?: Tensor }, indices: readonly number[], size: number): void {
    const logGain = new Float32Array(size);
    const fineness = new Float32Array(size);
    indices.forEach((qIndex, n) => {
      const values = quantizationInputs(qIndex, this.model.config.steps);
      logGain[n] = values.logGain;
      fineness[n] = values.fineness;
    });
    inputs.logGain?.write(logGain);
    inputs.fineness.write(fineness);
  }

  dispose(): void {
    this.#disposed = true;
    for (const steps of [this.#analyses, this.#restorations]) {
      for (const step of steps.values()) {
        step.dispose();
        for (const input of Object.values(step.inputs)) input.dispose();
      }
      steps.clear();
    }
    this.#trellis?.dispose();
    this.model.dispose();
  }
}

/** Whether all pixels are grey: the restored face is then grey, too. */
function isGrey(face: Uint8Array): boolean {
  for (let i = 0; i < face.length; i += 3) if (face[i] !== face[i + 1] || face[i] !== face[i + 2]) return false;
  return true;
}

function greyed(face: Uint8Array): Uint8Array {
  for (let i = 0; i < face.length; i += 3) {
    face.fill(Math.round(0.299 * face[i] + 0.587 * face[i + 1] + 0.114 * face[i + 2]), i, i + 3);
  }
  return face;
}
