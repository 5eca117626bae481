import { MAX_FACE_BYTES } from '../codec/container/face-code.js';
import { FILE_HEADER_BYTES } from '../codec/container/face-file.js';
import { MAX_COMPACT_PNG_BYTES } from '../codec/png/container.js';
import { FormatError } from '../common/errors.js';
import { FileSource } from '../data/archives/file-source.js';
import { readRegularFile } from '../data/files/read-file.js';
import { compactStdin, DASH } from './stdin.js';

/** What holds faces: one face a file, or many. */
export type CompactKind = 'png' | 'file' | 'bare' | 'archive';

/** What files of each kind are called: NAME and this. */
export const SUFFIXES: Readonly<Record<CompactKind, string>> = {
  png: '.cameo.png',
  file: '.cameo',
  bare: '.cameo.bare',
  archive: '.cameos',
};

/** No file of one face is larger. */
export const MAX_BYTES: Readonly<Record<Exclude<CompactKind, 'archive'>, number>> = {
  png: MAX_COMPACT_PNG_BYTES,
  file: MAX_FACE_BYTES + FILE_HEADER_BYTES,
  bare: MAX_FACE_BYTES + FILE_HEADER_BYTES,
};

const MAGIC: readonly [kind: CompactKind, bytes: readonly number[]][] = [
  ['png', [0x89, 0x50, 0x4e, 0x47]],
  ['file', [0x9e, 0x43, 0x4d, 0x46]],
  ['archive', [0x9e, 0x43, 0x4d, 0x41]],
  ['archive', [0x9e, 0x43, 0x4d, 0x4a]], // unfinished
];

async function headOf(path: string): Promise<Uint8Array> {
  if (path === DASH) return (await compactStdin()).subarray(0, 4);
  const source = await FileSource.open(path);
  try {
    return await source.read(0, Math.min(4, source.size));
  } finally {
    await source.close();
  }
}

/** The bytes of a file of one face, or of standard input for "-". @throws FileError, FormatError for too many */
export async function readCompact(path: string, kind: Exclude<CompactKind, 'archive'>): Promise<Uint8Array> {
  if (path !== DASH) return readRegularFile(path, MAX_BYTES[kind]);
  const bytes = await compactStdin();
  if (bytes.length <= MAX_BYTES[kind]) return bytes;
  throw new FormatError(`it has ${bytes.length} bytes; at most ${MAX_BYTES[kind]} are accepted here`);
}

/**
 * What kind a file is by its first bytes, or else by its name: a bare face has none that tell, and a damaged file is to be
 * told what is wrong with it.
 * @throws FileError for what cannot be read, FormatError for what is neither
 */
export async function compactKindOf(path: string): Promise<CompactKind> {
  const head = await headOf(path);
  const kinds = Object.keys(SUFFIXES) as CompactKind[];
  const byMagic = MAGIC.find(([, bytes]) => bytes.every((byte, k) => head[k] === byte))?.[0];
  const byName = kinds.find((kind) => path.toLowerCase().endsWith(SUFFIXES[kind]));
  const kind = byMagic ?? byName ?? (path === DASH ? 'bare' : undefined);
  if (kind) return kind;
  throw new FormatError(
    `${path}: no face: it begins neither as a face file, an archive or a PNG, nor ends its name in ${SUFFIXES.bare}`,
  );
}
