import type { ByteSource, FaceCollection } from '../src/codec/container/face-archive.js';
import { isFaceFile } from '../src/codec/container/face-file.js';
import { openFaces } from '../src/codec/container/face-journal.js';
import { isCompactPng, MAX_COMPACT_PNG_BYTES } from '../src/codec/png/container.js';
import { FormatError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { NoCodeError, readQr, searchQr } from '../src/data/pictures/read-qr.js';
import { bytesInLink } from './face-link.js';
import { readPicture } from './picture.js';

/** Milliseconds to search for a QR code: long in a picture, short in a frame of the camera, because the next frame follows. */
const SEARCH_MS = { picture: 3000, frame: 30 };
/** The most bytes of a container of one face; larger files are archives or pictures. */
const MAX_BYTES = 70_000;
/** The first bytes of an archive (A), or of a journal, which is an unfinished archive (J). */
const ARCHIVE = /^\x9eCM[AJ]/;
/** The first bytes of a file, which tell whether it is an archive or a compact PNG with a face. */
const HEAD_BYTES = 64;

/** What a file holds: one face in a container of the codec (`face`) or in a PNG (`png`), or many faces. `from` names it for the user. */
export type FoundFaces =
  | { kind: 'face' | 'png'; bytes: Uint8Array; from: string }
  | { kind: 'archive'; faces: FaceCollection; from: string };

/** A source that reads only the parts of a file that are asked for. */
const sourceOf = (file: Blob): ByteSource => ({
  size: file.size,
  read: async (offset, length) => new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()),
});

const headOf = async (file: Blob): Promise<Uint8Array> => new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());

/**
 * The faces in a file: a container of one face, an archive, or a picture of a QR code.
 * @throws FormatError, ImageError, NoCodeError that name the file
 */
export async function facesIn(file: File): Promise<FoundFaces> {
  const { name } = file;
  const head = await headOf(file);
  if (ARCHIVE.test(String.fromCharCode(...head)))
    return { kind: 'archive', faces: await openFaces(sourceOf(file)), from: name };
  if (isCompactPng(head)) {
    if (file.size > MAX_COMPACT_PNG_BYTES) {
      throw new FormatError(`${name}: ${file.size} bytes; a face in a PNG has at most ${MAX_COMPACT_PNG_BYTES}`);
    }
    return { kind: 'png', bytes: new Uint8Array(await file.arrayBuffer()), from: `${name}, a face in a PNG` };
  }
  if (file.size <= MAX_BYTES) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (isFaceFile(bytes)) return { kind: 'face', bytes, from: `${name}, a file` };
    if (/\.bare$/i.test(name)) return { kind: 'face', bytes, from: `${name}, a bare file` };
    if (/\.cameo$/i.test(name)) throw new FormatError(`${name}: not a face file: it does not begin with 9E "CMF"`);
  }
  if (/\.cameos$/i.test(name))
    throw new FormatError(`${name}: not an archive of faces: it does not begin with 9E "CMA"`);
  return inPicture(await readPicture(file, name), name);
}

function inPicture(picture: RgbImage, name: string): FoundFaces {
  try {
    return { kind: 'face', bytes: faceInCode(searchQr(picture, SEARCH_MS.picture)), from: `the QR code in ${name}` };
  } catch (error) {
    if (error instanceof NoCodeError) throw new NoCodeError(`${name}: ${error.message}`);
    throw error;
  }
}

/** The bytes of a face in the content of a QR code, which is either these bytes or a link that contains them. */
function faceInCode(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder('latin1').decode(bytes);
  return (text.startsWith('http') && bytesInLink(text)) || bytes;
}

/** The bytes of the face in the QR code in a frame of the camera. @throws NoCodeError, FormatError */
export const codeInFrame = (frame: RgbImage): Uint8Array => faceInCode(readQr(frame, SEARCH_MS.frame));
