import { ICODEC, icodecFormat } from './icodec.js';
import { foreignCodec, steps } from './still-codec.js';

const webp2 = icodecFormat('wp2', 'WebP 2');

const YCBCR = 1;
const VARIANTS = {
  YCoCg: {},
  YCbCr: { cspType: YCBCR },
  'YCoCg, noise shaping': { sns: 50 },
} as const;

/** libwebp2, an experiment whose format is not fixed. Higher efforts gain a little and take seconds for each face. */
export const WEBP2 = foreignCodec<keyof typeof VARIANTS>({
  name: 'webp2',
  title: 'WebP 2',
  version: () => `${ICODEC}, 1`,
  variants: ['YCoCg', 'YCbCr', 'YCoCg, noise shaping'],
  qualities: steps(0, 95, 1),
  around: 2,
  encode: (image, variant, quality) => webp2.encode(image, { quality, effort: 5, sns: 0, ...VARIANTS[variant] }),
  decode: webp2.decode,
});
