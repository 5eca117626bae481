import sharp from 'sharp';
import { readImage } from '../../data/image.js';
import { encodeJpegAtMost } from '../jpeg.js';
import type { BudgetCodec } from './budget-codec.js';
import { checkRequest, resized, SCALES, scaleSetting } from './sizing.js';

/** mozjpeg through sharp: every quality, several tables, colour and grey, each at several scales. */
export const JPEG: BudgetCodec = {
  name: 'jpeg',
  title: 'JPEG',
  version: `mozjpeg ${sharp.versions.mozjpeg}, sharp ${sharp.versions.sharp}, 2`,
  async encode(rgb, width, height, maxBytes) {
    checkRequest(rgb, width, height, maxBytes);
    const encoded = await encodeJpegAtMost(rgb, width, height, maxBytes, { scales: SCALES });
    if (!encoded) return null;
    const { colour, table, quality, scale } = encoded;
    const bytes = new Uint8Array(encoded.bytes);
    const settings = `${colour}, table ${table}, quality ${quality}${scaleSetting(scale)}`;
    return { bytes, size: bytes.length, rgb: encoded.rgb, settings };
  },
  decode: async (bytes, width, height) =>
    resized(await readImage(bytes, { name: 'the JPEG baseline' }), width, height).data,
};
