import { ARCHIVE_ENTRY_BYTES, ARCHIVE_HEADER_BYTES } from '../codec/container/archive-layout.js';
import { type ByteSource, bytesSource, type FaceCollection } from '../codec/container/face-archive.js';
import { FaceJournal, type JournalDamage, openFaces } from '../codec/container/face-journal.js';
import { ArgumentError, FormatError } from '../common/errors.js';
import { FileSource } from '../data/archives/file-source.js';
import { compactStdin, DASH } from './stdin.js';

/**
 * Opens an archive where it lies for `body`, finished or not, and closes it in any case.
 * @throws FileError; FormatError for no archive, or one whose index is cut off, so that none of its faces can be read
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
 * The number of a face by its name; where faces have none, by that number.
 * @throws ArgumentError if there is none, FormatError for a damaged index
 */
export async function numberOfFace(archive: FaceCollection, name: string): Promise<number> {
  const found = archive.named ? await findNamed(archive, name) : Number(name);
  if (found !== undefined && Number.isInteger(found) && found >= 0 && found < archive.count) return found;
  const known = archive.named ? '`cameo info` lists them' : 'they have no names, only numbers from 0';
  throw new ArgumentError(`none of the ${archive.count} faces is called "${name}": ${known}`);
}

/** What a face is called: by its number where it has no name. @throws FormatError for a damaged name */
export async function nameOfFace(archive: FaceCollection, k: number): Promise<string> {
  return (await archive.name(k)) ?? String(k);
}

/**
 * What is no whole face in an unfinished archive: damage, and at its end the face that was being written when the program
 * stopped, which is none.
 * @param size bytes of the file
 */
export function damageOf({ damage }: FaceJournal, size: number): { damaged: JournalDamage[]; tail: number } {
  const last = damage.at(-1);
  if (!last || last.offset + last.bytes < size) return { damaged: [...damage], tail: 0 };
  return { damaged: damage.slice(0, -1), tail: last.bytes };
}

export const damageError = ({ offset, bytes }: JournalDamage): FormatError =>
  new FormatError(`${bytes} bytes from byte ${offset} on are damaged, with any faces that were there`);

/** By a name as it is given, else by one whose letters are composed otherwise. */
async function findNamed(archive: FaceCollection, name: string): Promise<number | undefined> {
  for (const spelling of new Set([name, name.normalize('NFC'), name.normalize('NFD')])) {
    const found = await archive.find(spelling);
    if (found !== undefined) return found;
  }
  return undefined;
}
