import {
  ARCHIVE_ENTRY_BYTES,
  ARCHIVE_HEADER_BYTES,
  type ArchivedCode,
  NAMED_ENTRY_BYTES,
} from '../../codec/container/archive-layout.js';
import type { ByteSource, FaceArchive } from '../../codec/container/face-archive.js';
import { viewOf } from '../../codec/container/face-code.js';
import { FormatError } from '../../common/errors.js';

/** Where the header has the bytes of all names. */
const NAME_BYTES_AT = 14;

/**
 * Bytes of an archive up to the end of its last face, by its header and its index; a whole archive has no more.
 * @param archive the same source
 * @throws as the source, also for an index that is cut off
 */
export async function archiveEnd(
  source: ByteSource,
  { count, named }: Pick<FaceArchive, 'count' | 'named'>,
): Promise<number> {
  const entryBytes = named ? NAMED_ENTRY_BYTES : ARCHIVE_ENTRY_BYTES;
  const namesStart = ARCHIVE_HEADER_BYTES + count * entryBytes;
  const nameBytes = viewOf(await source.read(NAME_BYTES_AT, 4)).getUint32(0, true);
  if (count === 0) return namesStart + nameBytes;
  const codeEnd = viewOf(await source.read(namesStart - entryBytes, 4)).getUint32(0, true);
  return namesStart + nameBytes + codeEnd;
}

/** What an archive of faces with names stores, as it is. `FaceArchive` checks it. */
export class StoredFaces {
  private constructor(
    private readonly source: ByteSource,
    private readonly namesStart: number,
    /** Of all names, and of all codes. */
    readonly nameBytes: number,
    readonly codeBytes: number,
  ) {}

  /**
   * @param archive the same source; its faces have names, or it has none
   * @throws FormatError if the archive is cut off, or does not end where its last face ends
   */
  static async open(source: ByteSource, { count }: FaceArchive): Promise<StoredFaces> {
    const { size } = source;
    const namesStart = ARCHIVE_HEADER_BYTES + count * NAMED_ENTRY_BYTES;
    if (namesStart > size) {
      throw new FormatError(`truncated: its index ends at byte ${namesStart}, the archive has ${size}`);
    }
    const nameBytes = viewOf(await source.read(NAME_BYTES_AT, 4)).getUint32(0, true);
    const last = count === 0 ? NOTHING : await entryAt(source, count - 1);
    if (last.nameEnd !== nameBytes) {
      throw new FormatError(`the names have ${nameBytes} bytes by the header, ${last.nameEnd} by the index`);
    }
    const end = namesStart + nameBytes + last.codeEnd;
    if (end !== size)
      throw new FormatError(`damaged or cut off: its faces end at byte ${end}, the archive has ${size}`);
    return new StoredFaces(source, namesStart, nameBytes, last.codeEnd);
  }

  /** Face `k`, which exists and has been found intact. @throws as the source */
  async face(k: number): Promise<Required<ArchivedCode>> {
    const { codeEnd, nameEnd, byte, checksum } = await entryAt(this.source, k);
    const before = k === 0 ? NOTHING : await entryAt(this.source, k - 1);
    const name = await this.source.read(this.namesStart + before.nameEnd, nameEnd - before.nameEnd);
    const codesStart = this.namesStart + this.nameBytes;
    const code = await this.source.read(codesStart + before.codeEnd, codeEnd - before.codeEnd);
    return { byte, checksum, name, code };
  }
}

/** Before the first face. */
const NOTHING = { codeEnd: 0, nameEnd: 0 };

/** A face's entry in the index. */
async function entryAt(source: ByteSource, k: number) {
  const entry = await source.read(ARCHIVE_HEADER_BYTES + k * NAMED_ENTRY_BYTES, NAMED_ENTRY_BYTES);
  const view = viewOf(entry);
  return {
    codeEnd: view.getUint32(0, true),
    byte: entry[4],
    checksum: view.getUint16(5, true),
    nameEnd: view.getUint32(7, true),
  };
}
