import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import {
  ensureFolder,
  FileError,
  fileErrorReason,
  replaceFile,
  writeAll,
  writeFileAtomic,
} from '../files/atomic-file.js';
import { openRegularFile } from '../files/read-file.js';
import type { FaceEntry } from './face-listing.js';

/** Bytes of one face: 112 rows × 96 columns, RGB interleaved. */
export const FACE_BYTES = FACE_HEIGHT * FACE_WIDTH * 3;
/** The pixels of all faces, in the order of the manifest beside it. */
export const PACK_FILE = 'faces.rgb';
const COLUMNS = ['path', 'identity', 'source', 'split', 'sex', 'race'] as const;

/** A face to be put into a pack. */
export interface PackedFace {
  entry: FaceEntry;
  /** RGB, 112·96·3 bytes */
  pixels: Uint8Array;
}

/**
 * Writes faces as one file of decoded pixels and a manifest, in a folder that `openFaceFolder` takes like any other, so that
 * training does not have to decode. The manifest is written last: a pack with a manifest is complete.
 * @returns the number of faces
 * @throws FileError, FormatError for a face of another size
 */
export async function writeFacePack(folder: string, faces: AsyncIterable<PackedFace>): Promise<number> {
  await ensureFolder(folder);
  const lines: string[] = [COLUMNS.join('\t')];
  await replaceFile(join(folder, PACK_FILE), async (file) => {
    for await (const { entry, pixels } of faces) {
      if (pixels.length !== FACE_BYTES) {
        throw new FormatError(`${entry.path}: ${pixels.length} bytes of pixels; expected ${FACE_BYTES}`);
      }
      await writeAll(file, pixels);
      lines.push(COLUMNS.map((column) => entry[column]).join('\t'));
    }
  });
  await writeFileAtomic(join(folder, 'manifest.tsv'), `${lines.join('\n')}\n`);
  return lines.length - 1;
}

/** The pixels of a pack, read face by face when asked for; the system caches those that are used often. */
export class FacePack {
  private constructor(readonly path: string) {}

  /**
   * @param count faces in the manifest
   * @returns null for a folder without the file of a pack
   * @throws FormatError if the file does not have the size of this many faces; FileError
   */
  static async open(folder: string, count: number): Promise<FacePack | null> {
    const path = join(folder, PACK_FILE);
    const found = await stat(path).catch(() => null);
    if (!found) return null;
    if (found.size !== count * FACE_BYTES) {
      throw new FormatError(
        `${path}: ${found.size} bytes; the manifest lists ${count} faces of ${FACE_BYTES}: ${count * FACE_BYTES}`,
      );
    }
    return new FacePack(path);
  }

  /** @throws FileError */
  async read(row: number): Promise<Uint8Array> {
    return readFace(this.path, row * FACE_BYTES);
  }
}

/**
 * The pixels of the face that begins at a byte of a file.
 * @throws FileError
 */
export async function readFace(path: string, at: number): Promise<Uint8Array> {
  const pixels = new Uint8Array(FACE_BYTES);
  try {
    const { file } = await openRegularFile(path);
    try {
      const { bytesRead } = await file.read(pixels, 0, FACE_BYTES, at);
      if (bytesRead !== FACE_BYTES) throw new Error(`it ends ${FACE_BYTES - bytesRead} bytes too early`);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
  return pixels;
}
