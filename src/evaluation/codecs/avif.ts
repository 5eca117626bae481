import { FormatError } from '../../common/errors.js';
import type { RgbImage } from '../../data/pictures/image.js';
import sharp, { sharpVersions } from '../../data/pictures/sharp.js';
import { mediaDataBytes } from './isobmff.js';
import { greyOf } from './jpeg.js';
import { foreignCodec, type StillCodec, steps } from './still-codec.js';

const packages = (): string => `aom ${sharpVersions().aom}, libheif ${sharpVersions().heif}`;

type Variant = '4:4:4' | '4:2:0' | 'grey';

/**
 * libaom through sharp, tuned for PSNR; sharp's default is tuned for the eye and worse by this measure. Lower efforts are
 * worse, too, and higher ones take several times as long for a small gain. 4:2:0 and grey save a few bytes, which matters
 * only if the boxes leave little more than that.
 */
const AVIF: StillCodec<Variant> = {
  name: 'avif',
  title: 'AVIF',
  version: () => `${packages()}, 2`,
  variants: ['4:4:4'],
  fallbacks: ['4:2:0', 'grey'],
  qualities: steps(1, 95, 1),
  around: 1,
  async encode({ width, height, data }, variant, quality) {
    const picture =
      variant === 'grey'
        ? sharp(greyOf(data), { raw: { width, height, channels: 1 } }).toColourspace('b-w')
        : sharp(data, { raw: { width, height, channels: 3 } });
    const chromaSubsampling = variant === '4:2:0' ? '4:2:0' : '4:4:4';
    return new Uint8Array(await picture.avif({ quality, chromaSubsampling, tune: 'psnr', effort: 6 }).toBuffer());
  },
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

/** The whole file, of which some 250 bytes are boxes without information about this face. */
export const AVIF_FILE = foreignCodec(AVIF);

/** Counts only the AV1 picture, as if all files had the same boxes and a reader knew them. */
export const AVIF_PAYLOAD = foreignCodec({
  ...AVIF,
  name: 'avif-payload',
  title: 'AVIF, payload only',
  version: () => `${packages()}, 1`,
  fallbacks: [],
  size: mediaDataBytes,
});
