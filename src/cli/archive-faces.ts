import { ARCHIVE_ENTRY_BYTES, ARCHIVE_HEADER_BYTES, FaceArchive } from '../codec/face-archive.js';
import { ArgumentError, FormatError } from '../common/errors.js';
import { FileSource } from '../data/file-source.js';

/**
 * Opens an archive where it lies for `body`, and closes it whatever comes of that.
 * @throws FileError; FormatError for no archive, or one whose index is cut off, so that none of its faces can be read
 */
export async function withArchive<T>(path: string, body: (archive: FaceArchive, size: number) => Promise<T>) {
  const source = await FileSource.open(path);
  try {
    const archive = await FaceArchive.open(source);
    const index = ARCHIVE_HEADER_BYTES + archive.count * ARCHIVE_ENTRY_BYTES;
    if (source.size < index) {
      throw new FormatError(
        `truncated: the index of ${archive.count} faces has at least ${index} bytes, the archive ${source.size}`,
      );
    }
    return await body(archive, source.size);
  } finally {
    await source.close();
  }
}

/**
 * The number of a face by its name; where faces have none, by that number.
 * @throws ArgumentError where there is none, FormatError for a damaged index
 */
export async function numberOfFace(archive: FaceArchive, name: string): Promise<number> {
  const found = archive.named ? await archive.find(name) : Number(name);
  if (found !== undefined && Number.isInteger(found) && found >= 0 && found < archive.count) return found;
  const known = archive.named ? '`cameo info` lists them' : 'they have numbers from 0, and no names';
  throw new ArgumentError(`no face is called "${name}" among ${archive.count}: ${known}`);
}

/** What a face is called: by its number where it has no name. @throws FormatError for a damaged name */
export async function nameOfFace(archive: FaceArchive, k: number): Promise<string> {
  return (await archive.name(k)) ?? String(k);
}
