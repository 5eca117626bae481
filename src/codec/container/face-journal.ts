import { FormatError } from '../../common/errors.js';
import { ENCODER_VERSION } from '../byte-budget.js';
import { crc32 } from '../crc32.js';
import { formatModelId, type LatentModel } from '../entropy/latent-model.js';
import { type ArchivedCode, ArchiveIndex, archiveHeader, faceSum, MAX_NAME_BYTES } from './archive-layout.js';
import {
  type ByteSource,
  type CodeEntry,
  checkFaceNumber,
  FaceArchive,
  type FaceCollection,
  nameText,
} from './face-archive.js';
import {
  checkFace,
  checkModel,
  concatenate,
  type DecodedFace,
  decodeFace,
  faceHead,
  littleEndian,
  MAX_FACE_BYTES,
  viewOf,
} from './face-code.js';

/*
 * An unfinished archive: faces are appended one by one. Whatever stops the program, the finished faces can be read, and a
 * later run goes on after them. When all faces are there, it is turned into an archive (face-archive.ts), whose index comes
 * first and so has to be written last.
 *   4  9E 'C' 'M' 'J'
 *   1  version
 *   1  version of the encoder
 *   1  bytes that `maxBytes` counts for a face in addition to its code
 *   1  0
 *   4  model id
 *   4  maximum bytes of a face
 *   4  CRC-32 of the 16 bytes before
 *   …  faces:
 *        4  9E 'C' 'M' 'R'
 *        4  its number, from 0
 *        4  CRC-32 of the picture that was encoded
 *        2  bytes of its name
 *        2  bytes of its code
 *        1  quantization index in the low six bits; bit 6: with a detail layer; bit 7: grey
 *        1  0
 *        2  its checksum in the archive
 *        4  CRC-32 of the 20 bytes before
 *        …  name, UTF-8
 *        …  code
 *        4  CRC-32 of all of it before
 */
const JOURNAL_MAGIC = /* @__PURE__ */ Uint8Array.of(0x9e, 0x43, 0x4d, 0x4a);
const RECORD_MAGIC = /* @__PURE__ */ Uint8Array.of(0x9e, 0x43, 0x4d, 0x52);
const JOURNAL_VERSION = 1;
export const JOURNAL_HEADER_BYTES = 20;
const RECORD_HEADER_BYTES = 24;
const CHECK_BYTES = 4;
/** Bytes that are read at a time when reading from front to back. */
const WINDOW_BYTES = 1 << 20;
/** Bytes that are searched at a time for the next face after a damaged one. */
const SEARCHED_BYTES = 4096;

/** Settings that all faces of a journal share; a run may go on only with the same settings. */
export interface JournalSettings {
  /** Eight hexadecimal digits. */
  modelId: string;
  encoderVersion: number;
  /** Maximum bytes of a face, including those in addition to its code. */
  maxBytes: number;
  /** Bytes in addition to its code. */
  headerBytes: number;
}

export function journalHeader(model: LatentModel, maxBytes: number, headerBytes: number): Uint8Array {
  const fields = concatenate([
    JOURNAL_MAGIC,
    Uint8Array.of(JOURNAL_VERSION, ENCODER_VERSION, headerBytes, 0),
    littleEndian(model.id, 4),
    littleEndian(maxBytes, 4),
  ]);
  return concatenate([fields, littleEndian(crc32(fields), CHECK_BYTES)]);
}

/** A face of a journal, with what an archive stores of it. */
export interface JournalRecord extends ArchivedCode {
  name: Uint8Array;
  number: number;
  /** See `pictureSum`. */
  picture: number;
}

/** CRC-32 of a picture's pixels, by which a run recognises the picture. */
export const pictureSum = (rgb: Uint8Array): number => crc32(rgb);

export function journalRecord({ number, picture, name, code, byte, checksum }: JournalRecord): Uint8Array {
  const fields = concatenate([
    RECORD_MAGIC,
    littleEndian(number, 4),
    littleEndian(picture, 4),
    littleEndian(name.length, 2),
    littleEndian(code.length, 2),
    Uint8Array.of(byte, 0),
    littleEndian(checksum, 2),
  ]);
  const record = concatenate([fields, littleEndian(crc32(fields), CHECK_BYTES), name, code]);
  return concatenate([record, littleEndian(crc32(record), CHECK_BYTES)]);
}

/** Bytes of a journal that are not a complete face: a face that was being written when the program ended, or damage. */
export interface JournalDamage {
  offset: number;
  bytes: number;
}

/** Faces from the first one on. */
export interface JournalExtent {
  faces: number;
  /** Where they end. */
  end: number;
  /** Of all their codes, and of all their names. */
  codeBytes: number;
  nameBytes: number;
}

/**
 * A journal that is read in place. Opening reads all of it and checks every face, but keeps only 8 bytes for each face.
 * Damaged parts are skipped.
 */
export class FaceJournal implements FaceCollection {
  readonly named = true;

  private constructor(
    private readonly source: ByteSource,
    readonly settings: JournalSettings,
    private readonly id: number,
    /** Where the complete faces begin. */
    private readonly offsets: readonly number[],
    readonly damage: readonly JournalDamage[],
    /** The faces before the first damage; a run can go on from where they end. */
    readonly intact: JournalExtent,
  ) {}

  /** @throws FormatError for another kind of file, another version, or a damaged header */
  static async open(source: ByteSource): Promise<FaceJournal> {
    const window = new Window(source);
    const header = await window.read(0, Math.min(source.size, JOURNAL_HEADER_BYTES));
    const { settings, id } = readHeader(header);
    const offsets: number[] = [];
    const damage: JournalDamage[] = [];
    const intact: JournalExtent = { faces: 0, end: JOURNAL_HEADER_BYTES, codeBytes: 0, nameBytes: 0 };
    let last = -1;
    let at = JOURNAL_HEADER_BYTES;
    while (at < source.size) {
      const fields = await recordAt(window, at);
      const complete = fields !== undefined && fields.end <= source.size;
      if (complete && fields.number > last && (await isWhole(window, at, fields.end))) {
        if (at === intact.end && fields.number === intact.faces) {
          intact.faces++;
          intact.end = fields.end;
          intact.codeBytes += fields.codeBytes;
          intact.nameBytes += fields.nameBytes;
        }
        offsets.push(at);
        last = fields.number;
        at = fields.end;
        continue;
      }
      // After it, if its lengths can be trusted; else wherever the next face begins.
      const next = await nextRecord(window, complete ? fields.end : at + 1);
      damage.push({ offset: at, bytes: next - at });
      at = next;
    }
    return new FaceJournal(source, settings, id, offsets, damage, intact);
  }

  get count(): number {
    return this.offsets.length;
  }

  get modelId(): string {
    return this.settings.modelId;
  }

  /**
   * What the journal has for face `k`.
   * @throws ArgumentError for a number out of range, FormatError if the journal has changed since it was opened
   */
  async record(k: number): Promise<JournalRecord> {
    return this.#record(k, this.source);
  }

  /** The first faces in order, or all faces, read in large pieces. @throws as `record` */
  async *records(count = this.count): AsyncGenerator<JournalRecord, void, undefined> {
    const window = new Window(this.source);
    for (let k = 0; k < count; k++) yield await this.#record(k, window);
  }

  /** @throws as `record`, and FormatError for a code that does not fit its checksum, ModelMismatchError for another model */
  async face(k: number, model: LatentModel): Promise<DecodedFace> {
    checkModel(this.id, model);
    const { number, byte, checksum, code } = await this.record(k);
    const face = decodeFace(code, byte, model);
    checkFace(checksum, faceSum(number, byte, face, this.id));
    return face;
  }

  /** @throws as `record`, and FormatError for a name that is no UTF-8 */
  async name(k: number): Promise<string> {
    return nameText(k, (await this.record(k)).name);
  }

  /** @throws as `record` */
  async entry(k: number): Promise<CodeEntry> {
    const { code, byte } = await this.record(k);
    return { bytes: code.length, ...faceHead(byte) };
  }

  /** The number of the first face of this name, undefined where there is none. Reads the whole journal. @throws as `record` */
  async find(name: string): Promise<number | undefined> {
    const wanted = new TextEncoder().encode(name);
    let k = 0;
    for await (const { name: own } of this.records()) {
      if (own.length === wanted.length && own.every((byte, i) => byte === wanted[i])) return k;
      k++;
    }
    return undefined;
  }

  /**
   * The bytes of the archive with these faces, in pieces of about a megabyte, the same as `packArchive` gives.
   * @throws FormatError if faces are missing in between; ArgumentError if they are too large
   */
  async *archive(): AsyncGenerator<Uint8Array, void, undefined> {
    const { faces, codeBytes, nameBytes } = this.intact;
    if (faces !== this.count) {
      throw new FormatError(`${this.count - faces} faces stand behind a damaged one`);
    }
    const pieces = new Pieces();
    yield* pieces.add(archiveHeader(this.id, this.named, this.count, codeBytes, nameBytes));
    const index = new ArchiveIndex(this.named);
    // Reads the journal three times, so that none of it has to be kept in memory.
    for await (const record of this.records()) yield* pieces.add(index.entry(record));
    for await (const { name } of this.records()) yield* pieces.add(name);
    for await (const { code } of this.records()) yield* pieces.add(code);
    yield* pieces.rest();
  }

  async #record(k: number, source: ByteSource): Promise<JournalRecord> {
    checkFaceNumber(k, this.count);
    const at = this.offsets[k];
    const fields = at + RECORD_HEADER_BYTES <= source.size ? await recordAt(source, at) : undefined;
    if (!fields || fields.end > source.size) throw new FormatError(`face ${k}: the journal has changed`);
    const body = at + RECORD_HEADER_BYTES;
    const { number, picture, byte, checksum } = fields;
    const bytes = await source.read(body, fields.nameBytes + fields.codeBytes);
    const [name, code] = [bytes.slice(0, fields.nameBytes), bytes.slice(fields.nameBytes)];
    return { number, picture, byte, checksum, name, code };
  }
}

/**
 * Opens an archive, finished or not.
 * @throws FormatError for a file that is neither, another version, or a damaged header
 */
export async function openFaces(source: ByteSource): Promise<FaceArchive | FaceJournal> {
  const head = await source.read(0, Math.min(source.size, JOURNAL_MAGIC.length));
  return JOURNAL_MAGIC.every((byte, k) => head[k] === byte) ? FaceJournal.open(source) : FaceArchive.open(source);
}

function readHeader(header: Uint8Array): { settings: JournalSettings; id: number } {
  if (!JOURNAL_MAGIC.every((byte, k) => header[k] === byte)) {
    throw new FormatError('not an unfinished archive of faces: it does not begin with 9E "CMJ"');
  }
  if (header.length < JOURNAL_HEADER_BYTES) {
    throw new FormatError(`truncated: ${header.length} bytes; the header alone has ${JOURNAL_HEADER_BYTES}`);
  }
  if (header[4] !== JOURNAL_VERSION) {
    throw new FormatError(
      `version ${header[4]} of unfinished archives is not supported, this program reads version ${JOURNAL_VERSION}`,
    );
  }
  const view = viewOf(header);
  const checked = JOURNAL_HEADER_BYTES - CHECK_BYTES;
  if (view.getUint32(checked, true) !== crc32(header.subarray(0, checked))) {
    throw new FormatError('checksum over the header does not match: the unfinished archive is corrupt');
  }
  const id = view.getUint32(8, true);
  const maxBytes = view.getUint32(12, true);
  const settings = { modelId: formatModelId(id), encoderVersion: header[5], maxBytes, headerBytes: header[6] };
  return { settings, id };
}

interface RecordFields extends Omit<JournalRecord, 'name' | 'code'> {
  nameBytes: number;
  codeBytes: number;
  end: number;
}

/** The fields of the face that begins there; undefined if none does. */
async function recordAt(source: ByteSource, at: number): Promise<RecordFields | undefined> {
  if (at + RECORD_HEADER_BYTES > source.size) return undefined;
  const bytes = await source.read(at, RECORD_HEADER_BYTES);
  if (!RECORD_MAGIC.every((byte, k) => bytes[k] === byte)) return undefined;
  const view = viewOf(bytes);
  const checked = RECORD_HEADER_BYTES - CHECK_BYTES;
  if (view.getUint32(checked, true) !== crc32(bytes.subarray(0, checked))) return undefined;
  const [nameBytes, codeBytes] = [view.getUint16(12, true), view.getUint16(14, true)];
  if (nameBytes > MAX_NAME_BYTES || codeBytes > MAX_FACE_BYTES) return undefined;
  return {
    number: view.getUint32(4, true),
    picture: view.getUint32(8, true),
    nameBytes,
    codeBytes,
    byte: bytes[16],
    checksum: view.getUint16(18, true),
    end: at + RECORD_HEADER_BYTES + nameBytes + codeBytes + CHECK_BYTES,
  };
}

/** Whether the checksum over a whole record matches. */
async function isWhole(source: ByteSource, at: number, end: number): Promise<boolean> {
  const bytes = await source.read(at, end - at);
  const checked = bytes.length - CHECK_BYTES;
  return viewOf(bytes).getUint32(checked, true) === crc32(bytes.subarray(0, checked));
}

/** Where the next face begins, at `from` or after it; the end if there is none. */
async function nextRecord(source: ByteSource, from: number): Promise<number> {
  for (let at = from; at + RECORD_HEADER_BYTES <= source.size; ) {
    const bytes = await source.read(at, Math.min(SEARCHED_BYTES, source.size - at));
    const last = bytes.length - RECORD_HEADER_BYTES;
    for (let k = 0; k <= last; k++) {
      if (bytes[k] !== RECORD_MAGIC[0] || !RECORD_MAGIC.every((byte, i) => bytes[k + i] === byte)) continue;
      if (await recordAt(source, at + k)) return at + k;
    }
    at += last + 1;
  }
  return source.size;
}

/** A source that is read from front to back: a megabyte at a time, from which the next reads are served. */
class Window implements ByteSource {
  readonly size: number;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(private readonly source: ByteSource) {
    this.size = source.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const from = offset - this.#start;
    if (from < 0 || from + length > this.#bytes.length) {
      this.#bytes = await this.source.read(offset, Math.min(this.size - offset, Math.max(length, WINDOW_BYTES)));
      this.#start = offset;
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length);
  }
}

/** Gathers small pieces into large ones, of about a megabyte. */
export class Pieces {
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  *add(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
    this.#waiting.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= WINDOW_BYTES) yield* this.rest();
  }

  *rest(): Generator<Uint8Array, void, undefined> {
    const all = concatenate(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    if (all.length > 0) yield all;
  }
}
