import { AVIF_FILE, AVIF_PAYLOAD } from './avif.js';
import type { ForeignCodec } from './foreign-codec.js';
import { JPEG } from './jpeg.js';
import { JPEG_XL } from './jpeg-xl.js';
import { JPEG2000 } from './jpeg2000.js';
import { WEBP } from './webp.js';
import { WEBP2 } from './webp2.js';

/** Every codec that faces are compared with at a budget of bytes, oldest first. */
export const FOREIGN_CODECS: readonly ForeignCodec[] = [JPEG, JPEG2000, WEBP, AVIF_FILE, AVIF_PAYLOAD, JPEG_XL, WEBP2];
