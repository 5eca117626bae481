import { pictureSsim, psnr } from '../metrics/picture-quality.js';
import { encodeJpegAtMost, smallestJpeg } from './jpeg.js';
import { encodeJpeg2000AtMost } from './jpeg2000.js';

/**
 * 'jpeg' codes the picture in its size; 'jpegScaled' may code it smaller, for the decoder to enlarge. That gains some
 * 0.4 dB at 1000 bytes and 2 dB at 400 for a face, but asks more of the reader than a plain JPEG.
 */
export const BASELINE_CODECS = ['jpeg', 'jpegScaled', 'jpeg2000'] as const;
export type BaselineCodec = (typeof BASELINE_CODECS)[number];

const SCALES = [1, 5 / 6, 2 / 3, 1 / 2, 1 / 3];

export interface BaselineResult {
  codec: BaselineCodec;
  /** False if no file of this codec fits the budget: this is then its smallest file. */
  fits: boolean;
  /** The file. */
  bytes: Uint8Array;
  /** Decoded, width·height·3 bytes. */
  rgb: Uint8Array;
  /** dB, over all RGB samples. */
  psnr: number;
  ssim: number;
  /** How the file was made, for reports. */
  settings: string;
}

/**
 * One picture by other codecs with at most `maxBytes`: for each codec, the file of best PSNR that fits. JPEG2000 is left out
 * if nothing fits.
 *
 * @param rgb width·height·3 bytes; 11×11 pixels at least
 * @throws ArgumentError when `rgb` does not fit width and height; CameoError when JPEG2000 is asked for and its package
 *   is not installed
 */
export async function encodeBaselines(
  rgb: Uint8Array,
  width: number,
  height: number,
  maxBytes: number,
  codecs: readonly BaselineCodec[] = BASELINE_CODECS,
): Promise<BaselineResult[]> {
  const results: BaselineResult[] = [];
  for (const codec of codecs) {
    const encoded =
      codec === 'jpeg2000'
        ? await jpeg2000(rgb, width, height, maxBytes)
        : await jpeg(rgb, width, height, maxBytes, codec === 'jpeg' ? [1] : SCALES);
    if (!encoded) continue;
    const { bytes, settings } = encoded;
    results.push({
      codec,
      fits: bytes.length <= maxBytes,
      bytes,
      rgb: encoded.rgb,
      psnr: psnr(rgb, encoded.rgb),
      ssim: pictureSsim(rgb, encoded.rgb, width, height, 3),
      settings,
    });
  }
  return results;
}

async function jpeg(rgb: Uint8Array, width: number, height: number, maxBytes: number, scales: readonly number[]) {
  const encoded =
    (await encodeJpegAtMost(rgb, width, height, maxBytes, { scales })) ??
    (await smallestJpeg(rgb, width, height, { scales }));
  const { colour, table, quality, scale } = encoded;
  const size = scale === 1 ? '' : `, scale ${scale.toFixed(2)}`;
  return { ...encoded, settings: `${colour}, table ${table}, quality ${quality}${size}` };
}

async function jpeg2000(rgb: Uint8Array, width: number, height: number, maxBytes: number) {
  const encoded = await encodeJpeg2000AtMost(rgb, width, height, maxBytes);
  if (!encoded) return null;
  return { ...encoded, settings: `${encoded.grey ? 'grey' : 'colour'}, ${encoded.decompositions} decompositions` };
}
