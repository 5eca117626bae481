import { ArgumentError, FormatError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import { formatModelId, type LatentModel } from '../entropy/latent-model.js';
import {
  ARCHIVE_ENTRY_BYTES,
  ARCHIVE_HEADER_BYTES,
  ARCHIVE_MAGIC,
  type ArchivedFace,
  ArchiveIndex,
  archivedCode,
  CHECKED_BYTES,
  faceSum,
  MAX_NAME_BYTES,
  NAMED_ENTRY_BYTES,
  nameChecksum,
} from './archive-layout.js';
import {
  BITSTREAM_VERSION,
  checkFace,
  checkModel,
  concatenate,
  type DecodedFace,
  decodeFace,
  type FaceHead,
  faceHead,
  MAX_FACE_BYTES,
  viewOf,
} from './face-code.js';

/** Number of index entries that are read at a time when looking for a name. */
const SEARCHED_ENTRIES = 4096;

/** The bytes of an archive: in a file, a Blob, or memory (see {@link bytesSource}). */
export interface ByteSource {
  size: number;
  /** Reads exactly these bytes; is never asked for bytes beyond `size`. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** What an index says about a face: the bytes of its code, and how it is coded. */
export type CodeEntry = FaceHead & { bytes: number };

/** Many faces in one file, each of which can be read without the others. */
export interface FaceCollection {
  readonly count: number;
  /** Eight hexadecimal digits. */
  readonly modelId: string;
  readonly named: boolean;
  face(k: number, model: LatentModel): Promise<DecodedFace>;
  name(k: number): Promise<string | undefined>;
  entry(k: number): Promise<CodeEntry>;
  find(name: string): Promise<number | undefined>;
}

/**
 * An archive of faces that are all in memory. `encodeToArchive` of `cameo/node` writes one of any number of faces.
 * @throws ArgumentError if some faces have names and some have none, or all together are too large; ShapeError for symbols
 * that do not fit the model
 */
export function packArchive(faces: readonly ArchivedFace[], model: LatentModel): Uint8Array {
  const index = new ArchiveIndex(faces.length > 0 && faces[0].name !== undefined);
  const all = faces.map((face, k) => archivedCode(face, k, model));
  const entries = all.map((face) => index.entry(face));
  const names = all.flatMap(({ name }) => name ?? []);
  return concatenate([index.header(model.id), ...entries, ...names, ...all.map(({ code }) => code)]);
}

/** @throws ArgumentError if no face of a collection has this number */
export function checkFaceNumber(k: number, count: number): void {
  if (!Number.isInteger(k) || k < 0 || k >= count) {
    throw new ArgumentError(`face ${k} of an archive with ${count}: must be 0 to ${count - 1}`);
  }
}

/** The text of a name. @throws FormatError for bytes that are not UTF-8 */
export function nameText(k: number, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(`face ${k}: its name is not UTF-8`, { cause });
  }
}

/**
 * An archive that is read in place. Opening reads only the header, so an archive that is cut off opens as well, and gives the
 * faces that are still intact.
 */
export class FaceArchive implements FaceCollection {
  private constructor(
    private readonly source: ByteSource,
    readonly count: number,
    /** Eight hexadecimal digits. */
    readonly modelId: string,
    readonly named: boolean,
    private readonly id: number,
    private readonly nameBytes: number,
  ) {}

  /** @throws FormatError for another kind of file, another version, or a damaged header */
  static async open(source: ByteSource): Promise<FaceArchive> {
    const header = await source.read(0, Math.min(source.size, ARCHIVE_HEADER_BYTES));
    if (!ARCHIVE_MAGIC.every((byte, k) => header[k] === byte)) {
      throw new FormatError('not an archive of faces: it does not begin with 9E "CMA"');
    }
    if (header.length < ARCHIVE_HEADER_BYTES) {
      throw new FormatError(`truncated: ${header.length} bytes; the header alone has ${ARCHIVE_HEADER_BYTES}`);
    }
    if (header[4] !== BITSTREAM_VERSION) {
      throw new FormatError(
        `format version ${header[4]} is not supported, this program reads version ${BITSTREAM_VERSION}`,
      );
    }
    const view = viewOf(header);
    if (view.getUint32(CHECKED_BYTES, true) !== crc32(header.subarray(0, CHECKED_BYTES))) {
      throw new FormatError('checksum over the header does not match: the archive is corrupt');
    }
    if (header[5] > 1) throw new FormatError(`archive flags are ${header[5]}, must be 0 or 1`);
    const id = view.getUint32(6, true);
    const named = header[5] === 1;
    return new FaceArchive(source, view.getUint32(10, true), formatModelId(id), named, id, view.getUint32(14, true));
  }

  /**
   * Face `k`; reads only its code and its entry in the index.
   * @throws ArgumentError for a number out of range, FormatError for a face that is damaged or cut off, ModelMismatchError
   * for another model's archive
   */
  async face(k: number, model: LatentModel): Promise<DecodedFace> {
    checkModel(this.id, model);
    const { entry, code } = await this.#entry(k);
    const length = code.end - code.start;
    if (!(length >= 0 && length <= MAX_FACE_BYTES)) {
      throw new FormatError(`face ${k}: its code has ${length} bytes by the index, must have 0 to ${MAX_FACE_BYTES}`);
    }
    const codesStart = this.#namesStart + this.nameBytes;
    const face = decodeFace(await this.#read(codesStart + code.start, length, `face ${k}`), entry[4], model);
    checkFace(viewOf(entry).getUint16(5, true), faceSum(k, entry[4], face, this.id));
    return face;
  }

  /**
   * The name of face `k`; undefined if faces have no names.
   * @throws ArgumentError for a number out of range, FormatError for a damaged name
   */
  async name(k: number): Promise<string | undefined> {
    const { entry, name } = await this.#entry(k);
    if (!this.named) return undefined;
    const length = name.end - name.start;
    if (!(length >= 0 && length <= MAX_NAME_BYTES && name.end <= this.nameBytes)) {
      throw new FormatError(`face ${k}: its name goes from byte ${name.start} to ${name.end} of ${this.nameBytes}`);
    }
    const bytes = await this.#read(this.#namesStart + name.start, length, `the name of face ${k}`);
    if (viewOf(entry).getUint16(11, true) !== nameChecksum(k, bytes)) {
      throw new FormatError(`face ${k}: checksum over its name does not match`);
    }
    return nameText(k, bytes);
  }

  /**
   * What the index says about face `k`: the bytes of its code, and whether it is grey. Needs no model.
   * @throws ArgumentError for a number out of range, FormatError for an index that is cut off
   */
  async entry(k: number): Promise<CodeEntry> {
    const { entry, code } = await this.#entry(k);
    return { bytes: code.end - code.start, ...faceHead(entry[4]) };
  }

  /**
   * The number of the first face with this name; undefined if there is none. Reads the index, and only names of this
   * length.
   * @throws FormatError for an index that is cut off
   */
  async find(name: string): Promise<number | undefined> {
    if (!this.named) return undefined;
    const wanted = new TextEncoder().encode(name);
    let start = 0;
    for (let first = 0; first < this.count; first += SEARCHED_ENTRIES) {
      const count = Math.min(SEARCHED_ENTRIES, this.count - first);
      const at = ARCHIVE_HEADER_BYTES + first * NAMED_ENTRY_BYTES;
      const entries = await this.#read(at, count * NAMED_ENTRY_BYTES, 'the index');
      for (let k = 0; k < count; k++) {
        const end = viewOf(entries).getUint32(k * NAMED_ENTRY_BYTES + 7, true);
        if (end - start === wanted.length && end <= this.nameBytes) {
          const own = await this.#read(this.#namesStart + start, wanted.length, `the name of face ${first + k}`);
          if (own.every((byte, i) => byte === wanted[i])) return first + k;
        }
        start = end;
      }
    }
    return undefined;
  }

  get #entryBytes(): number {
    return this.named ? NAMED_ENTRY_BYTES : ARCHIVE_ENTRY_BYTES;
  }

  get #namesStart(): number {
    return ARCHIVE_HEADER_BYTES + this.count * this.#entryBytes;
  }

  /** A face's entry in the index, and where its code and name are: they begin where those of the face before end. */
  async #entry(k: number) {
    checkFaceNumber(k, this.count);
    const size = this.#entryBytes;
    const first = Math.max(0, k - 1);
    const what = `the index entry of face ${k}`;
    const both = await this.#read(ARCHIVE_HEADER_BYTES + first * size, (k - first + 1) * size, what);
    const entry = both.subarray(both.length - size);
    const end = (of: Uint8Array, at: number): number => viewOf(of).getUint32(at, true);
    const start = (at: number): number => (k === 0 ? 0 : end(both, at));
    return {
      entry,
      code: { start: start(0), end: end(entry, 0) },
      name: this.named ? { start: start(7), end: end(entry, 7) } : { start: 0, end: 0 },
    };
  }

  async #read(offset: number, length: number, what: string): Promise<Uint8Array> {
    const { size } = this.source;
    if (offset + length > size) {
      throw new FormatError(`truncated: ${what} ends at byte ${offset + length}, the archive has ${size}`);
    }
    return this.source.read(offset, length);
  }
}
