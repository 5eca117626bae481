import { ImageError } from '../../common/errors.js';

/** The formats that are read, as messages and help texts name them. */
export const PICTURE_FORMATS = 'JPEG, PNG, WebP, AVIF, GIF or TIFF';
/** Names of files that are read as pictures. */
export const READABLE = /\.(jpe?g|jpe|jfif|png|webp|avif|gif|tiff?)$/i;
/** Names of other kinds of pictures, which are reported as not read. Plots (SVG), which runs write into such folders, are not among them. */
export const OTHER_PICTURES = /\.(bmp|heic|heif|hif|jp2|j2k|jxl|ppm|pgm)$/i;

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

const begins =
  (...start: number[]) =>
  (bytes: Uint8Array): boolean =>
    start.every((byte, k) => bytes[k] === byte);

/** The brands of an ISO media file, the major one first; none for another file. */
function brands(bytes: Uint8Array): string[] {
  if (ascii(bytes, 4, 8) !== 'ftyp') return [];
  const end = Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), 256, bytes.length);
  const found = [ascii(bytes, 8, 12)];
  for (let at = 16; at + 4 <= end; at += 4) found.push(ascii(bytes, at, at + 4));
  return found;
}

const hasBrand =
  (...known: string[]) =>
  (bytes: Uint8Array): boolean =>
    brands(bytes).some((brand) => known.includes(brand));

/** Whether bytes begin as a PNG. */
export const isPng = begins(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const READ: readonly ((bytes: Uint8Array) => boolean)[] = [
  isPng,
  begins(0xff, 0xd8, 0xff), // JPEG
  (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP',
  hasBrand('avif', 'avis'),
  (bytes) => /^GIF8[79]a$/.test(ascii(bytes, 0, 6)),
  (bytes) => /^(II[*+]\0|MM\0[*+])$/.test(ascii(bytes, 0, 4)), // TIFF, and with 64-bit offsets
];

/** Whether a file begins as one of PICTURE_FORMATS. */
export const isPicture = (head: Uint8Array): boolean => READ.some((matches) => matches(head));

/** Known formats that are not read: their names, and what to do. */
const REFUSED: readonly [(bytes: Uint8Array) => boolean, string][] = [
  [
    hasBrand('heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'mif1', 'msf1'),
    'a HEIC picture; make a JPEG of it first, with `heif-convert PHOTO.heic PHOTO.jpg` or, on a Mac, `sips -s format jpeg PHOTO.heic --out PHOTO.jpg`',
  ],
  [begins(0xff, 0x0a), 'a JPEG XL picture; make a PNG of it first, with `djxl`'],
  [(bytes) => ascii(bytes, 4, 8) === 'JXL ', 'a JPEG XL picture; make a PNG of it first, with `djxl`'],
  [(bytes) => ascii(bytes, 4, 8) === 'jP  ', 'a JPEG2000 picture; make a PNG of it first, with `opj_decompress`'],
  [begins(0xff, 0x4f, 0xff, 0x51), 'a JPEG2000 picture; make a PNG of it first, with `opj_decompress`'],
  [begins(0x42, 0x4d), 'a BMP picture; make a PNG of it first'],
  [
    (bytes) => /^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg\b/.test(ascii(bytes, 0, 1024)),
    'an SVG drawing, which has no pixels; make a PNG of it first',
  ],
]; // biome-ignore format: one a line

/**
 * Checks the format of a file by its content, because a name may be wrong. Other formats do not reach the decoders, of which
 * libvips has many more.
 * @throws ImageError for any format other than PICTURE_FORMATS
 */
export function checkFormat(bytes: Uint8Array, name: string): void {
  if (bytes.length === 0) throw new ImageError(`${name}: the file is empty`);
  if (!isPicture(bytes)) {
    const [, what] = REFUSED.find(([matches]) => matches(bytes)) ?? [];
    throw new ImageError(`${name}: ${what ?? `not a ${PICTURE_FORMATS} picture`}`);
  }
  if (isPng(bytes) && bytes.length >= 24) {
    // libvips calls this a damaged header without giving the reason.
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const width = view.getUint32(16);
    const height = view.getUint32(20);
    if (width === 0 || height === 0) throw new ImageError(`${name}: the picture is ${width}×${height} pixels`);
  }
}

/** Exponents so near to that of sRGB (1 / 2.2) mean sRGB. */
const SRGB_GAMMA = [0.43, 0.48] as const;

/**
 * The exponent by which a PNG's samples were made of light (its chunk gAMA), where it counts: without a profile or another
 * statement of the colours, and other than sRGB's. Decoders leave it to the reader.
 */
export function pngGamma(bytes: Uint8Array): number | undefined {
  if (!isPng(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let gamma: number | undefined;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = ascii(bytes, at + 4, at + 8);
    if (type === 'IDAT') break;
    if (['sRGB', 'iCCP', 'cICP'].includes(type)) return undefined;
    if (type === 'gAMA') gamma = view.getUint32(at + 8) / 100_000;
  }
  const counts = gamma !== undefined && gamma > 0 && !(gamma >= SRGB_GAMMA[0] && gamma <= SRGB_GAMMA[1]);
  return counts ? gamma : undefined;
}
