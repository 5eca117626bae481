import { decodeJpeg2000, encodeJpeg2000AtMost } from '../jpeg2000.js';
import { psnr } from '../metrics.js';
import type { BudgetCodec, BudgetEncoding } from './budget-codec.js';
import { checkRequest, resized, SCALES, scaled, scaleSetting } from './sizing.js';

/**
 * OpenJPEG, bare codestreams: irreversible wavelet, colour transform, one layer. Whatever code-block size or
 * progression order the package is asked for, the files are the same.
 */
export const JPEG2000: BudgetCodec = {
  name: 'jpeg2000',
  title: 'JPEG2000',
  version: '@cornerstonejs/codec-openjpeg 1.3.6, 1',
  async encode(rgb, width, height, maxBytes) {
    const image = checkRequest(rgb, width, height, maxBytes);
    let best: (BudgetEncoding & { psnr: number }) | null = null;
    for (const scale of SCALES) {
      const small = scaled(image, scale);
      const encoded = await encodeJpeg2000AtMost(small.data, small.width, small.height, maxBytes);
      if (!encoded) continue;
      const { bytes, grey, decompositions } = encoded;
      const decoded = resized({ ...small, data: encoded.rgb }, width, height).data;
      const decibels = psnr(rgb, decoded);
      if (best && decibels <= best.psnr) continue;
      const settings = `${grey ? 'grey' : 'colour'}, ${decompositions} decompositions${scaleSetting(scale)}`;
      best = { bytes, size: bytes.length, rgb: decoded, settings, psnr: decibels };
    }
    return best && { bytes: best.bytes, size: best.size, rgb: best.rgb, settings: best.settings };
  },
  decode: async (bytes, width, height) => resized(await decodeJpeg2000(bytes), width, height).data,
};
