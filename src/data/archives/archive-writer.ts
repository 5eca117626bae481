import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { ENCODER_VERSION } from '../../codec/byte-budget.js';
import { ARCHIVE_MAGIC, archivedCode, checkArchiveSize, MAX_NAME_BYTES } from '../../codec/container/archive-layout.js';
import { FaceArchive } from '../../codec/container/face-archive.js';
import type { FaceSymbols } from '../../codec/container/face-code.js';
import {
  FaceJournal,
  JOURNAL_HEADER_BYTES,
  type JournalExtent,
  journalHeader,
  journalRecord,
  pictureSum,
} from '../../codec/container/face-journal.js';
import type { LatentModel } from '../../codec/entropy/latent-model.js';
import { type AnyContainer, HEADER_BYTES } from '../../codec/face-target.js';
import { ArgumentError, FormatError } from '../../common/errors.js';
import {
  checkTarget,
  FileError,
  fileErrorReason,
  removeTemporaries,
  replaceFile,
  type WritableFile,
  writeAll,
} from '../files/atomic-file.js';
import { createFileLike } from '../files/create-like.js';
import { WriterLock } from '../files/writer-lock.js';
import { FileSource } from './file-source.js';
import { nameKey } from './shards.js';

export interface ArchiveWriterSettings {
  model: LatentModel;
  /** Maximum bytes of a face. */
  maxBytes: number;
  /** The container whose header counts for these bytes. */
  container: AnyContainer;
}

/** Bytes of the finished archive that are read back at a time. */
const READ_BYTES = 1 << 20;
/** Milliseconds after which written data are flushed to the disk, in case of a power cut. */
const SYNC_MS = 1000;

/** The file in which an archive grows, beside it. */
export const unfinishedPath = (archive: string): string => `${archive}.part`;

/**
 * Writes an archive of any number of faces in little memory. At any moment, each face that was added can be read from
 * ARCHIVE.part (see face-journal.ts), which is turned into ARCHIVE at the end. If the work was stopped, for any reason, another
 * writer goes on with ARCHIVE.part. Only one writer may write to an archive: ARCHIVE.lock refuses a second one.
 *
 * Only the names of the faces are kept in memory, to find duplicates.
 */
export class ArchiveWriter {
  readonly part: string;
  /** Faces of an earlier writer. */
  readonly resumed: number;
  #file: FileHandle | undefined;
  #count: number;
  #end: number;
  #codeBytes: number;
  #nameBytes: number;
  #synced = 0;
  /** By name: the pictures of existing faces that this run has not reached yet. */
  readonly #found: Map<string, number>;
  readonly #claimed = new Map<string, string>();

  private constructor(
    readonly path: string,
    private readonly settings: ArchiveWriterSettings,
    found: Map<string, number>,
    intact: JournalExtent,
    private readonly lock: WriterLock,
  ) {
    this.part = unfinishedPath(path);
    this.#found = found;
    this.resumed = this.#count = found.size;
    this.#end = intact.end;
    this.#codeBytes = intact.codeBytes;
    this.#nameBytes = intact.nameBytes;
  }

  /**
   * Goes on with ARCHIVE.part if there is one, and cuts it off after the last complete face. Writes nothing otherwise.
   * @throws ArgumentError if it was begun with another model, encoder or number of bytes; FormatError for one that
   * cannot be read, FileError
   */
  static async open(path: string, settings: ArchiveWriterSettings): Promise<ArchiveWriter> {
    await checkTarget(path);
    await checkReplaceable(path);
    const lock = await WriterLock.take(`${path}.lock`, path);
    try {
      return await ArchiveWriter.#openLocked(path, settings, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  static async #openLocked(path: string, settings: ArchiveWriterSettings, lock: WriterLock): Promise<ArchiveWriter> {
    const part = unfinishedPath(path);
    const found = new Map<string, number>();
    await removeTemporaries(path);
    if (!(await hasHeader(part))) return new ArchiveWriter(path, settings, found, NOTHING, lock);
    const source = await FileSource.open(part);
    let intact: JournalExtent;
    try {
      const journal = await FaceJournal.open(source);
      checkSettings(part, journal, settings);
      ({ intact } = journal);
      for await (const { name, picture } of journal.records(intact.faces)) {
        found.set(nameKey(new TextDecoder().decode(name)), picture);
      }
    } catch (error) {
      if (error instanceof FormatError) throw new FormatError(`${part}: ${error.message}`, { cause: error });
      throw error;
    } finally {
      await source.close();
    }
    const writer = new ArchiveWriter(path, settings, found, intact, lock);
    writer.#file = await openAgain(part, intact.end);
    return writer;
  }

  /** Faces that are in the file. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of their codes. */
  get codeBytes(): number {
    return this.#codeBytes;
  }

  /**
   * Takes a name for a face of this run.
   * @param input what messages call the face
   * @throws ArgumentError if another face has that name, because one of them could not be found again; and for a name that is too long
   */
  claim(name: string, input = name): void {
    const { length } = new TextEncoder().encode(name);
    if (length > MAX_NAME_BYTES) {
      throw new ArgumentError(`${input}: its name has ${length} bytes; an archive takes ${MAX_NAME_BYTES}`);
    }
    const other = this.#claimed.get(nameKey(name));
    if (other !== undefined) {
      throw new ArgumentError(`${input}: its name in the archive would be "${name}", which is also that of ${other}`);
    }
    this.#claimed.set(nameKey(name), input);
  }

  /**
   * Whether an earlier writer has written this face.
   * @param rgb its pixels
   * @throws ArgumentError if it has written another picture with that name
   */
  holds(name: string, rgb: Uint8Array): boolean {
    const key = nameKey(name);
    const picture = this.#found.get(key);
    if (picture === undefined) return false;
    if (picture !== pictureSum(rgb)) {
      throw new ArgumentError(`${this.part} was begun with another picture of "${name}": ${REMEDY}`);
    }
    this.#found.delete(key);
    return true;
  }

  /**
   * Adds a face; after this it can be read, whatever happens to the program.
   * @param code of the face's symbols
   * @throws FileError if the disk is full or fails, ArgumentError for more faces than an archive can hold: the faces before
   * remain
   */
  async add(name: string, rgb: Uint8Array, face: FaceSymbols, code: Uint8Array): Promise<void> {
    const { model } = this.settings;
    const archived = archivedCode({ ...face, name }, this.#count, model, code);
    const own = archived.name!;
    checkArchiveSize(this.#codeBytes + code.length, this.#nameBytes + own.length);
    const record = journalRecord({ ...archived, name: own, number: this.#count, picture: pictureSum(rgb) });
    try {
      this.#file ??= await this.#begin();
      await writeAll(this.#file, record, this.#end);
      if (performance.now() - this.#synced > SYNC_MS) {
        await this.#file.datasync();
        this.#synced = performance.now();
      }
    } catch (error) {
      await this.#file?.truncate(this.#end).catch(() => {});
      throw this.#failure(error);
    }
    this.#end += record.length;
    this.#codeBytes += code.length;
    this.#nameBytes += own.length;
    this.#count++;
  }

  /**
   * Turns ARCHIVE.part into the archive.
   * @param options `allowEmpty`: writes an archive without faces too, as that of a shard to which no picture belongs
   * @returns its bytes
   * @throws ArgumentError if there is no face and `allowEmpty` is not set, or if some faces of an earlier writer were not given to `holds`;
   * FileError. ARCHIVE.part remains then.
   */
  async finish({ allowEmpty = false } = {}): Promise<number> {
    if (this.#found.size > 0) {
      const [first] = this.#found.keys();
      const faces = this.#found.size === 1 ? 'a face' : `${this.#found.size} faces`;
      throw new ArgumentError(`${this.part} holds ${faces} that this run does not, such as "${first}": ${REMEDY}`);
    }
    if (this.#count === 0) {
      if (!allowEmpty) throw new ArgumentError(`${this.path}: not written, because there is no face to put into it`);
      this.#file ??= await this.#begin();
    }
    let bytes = 0;
    const written = createHash('sha256');
    const source = await FileSource.open(this.part);
    try {
      const journal = await FaceJournal.open(source);
      if (journal.count !== this.#count) {
        throw new FileError(`${this.part} holds ${journal.count} faces; this run has put ${this.#count} into it`);
      }
      const write = async (file: WritableFile): Promise<void> => {
        for await (const piece of journal.archive()) {
          await writeAll(file, piece);
          written.update(piece);
          bytes += piece.length;
        }
      };
      await replaceFile(this.path, write, { durable: true }).catch((error: unknown) => {
        throw this.#failure(error);
      });
    } finally {
      await source.close();
    }
    await this.#verify(bytes, written.digest('hex'));
    await this.#file?.close();
    this.#file = undefined;
    await rm(this.part, { force: true });
    await this.lock.release();
    return bytes;
  }

  /** @throws FileError if the archive differs from what was written, or holds another number of faces */
  async #verify(bytes: number, digest: string): Promise<void> {
    const source = await FileSource.open(this.path);
    try {
      const found = createHash('sha256');
      for (let at = 0; at < source.size; at += READ_BYTES) {
        found.update(await source.read(at, Math.min(READ_BYTES, source.size - at)));
      }
      const { count } = await FaceArchive.open(source);
      if (count === this.#count && source.size === bytes && found.digest('hex') === digest) return;
      throw new FileError(
        `${this.path}: read back it holds ${count} faces in ${source.size} bytes; ${this.#count} in ${bytes} were written, and are in ${this.part}`,
      );
    } finally {
      await source.close();
    }
  }

  /** Ends the writing; ARCHIVE.part stays if it holds a face. */
  async close(): Promise<void> {
    if (this.#file) {
      await this.#file.close();
      this.#file = undefined;
      if (this.#count === 0) await rm(this.part, { force: true });
    }
    await this.lock.release();
  }

  async #begin(): Promise<FileHandle> {
    const { model, maxBytes, container } = this.settings;
    const header = journalHeader(model, maxBytes, HEADER_BYTES[container]);
    await rm(this.part, { force: true }); // one without a whole header
    this.#file = await createFileLike(this.path, this.part);
    await writeAll(this.#file, header, 0);
    this.#end = header.length;
    return this.#file;
  }

  #failure(error: unknown): Error {
    if (error instanceof ArgumentError) return error;
    const reason = error instanceof FileError ? error.message : `cannot write ${this.path}: ${fileErrorReason(error)}`;
    const kept = this.#count === 0 ? '' : `; the ${this.#count} faces that are done are in ${this.part}`;
    return new FileError(`${reason}${kept}`, { cause: error });
  }
}

const REMEDY = 'give it the same faces, or remove that file to start again';

/** Of an archive that has not been begun. */
const NOTHING: JournalExtent = { faces: 0, end: 0, codeBytes: 0, nameBytes: 0 };

/** @throws ArgumentError if new faces would have other settings than the existing ones */
function checkSettings(
  part: string,
  { settings }: FaceJournal,
  { model, maxBytes, container }: ArchiveWriterSettings,
): void {
  const differ = (what: string, was: unknown, is: unknown): void => {
    if (was !== is) throw new ArgumentError(`${part} was begun with ${what} ${was}, this is ${is}: ${REMEDY}`);
  };
  differ('model', settings.modelId, model.idText);
  differ('version of the encoder', settings.encoderVersion, ENCODER_VERSION);
  differ('a byte budget of', settings.maxBytes, maxBytes);
  differ('bytes in addition to the code of', settings.headerBytes, HEADER_BYTES[container]);
}

/** @throws ArgumentError for an existing file that is not an archive, which must not be lost */
export async function checkReplaceable(path: string): Promise<void> {
  if (!(await stat(path).catch(() => undefined))?.size) return;
  const source = await FileSource.open(path);
  try {
    const head = await source.read(0, Math.min(source.size, ARCHIVE_MAGIC.length));
    if (ARCHIVE_MAGIC.every((byte, k) => head[k] === byte)) return;
  } finally {
    await source.close();
  }
  throw new ArgumentError(`${path} exists and is not an archive: choose another name, or remove it`);
}

/** Whether there is a journal; a program that was killed right at the beginning leaves only a part of the header. */
async function hasHeader(path: string): Promise<boolean> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  });
  return info !== undefined && !(info.isFile() && info.size < JOURNAL_HEADER_BYTES);
}

/** Opens a journal for writing, and cuts off everything after its complete faces. */
async function openAgain(path: string, end: number): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r+');
    await file.truncate(end);
    return file;
  } catch (error) {
    await file?.close();
    throw new FileError(`cannot write ${path}: ${fileErrorReason(error)}`, { cause: error });
  }
}
