import { ArgumentError, CameoError, FormatError } from '../../common/errors.js';
import { loadOptional } from '../../common/optional-packages.js';
import { checkImage, type RgbImage } from '../../data/pictures/image.js';
import { psnr } from '../metrics/picture-quality.js';
import type { ForeignCodec, ForeignEncoding } from './foreign-codec.js';
import { greyOf } from './jpeg.js';
import { checkRequest, resized, SCALES, scaled, scaleSetting } from './sizing.js';

const PACKAGE = '@cornerstonejs/codec-openjpeg';

interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
  isSigned: boolean;
  isUsingColorTransform?: boolean;
}

interface Encoder {
  getDecodedBuffer(frame: FrameInfo): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  setQuality(lossless: boolean, layers: number): void;
  setDecompositions(levels: number): void;
  setCompressionRatio(layer: number, ratio: number): void;
  encode(): void;
  delete(): void;
}

interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  /** A view of the decoder's memory, as any type of bytes. */
  getDecodedBuffer(): Uint8Array | Uint8ClampedArray;
  getFrameInfo(): FrameInfo;
  decode(): void;
  delete(): void;
}

interface OpenJpeg {
  J2KEncoder: new () => Encoder;
  J2KDecoder: new () => Decoder;
}

let loading: Promise<OpenJpeg> | undefined;

/** OpenJPEG as WebAssembly, loaded at first use, since it is an optional package. */
function openJpeg(): Promise<OpenJpeg> {
  loading ??= (async () => {
    type Factory = (options: object) => Promise<OpenJpeg>;
    const module = await loadOptional<{ default: Factory }>('the JPEG2000 baseline', PACKAGE, `${PACKAGE}/wasmjs`);
    // It would print messages for every picture.
    return module.default({ print() {}, printErr() {} });
  })();
  return loading;
}

export interface EncodedJpeg2000 {
  /** A bare codestream (.j2k). */
  bytes: Uint8Array;
  grey: boolean;
  decompositions: number;
  /** Decoded. */
  rgb: Uint8Array;
  /** dB, over all RGB samples. */
  psnr: number;
}

export interface Jpeg2000Configuration {
  grey: boolean;
  decompositions: number;
}

/**
 * Three levels are best above some 350 bytes, four below; grey wins only for grey pictures or below 200 bytes. Five levels,
 * or four in grey, were never the best for any of 901 faces at 300 and at 500 bytes, whatever the scale.
 */
const CONFIGURATIONS: readonly Jpeg2000Configuration[] = [
  { grey: false, decompositions: 3 },
  { grey: false, decompositions: 4 },
  { grey: true, decompositions: 3 },
];

/** The encoder misses its target by up to some 16 bytes in both directions. */
const MISS = 24;

/**
 * The JPEG2000 codestream of best PSNR among those of at most `maxBytes` (irreversible 9/7 wavelet, colour transform,
 * one layer, three or four decompositions, colour or grey), or null when none fits. The comment that OpenJPEG puts into
 * every file (39 bytes) is taken out.
 *
 * @param rgb width·height·3 bytes
 * @param configurations to try; three that are best for faces of 112×96 when absent
 * @throws ArgumentError when `rgb` does not fit width and height; CameoError when the package that encodes is missing
 */
export async function encodeJpeg2000AtMost(
  rgb: Uint8Array,
  width: number,
  height: number,
  maxBytes: number,
  configurations = CONFIGURATIONS,
): Promise<EncodedJpeg2000 | null> {
  const image = { width, height, data: rgb };
  checkImage(image);
  const codec = await openJpeg();
  let best: EncodedJpeg2000 | null = null;
  // Above this value, the encoder throws and leaves its memory unusable.
  const max = Math.floor(Math.log2(Math.min(width, height)));
  for (const { grey, decompositions: wanted } of configurations) {
    const decompositions = Math.min(wanted, max);
    const data = grey ? greyOf(rgb) : rgb;
    const bytes = largestFitting(maxBytes, (target) => encodeOnce(codec, image, data, decompositions, target));
    if (!bytes) continue;
    const decoded = (await decodeJpeg2000(bytes)).data;
    const quality = psnr(rgb, decoded);
    if (!best || quality > best.psnr) best = { bytes, grey, decompositions, rgb: decoded, psnr: quality };
  }
  return best;
}

/** Bisects the target size, because the result's size differs from it. */
function largestFitting(maxBytes: number, encode: (target: number) => Uint8Array): Uint8Array | null {
  let best: Uint8Array | null = null;
  let high = maxBytes + MISS;
  let low = maxBytes - 2 * MISS;
  const fits = (target: number): boolean => {
    const bytes = encode(target);
    if (bytes.length > maxBytes) return false;
    if (!best || bytes.length >= best.length) best = bytes;
    return true;
  };
  while (low > 0 && !fits(low)) {
    high = low;
    low -= 2 * MISS;
  }
  if (low <= 0) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return best;
}

/** One codestream with about `target` bytes. */
function encodeOnce(
  codec: OpenJpeg,
  { width, height }: RgbImage,
  data: Uint8Array,
  decompositions: number,
  target: number,
): Uint8Array {
  const encoder = new codec.J2KEncoder();
  try {
    const componentCount = data.length / (width * height);
    const frame = { width, height, bitsPerSample: 8, componentCount, isSigned: false };
    encoder.getDecodedBuffer({ ...frame, isUsingColorTransform: componentCount === 3 }).set(data);
    // The second argument is the number of layers, whatever the name of the function says.
    encoder.setQuality(false, 1);
    encoder.setDecompositions(decompositions);
    encoder.setCompressionRatio(0, data.length / (target + COMMENT_BYTES));
    encoder.encode();
    return withoutComments(encoder.getEncodedBuffer());
  } finally {
    encoder.delete();
  }
}

/** Bytes of the comment that OpenJPEG writes. */
export const COMMENT_BYTES = 39;
const SOC = 0xff4f;
const SOT = 0xff90;
const COM = 0xff64;

/** A copy without the comment segments of the main header (ISO/IEC 15444-1, annex A.9.2), which no decoder needs. */
function withoutComments(codestream: Uint8Array): Uint8Array {
  const view = new DataView(codestream.buffer, codestream.byteOffset, codestream.byteLength);
  if (codestream.length < 4 || view.getUint16(0) !== SOC) throw new FormatError('not a JPEG2000 codestream');
  const kept: Uint8Array[] = [codestream.subarray(0, 2)];
  let at = 2;
  while (view.getUint16(at) !== SOT) {
    const end = at + 2 + view.getUint16(at + 2);
    if (view.getUint16(at) !== COM) kept.push(codestream.subarray(at, end));
    at = end;
  }
  kept.push(codestream.subarray(at));
  return new Uint8Array(Buffer.concat(kept));
}

/**
 * Decodes an 8-bit JPEG2000 codestream with one (grey) or three (RGB) components.
 * @throws FormatError for anything else; CameoError when the package that decodes is missing
 */
export async function decodeJpeg2000(bytes: Uint8Array): Promise<RgbImage> {
  const codec = await openJpeg();
  if (bytes.length === 0) throw new ArgumentError('decodeJpeg2000: no bytes');
  const decoder = new codec.J2KDecoder();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const { width, height, bitsPerSample, componentCount } = decoder.getFrameInfo();
    const samples = decoder.getDecodedBuffer();
    if (bitsPerSample !== 8 || samples.length !== width * height * componentCount || samples.length === 0) {
      throw new FormatError(`JPEG2000 picture of ${width}×${height}, ${componentCount} × ${bitsPerSample} bits`);
    }
    if (componentCount === 3) return { width, height, data: new Uint8Array(samples) };
    if (componentCount !== 1)
      throw new FormatError(`JPEG2000 picture has ${componentCount} components; expected 1 or 3`);
    const grey = samples.slice();
    return { width, height, data: Uint8Array.from({ length: 3 * grey.length }, (_, i) => grey[Math.floor(i / 3)]) };
  } catch (error) {
    if (error instanceof CameoError) throw error;
    throw new FormatError('the JPEG2000 codestream cannot be decoded', { cause: error });
  } finally {
    decoder.delete();
  }
}

/**
 * OpenJPEG, bare codestreams: irreversible wavelet, colour transform, one layer. Whatever code-block size or
 * progression order the package is asked for, the files are the same.
 */
export const JPEG2000: ForeignCodec = {
  name: 'jpeg2000',
  title: 'JPEG2000',
  version: '@cornerstonejs/codec-openjpeg 1.3.6, 1',
  async encode(rgb, width, height, maxBytes) {
    const image = checkRequest(rgb, width, height, maxBytes);
    let best: (ForeignEncoding & { psnr: number }) | null = null;
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
