import { createHash } from 'node:crypto';
import { type FileHandle, open, rename } from 'node:fs/promises';
import type { ByteSource } from '../../codec/container/face-archive.js';
import { FileError, fileErrorReason, writeAll } from '../files/atomic-file.js';
import { WriterLock } from '../files/writer-lock.js';

/*
 * Embeddings of an archive's faces, in a file beside it, so that they are computed once. The file is of blocks, each with a
 * checksum that covers the header and the block's number: what is whole can be used, whatever stopped the program that wrote it.
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
 * While it is made it is called NAME.part; only a whole one has its name.
 */
const MAGIC = Buffer.of(0x9e, 0x43, 0x4d, 0x45);
/** Raise it when restoring, alignment or embedding changes what comes out. */
const VERSION = 1;
const FIELD_BYTES = 60;
const HASH_BYTES = 32;
const HEADER_BYTES = FIELD_BYTES + HASH_BYTES;
/** Faces of a block: some seconds of work on a CPU adapter, and of what is lost with the program. */
export const BLOCK_FACES = 64;
const HASHED_BYTES = 1 << 20;

/** What embeddings are of. Those of anything else are not used. */
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

/** Where the embeddings of an archive's faces lie. */
export const embeddingsPath = (archive: string): string => `${archive}.embeddings`;

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
 * The embeddings beside an archive: those that are there can be read, and the others be added. That they cannot be kept, or
 * that those in the file are of something else or damaged, is no error, but told.
 */
export class ArchiveEmbeddings {
  #file: FileHandle | undefined;
  #lock: WriterLock | undefined;
  /** Whether the file has its name, and is not the one that is being made. */
  #isWhole = false;
  /** Where the next block is written; undefined before the first. */
  #end: number | undefined;
  readonly #header: Buffer;

  private constructor(
    /** Undefined where nothing is kept. */
    readonly path: string | undefined,
    readonly of: EmbeddingsOf,
    private readonly tell: (text: string) => void,
  ) {
    this.#header = headerOf(of);
  }

  /**
   * @param path of the file; undefined for an archive beside which nothing can be kept, such as standard input
   * @param tell told in a line why embeddings are computed anew or not kept
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

  /** Whether the file has all embeddings: as it was found, or finished since. */
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
   * The embeddings of a block's faces, one after the other; undefined where the file has none, or they are damaged.
   * After that, and in the order of the blocks, they are to be given to `add`.
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

  /** To be called when all blocks have been read or added: what was made gets its name. */
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

  /** @returns whether there is a file with these embeddings, be they all whole or not */
  async #openWhole(path: string, tell = this.tell): Promise<boolean> {
    const file = await open(path, 'r').catch(ifMissing);
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
      throw new FileError(`${path}: is no file of embeddings, and is left as it is`);
    }
    tell(`${path}: is of another archive, codec or recogniser, or damaged: made anew`);
    return false;
  }

  /** Opens the file that is being made; what another run has left of it is used, if it is of the same. */
  async #openPart(path: string): Promise<void> {
    const part = partOf(path);
    const file = (await open(part, 'r+').catch(ifMissing)) ?? (await open(part, 'wx+'));
    this.#file = file;
    const header = new Uint8Array(HEADER_BYTES);
    await readAt(file, header, 0);
    if (this.#header.equals(header)) return;
    await file.truncate(0);
    await writeAll(file, this.#header, 0);
  }

  /** The whole file becomes one that is being made, from a damaged block on. */
  async #beginAgain(block: number): Promise<void> {
    const path = this.path!;
    this.tell(`${path}: is damaged from face ${block * BLOCK_FACES} on: made anew from there`);
    await this.#closeFile();
    this.#isWhole = false;
    this.#lock = await WriterLock.take(`${path}.lock`, path);
    await rename(path, partOf(path));
    this.#file = await open(partOf(path), 'r+');
  }

  /** Where the disk does not do what is asked, goes on without keeping anything. */
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

/** @returns how many bytes there were, at most as many as there is room for */
async function readAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
