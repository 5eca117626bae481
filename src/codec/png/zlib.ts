import { adler32 } from '../crc32.js';
import { deflateSmallest } from './deflate.js';

/** A zlib stream (RFC 1950) of `data`, as small as {@link deflateSmallest} can make it. */
export function zlibSmallest(data: Uint8Array, pieceLength: number, headLength = 0): Uint8Array {
  const body = deflateSmallest(data, pieceLength, headLength);
  const stream = new Uint8Array(2 + body.length + 4);
  // Deflate with a 32 KiB window, "slowest algorithm", no dictionary; the two bytes are a multiple of 31.
  stream[0] = 0x78;
  stream[1] = 0xda;
  stream.set(body, 2);
  new DataView(stream.buffer).setUint32(2 + body.length, adler32(data));
  return stream;
}
