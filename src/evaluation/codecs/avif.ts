import sharp from 'sharp';
import { FormatError } from '../../common/errors.js';
import type { RgbImage } from '../../data/image.js';
import { mediaDataBytes } from './isobmff.js';
import { budgetCodec, type StillCodec, steps } from './still-codec.js';

/**
 * libaom through sharp, tuned for PSNR: what sharp would take by itself (tuned for the eye) is 0.4 dB worse. Effort 6
 * gains 0.2 dB over 4; 9 would gain 0.1 dB more in four times the time. 4:4:4 is better than 4:2:0 at every size. There
 * is no grey variant: of a grey picture the colour planes cost nothing, and of others grey is worse at every size.
 */
const AVIF: StillCodec<'4:4:4'> = {
  name: 'avif',
  title: 'AVIF',
  version: 'sharp 0.35, 1',
  variants: ['4:4:4'],
  qualities: steps(1, 95, 1),
  around: 1,
  encode: ({ width, height, data }, chromaSubsampling, quality) =>
    sharp(data, { raw: { width, height, channels: 3 } })
      .avif({ quality, chromaSubsampling, tune: 'psnr', effort: 6 })
      .toBuffer(),
  decode,
};

async function decode(bytes: Uint8Array): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(bytes).toColourspace('srgb').removeAlpha().raw().toBuffer({
      resolveWithObject: true,
    });
    return { width: info.width, height: info.height, data: new Uint8Array(data) };
  } catch (error) {
    throw new FormatError('the AVIF file cannot be decoded', { cause: error });
  }
}

/** The whole file, of which some 250 bytes are boxes that say nothing of this face. */
export const AVIF_FILE = budgetCodec(AVIF);

/** Only the AV1 picture counts, as if every file had the same boxes and a reader knew them. */
export const AVIF_PAYLOAD = budgetCodec({
  ...AVIF,
  name: 'avif-payload',
  title: 'AVIF, payload only',
  size: mediaDataBytes,
});
