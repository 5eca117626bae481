import { ICODEC, icodecFormat } from './icodec.js';
import { foreignCodec, steps } from './still-codec.js';

const jxl = icodecFormat('jxl', 'JPEG XL');

/** Smoothing before the encoder and sharpening after the decoder (gaborish) helps only some pictures. */
const VARIANTS = {
  'effort 7': { effort: 7 },
  'effort 7, no gaborish': { effort: 7, gaborish: 0 },
  'effort 9': { effort: 9 },
} as const;

/** libjxl, bare codestreams. Quality 0 is the coarsest it takes; a smaller file needs a smaller picture. */
export const JPEG_XL = foreignCodec<keyof typeof VARIANTS>({
  name: 'jxl',
  title: 'JPEG XL',
  version: () => `${ICODEC}, 1`,
  variants: ['effort 7', 'effort 9', 'effort 7, no gaborish'],
  qualities: [...steps(0, 39.5, 0.5), ...steps(40, 99, 1)],
  around: 3,
  encode: (image, variant, quality) => jxl.encode(image, { quality, ...VARIANTS[variant] }),
  decode: jxl.decode,
});
