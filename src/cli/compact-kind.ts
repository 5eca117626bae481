import { isBareStart } from '../codec/container/face-bare.js';
import { MAX_FACE_BYTES } from '../codec/container/face-code.js';
import { FILE_HEADER_BYTES, isFaceFile } from '../codec/container/face-file.js';
import { MAX_COMPACT_PNG_BYTES } from '../codec/png/container.js';
import { FormatError } from '../common/errors.js';
import type { RgbImage } from '../common/rgb-image.js';
import { FileSource } from '../data/archives/file-source.js';
import { readRegularFile } from '../data/files/read-file.js';
import { MAX_PICTURE_BYTES, readImage } from '../data/pictures/image.js';
import { OWN_FILE_HEAD_BYTES, ownFileOf } from '../data/pictures/own-files.js';
import { isPicture, isPng } from '../data/pictures/picture-format.js';
import { NoCodeError, readQr, searchQr } from '../data/pictures/read-qr.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';
import { compactStdin, DASH, inputName } from './stdin.js';

/** Kinds of files that hold one or many faces. */
export type CompactKind = 'png' | 'file' | 'bare' | 'archive';

/** The same of one face. */
export type OneFaceKind = Exclude<CompactKind, 'archive'>;

/** Suffixes of the files of each kind. */
export const SUFFIXES: Readonly<Record<CompactKind, string>> = {
  png: '.cameo.png',
  file: '.cameo',
  bare: '.cameo.bare',
  archive: '.cameos',
};

/** No file of one face is larger. */
export const MAX_BYTES: Readonly<Record<OneFaceKind, number>> = {
  png: MAX_COMPACT_PNG_BYTES,
  file: MAX_FACE_BYTES + FILE_HEADER_BYTES,
  bare: MAX_FACE_BYTES + FILE_HEADER_BYTES,
};

const MAGIC: readonly [kind: CompactKind, bytes: readonly number[]][] = [
  ['file', [0x9e, 0x43, 0x4d, 0x46]],
  ['archive', [0x9e, 0x43, 0x4d, 0x41]],
  ['archive', [0x9e, 0x43, 0x4d, 0x4a]], // unfinished
];

/** Milliseconds to look for a QR code that is hard to find, in each size of the picture. */
const QR_PATIENCE = 3000;

async function headOf(path: string): Promise<Uint8Array> {
  if (path === DASH) return (await compactStdin()).subarray(0, OWN_FILE_HEAD_BYTES);
  const source = await FileSource.open(path);
  try {
    return await source.read(0, Math.min(OWN_FILE_HEAD_BYTES, source.size));
  } finally {
    await source.close();
  }
}

/** The bytes of a file, or of standard input for "-". @throws FileError, FormatError for too many */
async function readAtMost(path: string, maxBytes: number): Promise<Uint8Array> {
  if (path !== DASH) return readRegularFile(path, maxBytes);
  const bytes = await compactStdin();
  if (bytes.length <= maxBytes) return bytes;
  throw new FormatError(`it has ${bytes.length} bytes; at most ${maxBytes} are accepted`);
}

/** A face in a container of its own. */
export interface CompactFace {
  kind: OneFaceKind;
  bytes: Uint8Array;
  /** Whether it was in a QR code. */
  qr: boolean;
}

/**
 * The face in a file, or in standard input for "-".
 * @param kind by `compactKindOf`; a picture may show a QR code
 * @throws FileError; ImageError for a picture that cannot be read; FormatError for too many bytes, and for a picture without a QR
 *   code, or with one that does not hold a face
 */
export async function readCompactFace(path: string, kind: OneFaceKind | 'picture'): Promise<CompactFace> {
  if (kind !== 'picture') return { kind, bytes: await readAtMost(path, MAX_BYTES[kind]), qr: false };
  const file = await readAtMost(path, MAX_PICTURE_BYTES);
  const picture = await readImage(file, { name: inputName(path), background: 'white' });
  return faceOfQr(
    bytesOfQr(picture, isPng(file) ? 'a PNG, but not a compact file (not one row of grey pixels)' : 'a picture'),
  );
}

function bytesOfQr(picture: RgbImage, what: string): Uint8Array {
  try {
    return searchQr(picture, QR_PATIENCE);
  } catch (cause) {
    if (!(cause instanceof NoCodeError)) throw cause;
    throw new FormatError(`${what}, and ${cause.message}`, { cause });
  }
}

/** The bytes of a QR code, if they can be a face. @throws FormatError */
function faceOfQr(bytes: Uint8Array): CompactFace {
  if (isFaceFile(bytes)) return { kind: 'file', bytes, qr: true };
  if (isBareStart(bytes[0])) return { kind: 'bare', bytes, qr: true };
  throw new FormatError(`its QR code holds no face but ${contentText(bytes)}`);
}

/**
 * The face in a picture of a QR code; undefined if there is no readable code, if the code holds something else,
 * and for a picture of the size of an aligned face.
 * @param patience milliseconds for a code that is hard to find
 * @throws FileError, ImageError
 */
export async function faceInQrPicture(path: string, patience: number): Promise<CompactFace | undefined> {
  const file = await readAtMost(path, MAX_PICTURE_BYTES);
  const picture = await readImage(file, { name: inputName(path), background: 'white' });
  if (picture.width === FACE_WIDTH && picture.height === FACE_HEIGHT) return undefined;
  try {
    return faceOfQr(readQr(picture, patience));
  } catch (error) {
    if (error instanceof NoCodeError || error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Describes bytes for messages: their text, if they are a text. */
function contentText(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  if (/[\p{Cc}\ufffd]/u.test(text)) return `${bytes.length} other bytes`;
  return text.length > 60 ? `${JSON.stringify(text.slice(0, 60))} …` : JSON.stringify(text);
}

/**
 * The kind of a file by its first bytes, or else by its name: a bare face has no telling first bytes, and for a damaged file an
 * error should say what is wrong. A picture that is not a compact PNG may show a QR code.
 * @returns undefined for none of these
 * @throws FileError for what cannot be read
 */
export async function kindOfFile(path: string): Promise<CompactKind | 'picture' | undefined> {
  const head = await headOf(path);
  const byMagic = MAGIC.find(([, bytes]) => bytes.every((byte, k) => head[k] === byte))?.[0];
  if (byMagic) return byMagic;
  if (isPng(head) && ownFileOf(head, path) === 'compact') return 'png';
  if (isPicture(head)) return 'picture';
  const byName = (Object.keys(SUFFIXES) as CompactKind[]).find((kind) => path.toLowerCase().endsWith(SUFFIXES[kind]));
  return byName ?? (path === DASH ? 'bare' : undefined);
}

/** The same, for a file that must hold a face. @throws as `kindOfFile`, FormatError for other files */
export async function compactKindOf(path: string): Promise<CompactKind | 'picture'> {
  const kind = await kindOfFile(path);
  if (kind) return kind;
  throw new FormatError(
    `${path}: not a face: it does not begin as a face file, an archive or a picture, and its name does not end in ${SUFFIXES.bare}`,
  );
}
