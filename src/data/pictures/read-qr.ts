import decodeQR from 'qr/decode.js';
import { CameoError } from '../../common/errors.js';
import { reducePicture } from '../../common/reduce-picture.js';
import type { RgbImage } from '../../common/rgb-image.js';

/*
 * The bytes of QR codes in pictures (qr-code.ts makes them). Runs in browsers, too.
 */

/** A picture without a QR code that can be read. */
export class NoCodeError extends CameoError {}

// The library speaks in texts; a character for each byte, of the same number, keeps them as they are.
const toText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/**
 * The bytes of a QR code in a picture; it may be turned, bent by perspective, or light on dark.
 * @param patience milliseconds for what is hard to find; what is easy takes its time whatever this is
 * @throws NoCodeError
 */
export function readQr(picture: RgbImage, patience: number): Uint8Array {
  try {
    return toBytes(decodeQR(picture, { effort: Infinity, timeLimit: patience, textDecoder: toText }));
  } catch (cause) {
    throw new NoCodeError('no QR code can be read in it: take it sharp, straight and with its light border', { cause });
  }
}

/** Pictures are not made smaller than this: a code of version 40 has 177 modules, of which each takes two pixels. */
const MIN_REDUCED_SIDE = 400;

/**
 * The same of a picture for which there is time: where nothing is found, smaller ones are looked at, in which noise and the
 * grain of paper are averaged away, and the mirror image.
 * @param patience milliseconds for what is hard to find, in each of at most four pictures
 * @throws NoCodeError
 */
export function searchQr(picture: RgbImage, patience: number): Uint8Array {
  const factors = [2, 4].filter((factor) => Math.max(picture.width, picture.height) >= factor * MIN_REDUCED_SIDE);
  const others = [...factors.map((factor) => () => reducePicture(picture, factor)), () => mirrorImage(picture)];
  try {
    return readQr(picture, patience);
  } catch (error) {
    for (const other of others) {
      try {
        return readQr(other(), patience);
      } catch {
        // The next one is tried.
      }
    }
    throw error;
  }
}

function mirrorImage({ width, height, data }: RgbImage): RgbImage {
  const mirrored = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += 3) {
    const x = (at / 3) % width;
    mirrored.set(data.subarray(at, at + 3), at + 3 * (width - 1 - 2 * x));
  }
  return { width, height, data: mirrored };
}
