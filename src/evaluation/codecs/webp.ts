import { ICODEC, icodecFormat } from './icodec.js';
import { greyAsRgb } from './jpeg.js';
import { foreignCodec, steps } from './still-codec.js';

const webp = icodecFormat('webp', 'WebP');

/**
 * Spatial noise shaping is off for all, as it serves the eye and costs PSNR, and so are segments except for one variant,
 * because their headers are large for such small files. More passes change nothing.
 */
const VARIANTS = {
  colour: { segments: 1 },
  '2 segments': { segments: 2 },
  'filter 100': { segments: 1, filterStrength: 100 },
  'sharp YUV': { segments: 1, sharpYUV: true },
  grey: { segments: 1 },
} as const;

/** libwebp, method 6. */
export const WEBP = foreignCodec<keyof typeof VARIANTS>({
  name: 'webp',
  title: 'WebP',
  version: () => `${ICODEC}, 1`,
  variants: ['colour', '2 segments', 'filter 100', 'sharp YUV', 'grey'],
  // The lowest qualities are the farthest apart in size.
  qualities: [...steps(0, 0.9, 0.05), ...steps(1, 9.75, 0.25), ...steps(10, 40, 0.5), ...steps(41, 100, 1)],
  around: 2,
  encode(image, variant, quality) {
    // WebP has no grey format, but constant colour planes cost next to nothing.
    const picture = variant === 'grey' ? { ...image, data: greyAsRgb(image.data) } : image;
    return webp.encode(picture, { quality, method: 6, snsStrength: 0, ...VARIANTS[variant] });
  },
  decode: webp.decode,
});
