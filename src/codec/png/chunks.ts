import { FormatError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';

export const PNG_SIGNATURE = /* @__PURE__ */ Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Where the chunk after IHDR begins: the signature has 8 bytes, and IHDR 25 with its frame. */
export const IHDR_END = 8 + 25;

export interface PngChunk {
  /** Four ASCII letters. */
  type: string;
  data: Uint8Array;
}

/** A PNG file of these chunks, in this order. */
export function joinPngChunks(chunks: readonly PngChunk[]): Uint8Array {
  const size = chunks.reduce((sum, { data }) => sum + 12 + data.length, PNG_SIGNATURE.length);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  file.set(PNG_SIGNATURE);
  let at = PNG_SIGNATURE.length;
  for (const { type, data } of chunks) {
    view.setUint32(at, data.length);
    for (let k = 0; k < 4; k++) file[at + 4 + k] = type.charCodeAt(k);
    file.set(data, at + 8);
    view.setUint32(at + 8 + data.length, crc32(file.subarray(at + 4, at + 8 + data.length)));
    at += 12 + data.length;
  }
  return file;
}

/**
 * Takes a PNG file apart; the chunks' data are views of `file`, nothing is copied. Throws {@link FormatError} for a bad
 * signature, a chunk that is cut off or whose CRC is wrong, a name that is not four letters, no IEND, and bytes after IEND.
 */
export function readPng(file: Uint8Array): PngChunk[] {
  const shared = Math.min(file.length, PNG_SIGNATURE.length);
  for (let k = 0; k < shared; k++) {
    if (file[k] !== PNG_SIGNATURE[k]) throw new FormatError('not a PNG file: its signature is wrong');
  }
  if (file.length < PNG_SIGNATURE.length) {
    throw new FormatError(`file is truncated: ${file.length} bytes are less than a PNG signature`);
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const chunks: PngChunk[] = [];
  let at = PNG_SIGNATURE.length;
  while (chunks.at(-1)?.type !== 'IEND') {
    if (file.length - at < 12) throw new FormatError(`file is truncated: no whole chunk at byte ${at}`);
    const length = view.getUint32(at);
    const name = file.subarray(at + 4, at + 8);
    if (!name.every((byte) => (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122))) {
      throw new FormatError(`chunk at byte ${at} has a name that is not four letters`);
    }
    const type = String.fromCharCode(...name);
    if (length > file.length - at - 12) {
      throw new FormatError(`file is truncated: chunk ${type} at byte ${at} declares ${length} bytes of data`);
    }
    const end = at + 8 + length;
    if (view.getUint32(end) !== crc32(file.subarray(at + 4, end))) {
      throw new FormatError(`chunk ${type} at byte ${at} is corrupt: its CRC does not match`);
    }
    chunks.push({ type, data: file.subarray(at + 8, end) });
    at = end + 4;
  }
  if (at !== file.length) throw new FormatError(`${file.length - at} bytes of foreign data after the end of the PNG`);
  return chunks;
}

/** The types of the chunks in the first bytes of a PNG, up to IDAT, and where each begins; none for another file. */
export function* chunksAtHead(head: Uint8Array): Generator<{ type: string; at: number }, void, undefined> {
  if (!PNG_SIGNATURE.every((byte, k) => head[k] === byte)) return;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = PNG_SIGNATURE.length; at + 8 <= head.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...head.subarray(at + 4, at + 8));
    yield { type, at };
    if (type === 'IDAT') return;
  }
}
