import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { ArchiveIndex, archiveHeader, faceSum } from '../../codec/container/archive-layout.js';
import type { FaceArchive } from '../../codec/container/face-archive.js';
import { faceByte } from '../../codec/container/face-code.js';
import { FaceJournal, openFaces, Pieces } from '../../codec/container/face-journal.js';
import type { LatentModel } from '../../codec/entropy/latent-model.js';
import { ArgumentError, CameoError, FormatError, ModelMismatchError } from '../../common/errors.js';
import { quoted } from '../../common/text.js';
import {
  checkTarget,
  FileError,
  isSameFile,
  removeTemporaries,
  replaceFile,
  type WritableFile,
  writeAll,
} from '../files/atomic-file.js';
import { withWriterLock } from '../files/writer-lock.js';
import { compareListed, listedItems } from '../pictures/picture-listing.js';
import { contentHash } from './archive-embeddings.js';
import { checkReplaceable } from './archive-writer.js';
import { FileSource } from './file-source.js';
import { PagedSource } from './paged-source.js';
import { ShardCheck } from './shard-check.js';
import { nameHash, nameKey } from './shards.js';
import { StoredFaces } from './stored-faces.js';

/*
 * Joins archives in little memory: each is read in pages, and 14 bytes are kept for each face. All of them are read and checked
 * before anything is written. The open files stay what they are even if another program replaces an archive meanwhile.
 */

/** Bytes of one page of every archive together; a few pages of each are kept. */
const PAGES_BYTES = 2 ** 24;
const [MIN_PAGE, MAX_PAGE] = [2 ** 12, 2 ** 16];

export interface MergeOptions {
  /** Of the faces; decoding them checks their checksums. */
  model: LatentModel;
  /** If the archives are all shards of a set: their number. */
  shards?: number;
  /** Called with the number of faces that are checked, and of all. */
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface MergeResult {
  faces: number;
  /** Of the merged archive. */
  bytes: number;
  /** Faces of each archive. */
  from: { path: string; faces: number }[];
}

/** An archive that is merged. */
interface Part {
  path: string;
  source: FileSource;
  archive: FaceArchive;
  stored: StoredFaces;
}

/**
 * Writes the faces of several archives into one, with the same codes. Faces are in the order in which a folder is encoded, so that the shards of a folder give
 * the archive of a single run; each archive's own order is kept.
 *
 * @throws ArgumentError for archives whose faces have no names, a name that is there twice, an archive that is given twice or is the output, an
 * output that is not an archive, no face at all, and missing shards; ModelMismatchError for archives of different models, or of another than
 * `model`; FormatError for one that is damaged, unfinished, or of another version; FileError; the signal's reason. The message names the archive.
 * Nothing is written then.
 */
export async function mergeArchives(
  paths: readonly string[],
  output: string,
  options: MergeOptions,
): Promise<MergeResult> {
  await checkTarget(output);
  for (const path of paths) {
    if (await isSameFile(path, output)) throw new ArgumentError(`${output} is an input: choose another output`);
  }
  await checkReplaceable(output);
  return withWriterLock(`${output}.lock`, output, async () => {
    await removeTemporaries(output);
    const parts: Part[] = [];
    try {
      const pageBytes = Math.floor(PAGES_BYTES / paths.length);
      for (const path of paths) parts.push(await openPart(path, Math.max(MIN_PAGE, Math.min(MAX_PAGE, pageBytes))));
      checkModels(parts, options.model);
      await checkFiles(parts);
      return await new Merge(parts, options).write(output);
    } finally {
      for (const { source } of parts) await source.close();
    }
  });
}

/** Does work on an archive, and names it in an error. */
async function naming<T>(path: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CameoError) || error.message.startsWith(`${path}: `)) throw error;
    const type = error.constructor as new (message: string, options: ErrorOptions) => CameoError;
    throw new type(`${path}: ${error.message}`, { cause: error });
  }
}

async function openPart(path: string, pageBytes: number): Promise<Part> {
  const source = await FileSource.open(path);
  try {
    return await naming(path, async () => {
      const pages = new PagedSource(source, pageBytes);
      const archive = await openFaces(pages);
      if (archive instanceof FaceJournal) {
        throw new FormatError('the archive is unfinished: finish it with the command that began it');
      }
      if (archive.count > 0 && !archive.named) {
        throw new ArgumentError('its faces have no names; expected names, by which the merged archive finds them');
      }
      return { path, source, archive, stored: await StoredFaces.open(pages, archive) };
    });
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** @throws ModelMismatchError for archives of different models, or of one that the weights do not read */
function checkModels(parts: readonly Part[], model: LatentModel): void {
  const [first] = parts;
  for (const { path, archive } of parts) {
    if (archive.modelId !== first.archive.modelId) {
      throw new ModelMismatchError(
        `${path}: written by model ${archive.modelId}; ${first.path} by ${first.archive.modelId}: expected archives of one model`,
      );
    }
  }
  if (!model.ids.includes(idOf(first))) {
    throw new ModelMismatchError(
      `${first.path}: written by model ${first.archive.modelId}; the model loaded is ${model.idText}`,
    );
  }
}

const idOf = ({ archive }: Part): number => Number.parseInt(archive.modelId, 16);

/** @throws ArgumentError for an archive that is given twice */
async function checkFiles(parts: readonly Part[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const { path } of parts) {
    const { dev, ino } = await stat(path);
    const other = seen.get(`${dev} ${ino}`);
    if (other !== undefined)
      throw new ArgumentError(`${path}: is the same file as ${other}; expected each archive once`);
    seen.set(`${dev} ${ino}`, path);
  }
}

/** The next face of an archive. */
interface Head {
  part: number;
  k: number;
  name: string;
  items: readonly string[];
}

/** Equal names are in the order of their archives. */
const compareHeads = (a: Head, b: Head): number => compareListed(a.items, b.items) || a.part - b.part;

class Merge {
  readonly #count: number;
  /** Of which archive each face of the merged one is. */
  readonly #order: Uint32Array;
  /** Its checksum there, which depends on its number. */
  readonly #sums: Uint16Array;

  constructor(
    private readonly parts: readonly Part[],
    private readonly options: MergeOptions,
  ) {
    this.#count = sumOf(parts.map(({ archive }) => archive.count));
    this.#order = new Uint32Array(this.#count);
    this.#sums = new Uint16Array(this.#count);
  }

  /** @throws as `mergeArchives` */
  async write(path: string): Promise<MergeResult> {
    if (this.#count === 0) {
      throw new ArgumentError(`${path}: not written, because there is no face to put into it`);
    }
    const { parts } = this;
    const { signal } = this.options;
    const header = this.#header();
    await this.#arrange();
    await this.#check();
    const hash = createHash('sha256');
    let bytes = 0;
    const write = async (file: WritableFile): Promise<void> => {
      for await (const piece of this.#pieces(header)) {
        signal?.throwIfAborted();
        await writeAll(file, piece);
        hash.update(piece);
        bytes += piece.length;
      }
    };
    await replaceFile(path, write, { durable: true });
    await verify(path, bytes, hash.digest());
    const from = parts.map(({ path, archive }) => ({ path, faces: archive.count }));
    return { faces: this.#count, bytes, from };
  }

  /** @throws ArgumentError if the faces are too large for one archive */
  #header(): Uint8Array {
    const codeBytes = sumOf(this.parts.map(({ stored }) => stored.codeBytes));
    const nameBytes = sumOf(this.parts.map(({ stored }) => stored.nameBytes));
    return archiveHeader(idOf(this.parts[0]), true, this.#count, codeBytes, nameBytes);
  }

  /** Decides on the order, and checks the names. */
  async #arrange(): Promise<void> {
    const { parts } = this;
    const { shards, signal } = this.options;
    const paths = parts.map(({ path }) => path);
    const check = shards === undefined ? undefined : new ShardCheck(paths, shards);
    const hashes = new Float64Array(this.#count);
    /** The next face of each archive; the one that comes next is the last. */
    const heads: Head[] = [];
    const addHead = async (part: number, k: number): Promise<void> => {
      const { path, archive } = parts[part];
      if (k === archive.count) return;
      const name = await naming(path, async () => (await archive.name(k))!);
      insert(heads, { part, k, name, items: listedItems(name) });
    };
    for (const part of parts.keys()) await addHead(part, 0);
    for (let n = 0; n < this.#count; n++) {
      signal?.throwIfAborted();
      const { part, k, name } = heads.pop()!;
      this.#order[n] = part;
      hashes[n] = nameHash(name);
      check?.add(part, name);
      await addHead(part, k + 1);
    }
    hashes.sort();
    for (let n = 1; n < this.#count; n++) {
      if (hashes[n] === hashes[n - 1]) await this.#refuseTwice(hashes[n]);
    }
    check?.finish();
  }

  /** @throws ArgumentError if two faces whose names have this hash have the same name */
  async #refuseTwice(hash: number): Promise<void> {
    const seen = new Map<string, string>();
    for (const { path, archive } of this.parts) {
      for (let k = 0; k < archive.count; k++) {
        const name = (await archive.name(k))!;
        if (nameHash(name) !== hash) continue;
        const where = `${path} (face ${k})`;
        const other = seen.get(nameKey(name));
        if (other !== undefined) {
          throw new ArgumentError(`the name ${quoted(name)} is in ${other} and in ${where}; expected each name once`);
        }
        seen.set(nameKey(name), where);
      }
    }
  }

  /** Decodes every face, checks it, and computes its new checksum. */
  async #check(): Promise<void> {
    const { model, onProgress, signal } = this.options;
    const id = idOf(this.parts[0]);
    for (const { n, part, k } of this.#faces()) {
      signal?.throwIfAborted();
      const face = await naming(`${part.path}, face ${k}`, () => part.archive.face(k, model));
      this.#sums[n] = faceSum(n, faceByte(face), face, id);
      onProgress?.(n + 1, this.#count);
    }
  }

  /** The faces in the order of the merged archive. */
  *#faces(): Generator<{ n: number; part: Part; k: number }, void, undefined> {
    const next = new Uint32Array(this.parts.length);
    for (const [n, part] of this.#order.entries()) yield { n, part: this.parts[part], k: next[part]++ };
  }

  /** The bytes of the merged archive. Reads the archives three times, so that none of them has to be kept in memory. */
  async *#pieces(header: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    const pieces = new Pieces();
    yield* pieces.add(header);
    const index = new ArchiveIndex(true);
    for (const { n, part, k } of this.#faces()) {
      yield* pieces.add(index.entry({ ...(await part.stored.face(k)), checksum: this.#sums[n] }));
    }
    for (const { part, k } of this.#faces()) yield* pieces.add((await part.stored.face(k)).name);
    for (const { part, k } of this.#faces()) yield* pieces.add((await part.stored.face(k)).code);
    yield* pieces.rest();
  }
}

/** @throws FileError if the archive differs from what was written */
async function verify(path: string, bytes: number, digest: Uint8Array): Promise<void> {
  const source = await FileSource.open(path);
  try {
    if (source.size === bytes && Buffer.compare(await contentHash(source), digest) === 0) return;
    throw new FileError(`${path}: read back it differs from the ${bytes} bytes that were written; merge again`);
  } finally {
    await source.close();
  }
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Puts a head into a list that is sorted from the last to the first. */
function insert(heads: Head[], head: Head): void {
  let [low, high] = [0, heads.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareHeads(heads[middle], head) > 0) low = middle + 1;
    else high = middle;
  }
  heads.splice(low, 0, head);
}
