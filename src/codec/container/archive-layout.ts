import { ArgumentError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import type { LatentModel } from '../entropy/latent-model.js';
import {
  BITSTREAM_VERSION,
  concatenate,
  encodeFace,
  type FaceSymbols,
  faceByte,
  faceChecksum,
  littleEndian,
} from './face-code.js';

/*
 * How an archive is written, in memory (`packArchive`) or face by face (face-journal.ts). It holds many faces in one file, and
 * an index, by which each face can be read without the others.
 *   4  9E 'C' 'M' 'A'
 *   1  version
 *   1  1: faces have names; 0: they have none
 *   4  model id
 *   4  number of faces
 *   4  bytes of all names
 *   4  CRC-32 of the 18 bytes before
 *   …  index, for each face:
 *        4  where its code ends, counted from where the codes begin; the code before ends where it begins
 *        1  quantization index in the low six bits; bit 6: with a detail layer; bit 7: grey
 *        2  low half of the checksum over its number (4 bytes), the byte before, the model id, and the symbols
 *        only with names:
 *        4  where its name ends, counted from where names begin
 *        2  low half of the CRC-32 over its number (4 bytes) and its name
 *   …  names, UTF-8
 *   …  codes
 */
export const ARCHIVE_MAGIC: Uint8Array = /* @__PURE__ */ Uint8Array.of(0x9e, 0x43, 0x4d, 0x41);
export const ARCHIVE_HEADER_BYTES = 22;
/** Bytes of the header before its checksum. */
export const CHECKED_BYTES = 18;
/** Bytes of a face in addition to its code, without a name. */
export const ARCHIVE_ENTRY_BYTES = 7;
export const NAMED_ENTRY_BYTES = 13;
/** Longest name that is written or read, in bytes. */
export const MAX_NAME_BYTES = 4096;
/** The largest value of a length field. */
const MAX_BYTES = 0xffffffff;

export type ArchivedFace = FaceSymbols & { name?: string };

/** What an archive holds of one face. */
export interface ArchivedCode {
  /** Its quantization index, and whether it is grey. */
  byte: number;
  /** 16 bits, over its number, the face byte, the model id and the symbols. */
  checksum: number;
  code: Uint8Array;
  name?: Uint8Array;
}

/**
 * @param k the number of the face in the archive
 * @param code of the symbols, if it is known
 * @throws ArgumentError for a name that is too long; ShapeError for symbols that do not fit the model
 */
export function archivedCode(
  face: ArchivedFace,
  k: number,
  model: LatentModel,
  code: Uint8Array = encodeFace(face, model),
): ArchivedCode {
  const byte = faceByte(face);
  const checksum = faceSum(k, byte, face, model.id);
  if (face.name === undefined) return { byte, checksum, code };
  const name = new TextEncoder().encode(face.name);
  if (name.length > MAX_NAME_BYTES) {
    throw new ArgumentError(`the name of face ${k} has ${name.length} bytes, at most ${MAX_NAME_BYTES} are allowed`);
  }
  return { byte, checksum, code, name };
}

/** What `ArchivedCode.checksum` has to be. */
export function faceSum(
  k: number,
  byte: number,
  face: Pick<FaceSymbols, 'symbols' | 'detail'>,
  modelId: number,
): number {
  return faceChecksum(concatenate([littleEndian(k, 4), Uint8Array.of(byte)]), face, modelId) & 0xffff;
}

export function nameChecksum(k: number, name: Uint8Array): number {
  return crc32(name, crc32(littleEndian(k, 4))) & 0xffff;
}

/** The bytes of an archive except for names and codes; of faces that are added one by one. */
export class ArchiveIndex {
  #count = 0;
  #codeBytes = 0;
  #nameBytes = 0;

  constructor(private readonly named: boolean) {}

  /** The entry of the next face. @throws ArgumentError if it has a name and the others have none, or vice versa */
  entry({ byte, checksum, code, name }: ArchivedCode): Uint8Array {
    const k = this.#count++;
    if ((name !== undefined) !== this.named) {
      throw new ArgumentError(`face ${k} has ${this.named ? 'no' : 'a'} name, unlike face 0: name all of them or none`);
    }
    this.#codeBytes += code.length;
    const entry = [littleEndian(this.#codeBytes, 4), Uint8Array.of(byte), littleEndian(checksum, 2)];
    if (name) {
      this.#nameBytes += name.length;
      entry.push(littleEndian(this.#nameBytes, 4), littleEndian(nameChecksum(k, name), 2));
    }
    return concatenate(entry);
  }

  /** The header of an archive with these faces. @throws ArgumentError if they are too large */
  header(modelId: number): Uint8Array {
    return archiveHeader(modelId, this.named, this.#count, this.#codeBytes, this.#nameBytes);
  }
}

/** @throws ArgumentError if the faces are too large for one archive */
export function archiveHeader(
  modelId: number,
  named: boolean,
  count: number,
  codeBytes: number,
  nameBytes: number,
): Uint8Array {
  checkArchiveSize(codeBytes, nameBytes);
  const header = concatenate([
    ARCHIVE_MAGIC,
    Uint8Array.of(BITSTREAM_VERSION, named ? 1 : 0),
    littleEndian(modelId, 4),
    littleEndian(count, 4),
    littleEndian(nameBytes, 4),
  ]);
  return concatenate([header, littleEndian(crc32(header), 4)]);
}

/** @throws ArgumentError for more bytes than the length fields of an archive can hold */
export function checkArchiveSize(codeBytes: number, nameBytes: number): void {
  if (codeBytes <= MAX_BYTES && nameBytes <= MAX_BYTES) return;
  throw new ArgumentError(`${codeBytes} bytes of faces and ${nameBytes} of names, an archive has at most ${MAX_BYTES}`);
}
