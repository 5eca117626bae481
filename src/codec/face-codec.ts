import { ArgumentError } from '../common/errors.js';
import { inOrder } from '../common/in-order.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltAutoencoder, logisticScales, quantizationInputs } from '../models/klt-autoencoder.js';
import { loadKlt } from '../models/klt-file.js';
import { type ChosenSymbols, type CodedSymbols, FaceQuantizer } from './byte-budget.js';
import { codecBatches } from './codec-batch.js';
import { CodecPasses } from './codec-passes.js';
import { type KltFile, type KltTables, readKlt, tablesOf } from './codec-weights.js';
import { unpackFaceBare } from './container/face-bare.js';
import type { DecodedFace, FaceSymbols } from './container/face-code.js';
import { isFaceFile, unpackFaceFile } from './container/face-file.js';
import { withDetail } from './detail/detail-search.js';
import { DETAIL_COLUMNS, DETAIL_ROWS, detailStep } from './detail/detail-stream.js';
import { addDetail, BLOCK_SIDE } from './detail/detail-transform.js';
import type { LatentModel } from './entropy/latent-model.js';
import {
  type AnyContainer,
  checkBudget,
  checkBytes,
  checkFaceTarget,
  type FaceContainer,
  type FaceTarget,
  HEADER_BYTES,
  minFaceBytes,
  packInto,
} from './face-target.js';
import { GpuTrellis } from './gpu-trellis.js';
import { greyed, isGrey } from './grey-faces.js';
import { searchTogether } from './search-together.js';

/** A face with its code, where that is known. */
export type CodedFace = FaceSymbols & CodedSymbols;

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

/** From this many bytes of code on, a detail layer is tried; from the second number on, it is always better. */
const DETAIL_FROM = 560;
const DETAIL_SURELY = 900;
/** Bytes of the symbols, where a detail layer follows. */
const bytesBeforeDetail = (maxBytes: number): number => Math.round(430 + 0.03 * maxBytes);

/**
 * Encodes aligned faces to a byte budget, and back, with one model for all sizes. Every adapter turns the same symbols into the
 * same bytes, and the same bytes into the same symbols. Two adapters may still choose different symbols for a face, where a
 * value lies halfway between two, and restored pixels may differ by one level.
 */
export class FaceCodec {
  readonly #batches: readonly number[];
  readonly #quantizer: FaceQuantizer;
  readonly #trellis: GpuTrellis | undefined;
  readonly #passes: CodecPasses;

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
    this.#passes = new CodecPasses(gpu, model, tables);
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
    return found.map(({ code: _, ...face }) => face);
  }

  /** As `symbolsOf`, with the code of the symbols where it is known already. */
  async codedSymbolsOf(
    faces: readonly Uint8Array[],
    target: FaceTarget,
    container: AnyContainer = 'file',
  ): Promise<CodedFace[]> {
    const { bytes, width, height } = this.faceSize;
    checkFaceTarget(target, container);
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
    const found: CodedFace[] = [];
    const choose = async (batch: Batch<Uint8Array>): Promise<CodedFace[]> => {
      const rough = await this.#passes.analyse(
        batch.faces,
        batch.faces.map(() => qIndex),
        batch.size,
      );
      if (budget !== undefined) {
        const withDetails = 'detail' in target && target.detail === false ? Infinity : DETAIL_FROM;
        return this.#best(batch, rough, qIndex, budget, budget >= withDetails);
      }
      return rough.map((own, k) => ({ ...this.#atIndex(own, qIndex), grey: isGrey(batch.faces[k]) }));
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
    const values = near.some((qIndex) => qIndex !== told) ? await this.#passes.analyse(faces, near, size) : rough;
    return searchTogether(quantizer, this.#trellis, values, (own, k) => quantizer.search(own, maxBytes, near[k]));
  }

  /**
   * Without a detail layer or with one, whichever has the smaller error. The parameters are those of `#within`.
   * @param tried whether a layer is tried at all
   */
  async #best(
    batch: Batch<Uint8Array>,
    rough: readonly Float32Array[],
    told: number,
    maxBytes: number,
    tried: boolean,
  ): Promise<CodedFace[]> {
    const { faces, size } = batch;
    const detailed = !tried ? [] : await this.#detailed(batch, rough, told, maxBytes);
    if (tried && maxBytes >= DETAIL_SURELY && detailed.every((face) => face)) return detailed.map((face) => face!);
    const within = await this.#within(faces, rough, told, maxBytes, size);
    const plain = within.map((face, k) => ({ ...face, grey: isGrey(faces[k]) }));
    if (detailed.every((face) => !face)) return plain;
    const [without, withDetails] = [
      await this.#restoreBatch({ ...batch, faces: plain }),
      await this.#restoreBatch({ ...batch, faces: plain.map((face, k) => detailed[k] ?? face) }),
    ];
    return plain.map((face, k) => {
      const other = detailed[k];
      return other && errorOf(faces[k], withDetails[k]) < errorOf(faces[k], without[k]) ? other : face;
    });
  }

  /** Faces with detail layers; undefined for those that cannot have one. The parameters are those of `#within`. */
  async #detailed(
    batch: Batch<Uint8Array>,
    rough: readonly Float32Array[],
    told: number,
    maxBytes: number,
  ): Promise<(CodedFace | undefined)[]> {
    const { faces, size } = batch;
    const { width, height } = this.faceSize;
    if (width !== DETAIL_COLUMNS * BLOCK_SIDE || height !== DETAIL_ROWS * BLOCK_SIDE) return faces.map(() => undefined);
    const quantizer = this.#quantizer;
    const before = bytesBeforeDetail(maxBytes);
    const near = await searchTogether(quantizer, this.#trellis, rough, () => quantizer.expected(before, told));
    const values = await this.#passes.refine(faces, await this.#passes.analyse(faces, near, size), near, size);
    const chosen = await searchTogether(quantizer, this.#trellis, values, function* (_, k) {
      return { symbols: yield quantizer.atDefault(near[k]), qIndex: near[k], grey: isGrey(faces[k]) };
    });
    const bases = await this.#restoreBatch({ ...batch, faces: chosen });
    const given = { latents: this.latents, maxBytes, size: { width, height } };
    return chosen.map((face, k) => {
      const found = withDetail(faces[k], bases[k], face, given);
      if (!found) return undefined;
      const { error: _, ...coded } = found;
      return coded;
    });
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
    const restored = await this.#passes.restore(faces, size, first);
    return restored.map((face, n) => {
      const { grey, detail } = faces[n];
      const picture = grey ? greyed(face) : face;
      return detail ? addDetail(picture, detail.symbols, detailStep(detail.step), this.faceSize) : picture;
    });
  }

  dispose(): void {
    this.#passes.dispose();
    this.#trellis?.dispose();
    this.model.dispose();
  }
}

/** Squared error of a picture. */
function errorOf(original: Uint8Array, restored: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < original.length; i++) sum += (original[i] - restored[i]) ** 2;
  return sum;
}
