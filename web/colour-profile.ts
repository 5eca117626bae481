/*
 * Chromium writes a colour profile of some 470 bytes, always sRGB, into every JPEG and WebP: as much as a whole face. A file
 * without a profile means sRGB, too.
 */

/** A copy of a JPEG or WebP file without its colour profile. */
export async function withoutProfile(blob: Blob): Promise<Blob> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const parts = blob.type === 'image/webp' ? webpWithoutProfile(bytes) : jpegWithoutProfile(bytes);
  // The parts are joined, because Firefox decides by the first part of a blob alone whether it is a picture.
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Blob([whole], { type: blob.type });
}

const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

type Parts = Uint8Array<ArrayBuffer>[];

/** Takes the picture's chunk out of a WebP file of the extended form, and makes a file of the simple form of it. */
function webpWithoutProfile(bytes: Uint8Array<ArrayBuffer>): Parts {
  const view = new DataView(bytes.buffer);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size % 2);
    if (textAt(bytes, at, 4) === 'VP8 ') {
      const header = bytes.slice(0, 12);
      new DataView(header.buffer).setUint32(4, 4 + end - at, true);
      return [header, bytes.subarray(at, end)];
    }
    at = end;
  }
  return [bytes];
}

const APP2 = 0xe2;
const SCAN = 0xda;

function jpegWithoutProfile(bytes: Uint8Array<ArrayBuffer>): Parts {
  const parts: Parts = [bytes.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at + 1] !== SCAN) {
    const end = at + 2 + 256 * bytes[at + 2] + bytes[at + 3];
    const profile = bytes[at + 1] === APP2 && textAt(bytes, at + 4, 11) === 'ICC_PROFILE';
    if (!profile) parts.push(bytes.subarray(at, end));
    at = end;
  }
  return [...parts, bytes.subarray(at)];
}
