import encodeQR from 'qr';
import decodeQR from 'qr/decode.js';
import { CameoError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';

/** A picture without a QR code that can be read. */
export class NoCodeError extends CameoError {}

// The library speaks in texts; a character for each byte, of the same number, keeps them as they are.
const toText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** Light modules around a code; the standard asks for four. */
const BORDER = 4;

/** Bytes as a QR code in byte mode, error correction M (15 %). @returns rows of modules, true where dark */
export function qrModules(bytes: Uint8Array): boolean[][] {
  return encodeQR(toText(bytes), 'raw', { encoding: 'byte', ecc: 'medium', textEncoder: toBytes, border: BORDER });
}

/** A code as a picture, some pixels a module. */
export function qrPicture(modules: readonly (readonly boolean[])[], scale: number): RgbImage {
  const side = modules.length * scale;
  const data = new Uint8Array(3 * side * side).fill(255);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (modules[Math.floor(y / scale)][Math.floor(x / scale)])
        data.fill(0, 3 * (y * side + x), 3 * (y * side + x + 1));
    }
  }
  return { width: side, height: side, data };
}

/**
 * The bytes of a QR code in a picture.
 * @param patience milliseconds for what is hard to find
 * @throws NoCodeError
 */
export function readQr(picture: RgbImage, patience: number): Uint8Array {
  try {
    return toBytes(decodeQR(picture, { effort: Infinity, timeLimit: patience, textDecoder: toText }));
  } catch (cause) {
    throw new NoCodeError('no QR code can be read in it: take it sharp, straight and with its light border', { cause });
  }
}
