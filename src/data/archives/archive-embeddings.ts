import { createHash } from 'node:crypto';
import { type FileHandle, open, rename } from 'node:fs/promises';
import type { ByteSource } from '../../codec/container/face-archive.js';
import { FileError, fileErrorReason, writeAll } from '../files/atomic-file.js';
import { createFileLike } from '../files/create-like.js';
import { READ_WITHOUT_WAITING } from '../files/read-file.js';
import { WriterLock } from '../files/writer-lock.js';

/*
 * Embeddings of an archive's faces, in a file beside it, so that they are computed only once. The file has blocks, each with a
 * checksum that covers the header and the block's number: complete blocks can be used, whatever stopped the program that wrote
 * them.
 * Numbers are little-endian.
 *   4  9E 'C' 'M' 'E'
 *   1  version
 *   1  1: the mirror image's embedding is appended to the picture's; 0: it is not
 *   2  faces of a block
 *   4  values of an embedding
 *   4  faces
 *   4  id of the codec's model
 *   8  id of the recogniser
 *  32  SHA-256 of the archive
 *  32  SHA-256 of the 60 bytes before
 *   …  blocks: the float32 values of their faces, all NaN for a face that cannot be read, and
 *      32  SHA-256 of the header, of the block's number (4 bytes), and of the values
 * While it is written it is called NAME.part; only a complete file has its name.
 */
const MAGIC = Buffer.of(0x9e, 0x43, 0x4d, 0x45);
/** Raise it when a change of restoring, alignment or embedding changes the values. */
const VERSION = 1;
const FIELD_BYTES = 60;
const HASH_BYTES = 32;
const HEADER_BYTES = FIELD_BYTES + HASH_BYTES;
/** Faces of a block: some seconds of work on a CPU adapter, which are lost if the program ends. */
export const BLOCK_FACES = 64;
const HASHED_BYTES = 1 << 20;

/** What embeddings were made from. Embeddings of anything else are not used. */
export interface EmbeddingsOf {
  /** SHA-256 of the archive: see {@link contentHash}. */
  content: Uint8Array;
  faces: number;
  /** Of the codec that restores the faces: 8 hexadecimal digits. */
  codecId: string;
  /** Of the recogniser: 16 hexadecimal digits. */
  recognizerId: string;
  /** Values of an embedding, with those of the mirror image. */
  dimension: number;
  /** Whether the mirror image's embedding is appended. */
  flip: boolean;
}

const SUFFIX = '.embeddings';

/** The file of the embeddings of an archive's faces. */
export const embeddingsPath = (archive: string): string => `${archive}${SUFFIX}`;

const archiveOf = (embeddings: string): string => embeddings.slice(0, -SUFFIX.length);

/** SHA-256 of all bytes, read a megabyte at a time. @throws as the source */
export async function contentHash(source: ByteSource): Promise<Uint8Array> {
  const hash = createHash('sha256');
  for (let at = 0; at < source.size; at += HASHED_BYTES) {
    hash.update(await source.read(at, Math.min(HASHED_BYTES, source.size - at)));
  }
  return hash.digest();
}

function headerOf({ content, faces, codecId, recognizerId, dimension, flip }: EmbeddingsOf): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header[4] = VERSION;
  header[5] = flip ? 1 : 0;
  header.writeUInt16LE(BLOCK_FACES, 6);
  header.writeUInt32LE(dimension, 8);
  header.writeUInt32LE(faces, 12);
  header.write(codecId, 16, 4, 'hex');
  header.write(recognizerId, 20, 8, 'hex');
  header.set(content, 28);
  createHash('sha256').update(header.subarray(0, FIELD_BYTES)).digest().copy(header, FIELD_BYTES);
  return header;
}

/**
 * The embeddings beside an archive: existing ones can be read, and the others added. If they cannot be kept, or those in the
 * file are of something else or damaged, this is reported and is not an error.
 */
export class ArchiveEmbeddings {
  #file: FileHandle | undefined;
  #lock: WriterLock | undefined;
  /** Whether the file has its final name, and is not the one that is being written. */
  #isWhole = false;
  /** Where the next block is written; undefined before the first. */
  #end: number | undefined;
  readonly #header: Buffer;

  private constructor(
    /** Undefined if nothing is kept. */
    readonly path: string | undefined,
    readonly of: EmbeddingsOf,
    private readonly tell: (text: string) => void,
  ) {
    this.#header = headerOf(of);
  }

  /**
   * @param path of the file; undefined if nothing can be kept beside the archive, such as for standard input
   * @param tell called with a line that says why embeddings are computed again or not kept
   */
  static async open(
    path: string | undefined,
    of: EmbeddingsOf,
    tell: (text: string) => void,
  ): Promise<ArchiveEmbeddings> {
    const embeddings = new ArchiveEmbeddings(path, of, tell);
    if (path === undefined) return embeddings;
    await embeddings.#orTell(async () => {
      if (await embeddings.#openWhole(path)) return;
      embeddings.#lock = await WriterLock.take(`${path}.lock`, path);
      // Made by another program just before it released the lock?
      if (await embeddings.#openWhole(path, () => {})) await embeddings.#unlock();
      else await embeddings.#openPart(path);
    });
    return embeddings;
  }

  /** Whether the file has all embeddings, from before or since. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Blocks of all faces together. */
  get blocks(): number {
    return Math.ceil(this.of.faces / BLOCK_FACES);
  }

  /** Faces of a block. */
  facesOf(block: number): number {
    return Math.min(BLOCK_FACES, this.of.faces - block * BLOCK_FACES);
  }

  /**
   * The embeddings of a block's faces, one after the other; undefined if the file has none, or they are damaged.
   * Then give them to `add`, in the order of the blocks.
   */
  async read(block: number): Promise<Float32Array<ArrayBuffer> | undefined> {
    if (!this.#file || this.#end !== undefined) return undefined;
    const bytes = this.#bytesOf(block);
    const found = new Uint8Array(bytes + HASH_BYTES);
    const length = await readAt(this.#file, found, this.#offsetOf(block)).catch((error: unknown) => {
      this.tell(`${this.path}: cannot be read: ${fileErrorReason(error)}`);
      return 0;
    });
    const values = new Float32Array(found.buffer, 0, bytes / 4);
    const isWhole = length === found.length && this.#hash(block, values).equals(found.subarray(bytes));
    if (isWhole) return values;
    if (this.#isWhole) await this.#orTell(() => this.#beginAgain(block));
    return undefined;
  }

  /** Keeps the embeddings of the next block's faces. */
  async add(block: number, values: Float32Array): Promise<void> {
    if (!this.#file || this.#isWhole) return;
    await this.#orTell(async () => {
      const at = this.#offsetOf(block);
      if (this.#end === undefined) await this.#file!.truncate(at);
      else if (this.#end !== at) throw new FileError(`${this.path}: block ${block} is not the next one`);
      await writeAll(this.#file!, new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
      await writeAll(this.#file!, this.#hash(block, values), at + values.byteLength);
      this.#end = at + values.byteLength + HASH_BYTES;
    });
  }

  /** Call it when all blocks have been read or added: a new file then gets its name. */
  async finish(): Promise<void> {
    if (!this.#file || this.#isWhole) return;
    await this.#orTell(async () => {
      await this.#closeFile();
      await rename(partOf(this.path!), this.path!);
      this.#isWhole = true;
    });
  }

  /** Frees the file and its lock. */
  async close(): Promise<void> {
    await this.#closeFile();
    await this.#unlock();
  }

  /** @returns whether there is a file with these embeddings, complete or not */
  async #openWhole(path: string, tell = this.tell): Promise<boolean> {
    const file = await open(path, READ_WITHOUT_WAITING).catch(ifMissing);
    if (!file) return false;
    const header = new Uint8Array(HEADER_BYTES);
    const isFile = (await file.stat()).isFile();
    const length = isFile ? await readAt(file, header, 0) : 0;
    if (this.#header.equals(header)) {
      await this.#closeFile();
      this.#file = file;
      this.#isWhole = true;
      return true;
    }
    await file.close();
    if (!isFile || (length > 0 && !MAGIC.equals(header.subarray(0, MAGIC.length)))) {
      throw new FileError(`${path}: is not a file of embeddings, and is left unchanged`);
    }
    tell(`${path}: is of another archive, codec or recogniser, or damaged; it is made again`);
    return false;
  }

  /** Opens the file that is being written; what an earlier run left of it is used, if it was made from the same. */
  async #openPart(path: string): Promise<void> {
    const part = partOf(path);
    const file = (await open(part, 'r+').catch(ifMissing)) ?? (await createFileLike(archiveOf(path), part));
    this.#file = file;
    const header = new Uint8Array(HEADER_BYTES);
    await readAt(file, header, 0);
    if (this.#header.equals(header)) return;
    await file.truncate(0);
    await writeAll(file, this.#header, 0);
  }

  /** Turns the complete file into one that is being written, from a damaged block on. */
  async #beginAgain(block: number): Promise<void> {
    const path = this.path!;
    this.tell(`${path}: is damaged from face ${block * BLOCK_FACES} on; it is made again from there`);
    await this.#closeFile();
    this.#isWhole = false;
    this.#lock = await WriterLock.take(`${path}.lock`, path);
    await rename(path, partOf(path));
    this.#file = await open(partOf(path), 'r+');
  }

  /** If the disk fails, goes on without keeping anything. */
  async #orTell(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const reason = error instanceof FileError ? error.message : `${this.path}: ${fileErrorReason(error)}`;
      this.tell(`the embeddings are not kept for the next search: ${reason}`);
      await this.close();
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  async #unlock(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  #bytesOf(block: number): number {
    return 4 * this.of.dimension * this.facesOf(block);
  }

  #offsetOf(block: number): number {
    return HEADER_BYTES + block * (4 * this.of.dimension * BLOCK_FACES + HASH_BYTES);
  }

  #hash(block: number, values: Float32Array): Buffer {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(block);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return createHash('sha256').update(this.#header).update(number).update(bytes).digest();
  }
}

const partOf = (path: string): string => `${path}.part`;

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** @returns the number of bytes read, at most as many as there is room for */
async function readAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
