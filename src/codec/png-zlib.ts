import { Inflate } from 'pako';
import { FormatError } from '../common/errors.js';
import { adler32 } from './crc32.js';
import { deflateSmallest } from './png-deflate.js';

/** A zlib stream (RFC 1950) of `data`, as small as {@link deflateSmallest} can make it. */
export function zlibSmallest(data: Uint8Array, pieceLength: number): Uint8Array {
  const body = deflateSmallest(data, pieceLength);
  const stream = new Uint8Array(2 + body.length + 4);
  // Deflate with a 32 KiB window, "slowest algorithm", no dictionary; the two bytes are a multiple of 31.
  stream[0] = 0x78;
  stream[1] = 0xda;
  stream.set(body, 2);
  new DataView(stream.buffer).setUint32(2 + body.length, adler32(data));
  return stream;
}

/**
 * Inflates a zlib stream that must hold exactly `size` bytes and end with `stream`; otherwise throws
 * {@link FormatError}. Work and memory are bounded by `size`, whatever the stream would expand to.
 */
export function inflateExactly(stream: Uint8Array, size: number): Uint8Array {
  // windowBits above 0 keeps pako from accepting gzip as well. One byte of room more than expected tells excess apart.
  const inflator = new Inflate({ windowBits: 15, chunkSize: size + 1 });
  const result = new Uint8Array(size);
  let filled = 0;
  inflator.onData = (chunk) => {
    const bytes = chunk as Uint8Array;
    if (filled + bytes.length > size) throw new FormatError(`pixel data expand to more than ${size} bytes`);
    result.set(bytes, filled);
    filled += bytes.length;
  };
  const ok = inflator.push(stream, true);
  if (!ok) {
    const reason = inflator.msg || 'the stream ends early';
    throw new FormatError(`pixel data cannot be inflated: ${reason}`);
  }
  if (filled !== size) throw new FormatError(`pixel data expand to ${filled} bytes, expected ${size}`);
  const rest = (inflator as unknown as { strm: { avail_in: number } }).strm.avail_in;
  if (rest > 0) throw new FormatError(`${rest} bytes of foreign data after the pixel data`);
  return result;
}
