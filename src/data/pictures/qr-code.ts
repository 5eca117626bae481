import encodeQR from 'qr';
import { ArgumentError } from '../../common/errors.js';
import type { RgbImage } from '../../common/rgb-image.js';

/*
 * Bytes as QR codes (ISO/IEC 18004, byte mode); read-qr.ts reads them. Runs in browsers, too.
 */

/** How much of a code may be damaged: about 7, 15, 25 and 30 % of its codewords. */
export type QrCorrection = 'low' | 'medium' | 'quartile' | 'high';

/** Maximum bytes of a code, by its error correction: those of version 40 in byte mode (ISO/IEC 18004, table 7). */
export const QR_CAPACITY: Readonly<Record<QrCorrection, number>> = {
  low: 2953,
  medium: 2331,
  quartile: 1663,
  high: 1273,
};

/** Light modules around a code: the standard asks for four. */
export const QR_BORDER = 4;

export interface QrOptions {
  /** 'medium' when absent. */
  correction?: QrCorrection;
  /** Light modules around the code, at least 1; QR_BORDER when absent. */
  border?: number;
}

// The library takes and gives texts; one character for each byte, with the same number, keeps the bytes unchanged.
const toText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/**
 * Bytes as a QR code of the smallest version that holds them.
 * @returns rows of modules with the border, true where dark: 17 + 4 · version of them, and twice the border
 * @throws ArgumentError for no bytes, or more than QR_CAPACITY
 */
export function qrModules(
  bytes: Uint8Array,
  { correction = 'medium', border = QR_BORDER }: QrOptions = {},
): boolean[][] {
  const max = QR_CAPACITY[correction];
  if (bytes.length === 0 || bytes.length > max) {
    throw new ArgumentError(
      `a QR code of ${bytes.length} bytes; with error correction ${correction} it holds 1 to ${max}`,
    );
  }
  return encodeQR(toText(bytes), 'raw', { encoding: 'byte', ecc: correction, textEncoder: toBytes, border });
}

/** The version of a code, 1 to 40, by its modules with the border. */
export const qrVersion = (modules: readonly unknown[], border = QR_BORDER): number =>
  (modules.length - 2 * border - 17) / 4;

/** A code as a picture, `scale` pixels a module. */
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

/** A code as an SVG drawing of `scale` units a module: a white square, and one path of the dark modules. */
export function qrSvg(modules: readonly (readonly boolean[])[], scale: number): string {
  const side = modules.length;
  const runs: string[] = [];
  for (const [y, row] of modules.entries()) {
    for (let x = 0; x < side; x++) {
      if (!row[x]) continue;
      const start = x;
      while (x < side && row[x]) x++;
      runs.push(`M${start} ${y}h${x - start}v1h-${x - start}z`);
    }
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${side * scale}" height="${side * scale}" viewBox="0 0 ${side} ${side}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${side}v${side}H0z"/><path d="${runs.join('')}"/></svg>\n`
  );
}
