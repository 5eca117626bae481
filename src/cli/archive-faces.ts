import { ARCHIVE_ENTRY_BYTES, ARCHIVE_HEADER_BYTES } from '../codec/container/archive-layout.js';
import { type ByteSource, bytesSource, type FaceCollection } from '../codec/container/face-archive.js';
import { FaceJournal, type JournalDamage, openFaces } from '../codec/container/face-journal.js';
import { ArgumentError, FormatError } from '../common/errors.js';
import { FileSource } from '../data/archives/file-source.js';
import { compactStdin, DASH } from './stdin.js';

/**
 * Opens an archive in place for `body`, finished or not, and closes it in any case.
 * @throws FileError; FormatError for a file that is not an archive, or whose index is cut off, so that none of its faces can be read
 */
export async function withArchive<T>(
  path: string,
  body: (archive: FaceCollection, size: number, source: ByteSource) => Promise<T>,
) {
  const source = path === DASH ? memorySource(await compactStdin()) : await FileSource.open(path);
  try {
    const archive = await openFaces(source);
    const index = ARCHIVE_HEADER_BYTES + archive.count * ARCHIVE_ENTRY_BYTES;
    if (!(archive instanceof FaceJournal) && source.size < index) {
      throw new FormatError(
        `truncated: the index of ${archive.count} faces has at least ${index} bytes, the archive ${source.size}`,
      );
    }
    return await body(archive, source.size, source);
  } finally {
    await source.close();
  }
}

const memorySource = (bytes: Uint8Array) => ({ ...bytesSource(bytes), size: bytes.length, close: async () => {} });

/**
 * The number of a face by its name, or by its number if faces have no names.
 * @throws ArgumentError if there is none, FormatError for a damaged index
 */
export async function numberOfFace(archive: FaceCollection, name: string): Promise<number> {
  const found = archive.named ? await findNamed(archive, name) : Number(name);
  if (found !== undefined && Number.isInteger(found) && found >= 0 && found < archive.count) return found;
  const known = archive.named ? '`cameo info` lists them' : 'they have no names, only numbers from 0';
  throw new ArgumentError(`none of the ${archive.count} faces is called "${name}": ${known}`);
}

/** The name of a face, or its number if it has no name. @throws FormatError for a damaged name */
export async function nameOfFace(archive: FaceCollection, k: number): Promise<string> {
  return (await archive.name(k)) ?? String(k);
}

/**
 * Complains of damage in an unfinished archive. At its end there may be a face that was being written when the program stopped;
 * this is not damage.
 * @param size bytes of the file
 */
export function damageOf({ damage }: FaceJournal, size: number): { damaged: JournalDamage[]; tail: number } {
  const last = damage.at(-1);
  if (!last || last.offset + last.bytes < size) return { damaged: [...damage], tail: 0 };
  return { damaged: damage.slice(0, -1), tail: last.bytes };
}

export const damageError = ({ offset, bytes }: JournalDamage): FormatError =>
  new FormatError(`${bytes} bytes from byte ${offset} on are damaged, with any faces that were there`);

/** Looks for the name as given, else for one with the same letters in another composition. */
async function findNamed(archive: FaceCollection, name: string): Promise<number | undefined> {
  for (const spelling of new Set([name, name.normalize('NFC'), name.normalize('NFD')])) {
    const found = await archive.find(spelling);
    if (found !== undefined) return found;
  }
  return undefined;
}
