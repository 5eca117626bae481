/** The effect of a byte on the CRC, [4, 256]: alone, and followed by one, two or three zero bytes. */
const table = /* @__PURE__ */ (() => {
  const all = new Int32Array(4 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    all[n] = c;
  }
  for (let n = 256; n < 4 * 256; n++) all[n] = all[all[n - 256] & 255] ^ (all[n - 256] >>> 8);
  return all;
})();

/**
 * CRC-32 as PNG and zlib define it (polynomial 0x04C11DB7 reflected, ISO 3309), an unsigned 32-bit integer.
 * To go on from earlier bytes, give their CRC as `previous`.
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  let c = ~previous;
  let i = 0;
  // Four bytes at once ("slicing by 4"): weights have millions of them.
  for (; i + 4 <= bytes.length; i += 4) {
    c ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    c = table[768 + (c & 255)] ^ table[512 + ((c >>> 8) & 255)] ^ table[256 + ((c >>> 16) & 255)] ^ table[c >>> 24];
  }
  for (; i < bytes.length; i++) c = table[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

/** Adler-32 checksum (RFC 1950, section 8.2), an unsigned 32-bit integer. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let i = 0; i < bytes.length; i++) {
    a = (a + bytes[i]) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}
