import { createHash } from 'node:crypto';
import { appendFile, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FormatError } from '../../common/errors.js';
import { ensureFolder, FileError, fileErrorReason } from '../files/atomic-file.js';
import { readRegularFileIfThere } from '../files/read-file.js';

const MAGIC = 'cameo embeddings';
const MODEL_BYTES = 16;
/** Magic, model id, little-endian dimension; then records of a SHA-256 and the values, little-endian float32. */
const HEADER_BYTES = MAGIC.length + MODEL_BYTES + 4;
const HASH_BYTES = 32;

/** The key of a picture: SHA-256 of its bytes, hexadecimal. */
export const contentKey = (pixels: Uint8Array): string => createHash('sha256').update(pixels).digest('hex');

/**
 * A recogniser's embeddings of pictures, by the pictures' content, in one file that only grows. Every later run can use them,
 * for any set of faces. A program that is killed loses what it has not saved.
 */
export class EmbeddingFile {
  readonly #known = new Map<string, Float32Array>();
  #unsaved: string[] = [];

  private constructor(
    readonly path: string,
    readonly modelId: string,
    readonly dimension: number,
  ) {}

  /**
   * Opens the file of a recogniser, or begins one. An incomplete record at the end is cut off.
   * @throws FormatError for a file of another recogniser or format; FileError
   */
  static async open(path: string, modelId: string, dimension: number): Promise<EmbeddingFile> {
    const cache = new EmbeddingFile(path, modelId, dimension);
    const bytes = await readRegularFileIfThere(path, Infinity);
    if (bytes === undefined || bytes.length === 0) return cache;
    if (!bytes.subarray(0, HEADER_BYTES).equals(cache.#header())) {
      throw new FormatError(`${path}: not a file of ${dimension} values a face of recogniser ${modelId}`);
    }
    const size = HASH_BYTES + 4 * dimension;
    const whole = Math.floor((bytes.length - HEADER_BYTES) / size);
    for (let k = 0; k < whole; k++) {
      const at = HEADER_BYTES + k * size;
      const values = Float32Array.from({ length: dimension }, (_, i) => bytes.readFloatLE(at + HASH_BYTES + 4 * i));
      if (values.every(Number.isFinite)) cache.#known.set(bytes.toString('hex', at, at + HASH_BYTES), values);
    }
    const end = HEADER_BYTES + whole * size;
    if (end < bytes.length) await truncate(path, end);
    return cache;
  }

  get(key: string): Float32Array | undefined {
    return this.#known.get(key);
  }

  /** @param values finite */
  set(key: string, values: Float32Array): void {
    if (this.#known.has(key)) return;
    this.#known.set(key, values);
    this.#unsaved.push(key);
  }

  /** Appends what is new. @throws FileError */
  async save(): Promise<void> {
    if (this.#unsaved.length === 0) return;
    const size = HASH_BYTES + 4 * this.dimension;
    const bytes = Buffer.alloc(this.#unsaved.length * size);
    this.#unsaved.forEach((key, k) => {
      bytes.write(key, k * size, 'hex');
      this.#known.get(key)!.forEach((value, i) => {
        bytes.writeFloatLE(value, k * size + HASH_BYTES + 4 * i);
      });
    });
    try {
      await ensureFolder(dirname(this.path));
      const begun = await stat(this.path).then(
        (file) => file.size > 0,
        () => false,
      );
      await appendFile(this.path, begun ? bytes : Buffer.concat([this.#header(), bytes]));
    } catch (error) {
      throw new FileError(`${this.path}: cannot be written: ${fileErrorReason(error)}`, { cause: error });
    }
    this.#unsaved = [];
  }

  #header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC + this.modelId.slice(0, MODEL_BYTES), 'latin1');
    header.writeUInt32LE(this.dimension, HEADER_BYTES - 4);
    return header;
  }
}
