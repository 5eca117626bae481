import { ArgumentError, FormatError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import { checkLatents, LATENT_LIMITS, type Latents, latentSizeProblem } from '../latents.js';
import { chunksAtHead, IHDR_END, joinPngChunks, PNG_SIGNATURE, type PngChunk, readPng } from './chunks.js';
import { deflateSize } from './deflate.js';
import { filterCandidates, unfilter } from './filter.js';
import { inflateExactly } from './inflate.js';
import { zlibSmallest } from './zlib.js';

/**
 * A compact file is an 8-bit grey PNG of one row, and of exactly three chunks: IHDR, IDAT, IEND. The first 6 or 7 pixels
 * are a header:
 *   1  format version in the high four bits, rate in the low four
 *   4  model id: the first four bytes of a hash of the model's weights
 *   1  latent width − 1 in the low six bits; bit 7: a height follows; bit 6: 0
 *   1  latent height − 1, only where it is not 7/6 of the width (the shape of a 112×96 face)
 * The other pixels are the symbols (+ 128) channel by channel, each channel as its height × width map. Their number gives
 * the number of channels. PNG's own checksums, CRC-32 and Adler-32, guard all of it.
 *
 * Version 1 is read, too. There the header is in an ancillary chunk, cmEO, between IHDR and IDAT, and a CRC-32 follows it:
 * of these bytes, the number of channels (2 bytes), and the symbols in NHWC order. The picture has any width.
 */
export const FORMAT_VERSION = 2;
const HEADER_CHUNK = 'cmEO';
/** No compact file is larger, and none larger is read. */
export const MAX_COMPACT_PNG_BYTES = 65536;
const EXPLICIT_HEIGHT = 0x80;
const MAX_HEADER_BYTES = 7;

export interface PackHeader {
  /** Four bytes, or eight hexadecimal digits. */
  modelId: Uint8Array | string;
  /** 0..15 */
  rate: number;
}

export interface UnpackedFile {
  latents: Latents;
  /** Eight lower-case hexadecimal digits. */
  modelId: string;
  rate: number;
  version: number;
}

/**
 * The smallest compact file found for `latents`; the same input always gives the same bytes. Throws `ShapeError` for
 * latents out of bounds and {@link ArgumentError} for a bad header, or latents that do not compress to
 * 65,536 bytes.
 */
export function packLatentsPng(latents: Latents, header: PackHeader): Uint8Array {
  checkLatents(latents);
  const { height, width, channels } = latents;
  if (!Number.isInteger(header.rate) || header.rate < 0 || header.rate > 15) {
    throw new ArgumentError(`rate is ${header.rate}, must be an integer from 0 to 15`);
  }
  const fields = [(FORMAT_VERSION << 4) | header.rate, ...modelIdBytes(header.modelId)];
  if (height * 6 === width * 7) fields.push(width - 1);
  else fields.push((width - 1) | EXPLICIT_HEIGHT, height - 1);
  const pixels = new Uint8Array(fields.length + latents.data.length);
  pixels.set(fields);
  pixels.set(toPlanes(latents), fields.length);
  const ihdr = new Uint8Array(13);
  const view = new DataView(ihdr.buffer);
  view.setUint32(0, pixels.length);
  view.setUint32(4, 1);
  // Bit depth 8; colour type grey, compression, filter method and interlace are all 0.
  ihdr[8] = 8;
  // Blocks of deflate may begin after the header and with channels, where the statistics change: this gives the smallest files.
  const idat = zlibSmallest(smallestRow(pixels), height * width, 1 + fields.length);
  const file = joinPngChunks([
    { type: 'IHDR', data: ihdr },
    { type: 'IDAT', data: idat },
    { type: 'IEND', data: new Uint8Array(0) },
  ]);
  if (file.length > MAX_COMPACT_PNG_BYTES) {
    throw new ArgumentError(
      `latents of ${height}×${width}×${channels} take ${file.length} bytes, a compact file has at most ${MAX_COMPACT_PNG_BYTES}`,
    );
  }
  return file;
}

/**
 * Reads a compact file of version 1 or 2. Any valid choice of PNG filters and deflate coding is accepted, and in version 1
 * any picture width; anything else that differs from the profile above is not. All limits are checked before memory is
 * taken: beside the file itself it needs less than 1 MB. Throws {@link FormatError} with one line that says what is
 * wrong, and nothing else.
 */
export function unpackLatentsPng(file: Uint8Array): UnpackedFile {
  if (file.length > MAX_COMPACT_PNG_BYTES) {
    throw new FormatError(`file has ${file.length} bytes, a compact file has at most ${MAX_COMPACT_PNG_BYTES}`);
  }
  const chunks = readPng(file);
  if (chunks.some(({ type }) => type === HEADER_CHUNK)) return readVersion1(chunks);
  if (chunks[0].type === 'IHDR' && isGreyRow(chunks[0].data)) return readVersion2(chunks);
  throw new FormatError(
    `a PNG, but not a compact file: it is not one row of 8-bit grey pixels, and has no ${HEADER_CHUNK} chunk`,
  );
}

/**
 * Whether a file begins as a compact file of any version: with one row of 8-bit grey pixels, which no photograph has, and
 * no chunk between IHDR and IDAT; or with the chunk of version 1 before IDAT.
 * @param head its first bytes, 64 where there are as many
 */
export function isCompactPng(head: Uint8Array): boolean {
  for (const { type, at } of chunksAtHead(head)) {
    if (type === HEADER_CHUNK) return true;
    if (type === 'IDAT') return at === IHDR_END && isGreyRow(head.subarray(PNG_SIGNATURE.length + 8, IHDR_END));
  }
  return false;
}

function isGreyRow(ihdr: Uint8Array): boolean {
  const [height, depth, colour] = [ihdr.subarray(4, 8), ihdr[8], ihdr[9]];
  return height.join() === '0,0,0,1' && depth === 8 && colour === 0;
}

function readVersion2(chunks: readonly PngChunk[]): UnpackedFile {
  const [ihdr, idat] = profileChunks(chunks, ['IHDR', 'IDAT', 'IEND']);
  const { width: count } = readPictureHeader(ihdr, LATENT_LIMITS.symbols + MAX_HEADER_BYTES);
  const pixels = unfilter(inflateExactly(idat, count + 1), count, 1);
  checkVersion(pixels, 2);
  const length = headerLength(pixels);
  if (count <= length) throw new FormatError(`picture of ${count}×1 pixels is too small for a header and symbols`);
  const { height, width, ...header } = readHeader(pixels);
  const channels = channelsOf(count - length, height, width);
  return { latents: fromPlanes(pixels.subarray(length), height, width, channels), ...header };
}

function readVersion1(chunks: readonly PngChunk[]): UnpackedFile {
  const [ihdr, own, idat] = profileChunks(chunks, ['IHDR', HEADER_CHUNK, 'IDAT', 'IEND']);
  const picture = readPictureHeader(ihdr, LATENT_LIMITS.symbols);
  if (own.length === 0) throw new FormatError(`${HEADER_CHUNK} chunk is empty`);
  // The version is looked at first: another version's chunk may well have another length.
  checkVersion(own, 1);
  const fields = own.subarray(0, headerLength(own));
  const expected = headerLength(own) + 4;
  if (own.length !== expected) {
    throw new FormatError(`${HEADER_CHUNK} chunk has ${own.length} bytes, must have ${expected}`);
  }
  const { height, width, ...header } = readHeader(own);
  const channels = channelsOf(picture.width * picture.height, height, width);
  const filtered = inflateExactly(idat, picture.height * (picture.width + 1));
  const latents = fromPlanes(unfilter(filtered, picture.width, picture.height), height, width, channels);
  const stored = new DataView(own.buffer, own.byteOffset, own.byteLength).getUint32(fields.length);
  if (crc32(latents.data, crc32(Uint8Array.of(channels >> 8, channels & 255), crc32(fields))) !== stored) {
    throw new FormatError('checksum over header and symbols does not match: the file is corrupt');
  }
  return { latents, ...header };
}

function modelIdBytes(id: Uint8Array | string): Uint8Array {
  if (typeof id === 'string') {
    if (!/^[0-9a-f]{8}$/i.test(id)) throw new ArgumentError(`model id "${id}" must be eight hexadecimal digits`);
    return Uint8Array.from({ length: 4 }, (_, k) => Number.parseInt(id.slice(2 * k, 2 * k + 2), 16));
  }
  if (id.length !== 4) throw new ArgumentError(`model id has ${id.length} bytes, must have 4`);
  return id;
}

/** [h, w, c] to [c, h, w] */
function toPlanes({ height, width, channels, data }: Latents): Uint8Array {
  const positions = height * width;
  const planes = new Uint8Array(data.length);
  for (let p = 0; p < positions; p++) {
    for (let c = 0; c < channels; c++) planes[c * positions + p] = data[p * channels + c];
  }
  return planes;
}

/** [c, h, w] to [h, w, c] */
function fromPlanes(planes: Uint8Array, height: number, width: number, channels: number): Latents {
  const positions = height * width;
  const data = new Uint8Array(planes.length);
  for (let p = 0; p < positions; p++) {
    for (let c = 0; c < channels; c++) data[p * channels + c] = planes[c * positions + p];
  }
  return { height, width, channels, data };
}

/** The pixels as one row, filtered as compresses best. */
function smallestRow(pixels: Uint8Array): Uint8Array {
  const candidates = filterCandidates(pixels, pixels.length);
  const sizes = candidates.map((filtered) => deflateSize(filtered));
  return candidates[sizes.indexOf(Math.min(...sizes))];
}

function profileChunks(chunks: readonly PngChunk[], expected: readonly string[]): Uint8Array[] {
  const types = chunks.map(({ type }) => type);
  if (types.join() !== expected.join()) {
    const shown = types.length > 8 ? [...types.slice(0, 8), '…'] : types;
    throw new FormatError(`chunks are ${shown.join(' ')}, must be ${expected.join(' ')}`);
  }
  return chunks.map(({ data }) => data);
}

function readPictureHeader(ihdr: Uint8Array, maxPixels: number): { width: number; height: number } {
  if (ihdr.length !== 13) throw new FormatError(`IHDR has ${ihdr.length} bytes, must have 13`);
  const view = new DataView(ihdr.buffer, ihdr.byteOffset, ihdr.byteLength);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const [depth, colour, compression, filter, interlace] = ihdr.subarray(8);
  if (depth !== 8 || colour !== 0) {
    throw new FormatError(`bit depth ${depth} and colour type ${colour}, must be 8-bit grey (8 and 0)`);
  }
  if (compression !== 0 || filter !== 0) {
    throw new FormatError(`compression method ${compression} and filter method ${filter}, PNG knows only 0 and 0`);
  }
  if (interlace !== 0) throw new FormatError(`interlace method ${interlace}, must be 0 (none)`);
  if (width === 0 || height === 0) throw new FormatError(`picture has ${width}×${height} pixels`);
  if (width * height > maxPixels) {
    throw new FormatError(`picture has ${width}×${height} pixels, at most ${maxPixels} are allowed`);
  }
  return { width, height };
}

function checkVersion(header: Uint8Array, expected: 1 | 2): void {
  const version = header[0] >> 4;
  if (version === expected) return;
  if (version === 1 || version === 2) {
    const [rule, found] = version === 1 ? ['a', 'none'] : ['no', 'one'];
    throw new FormatError(`format version ${version} has ${rule} ${HEADER_CHUNK} chunk, this file has ${found}`);
  }
  throw new FormatError(`format version ${version} is not supported, this program reads versions 1 and 2`);
}

/** Bytes of the header, which begins `bytes`, up to the shape. */
function headerLength(bytes: Uint8Array): number {
  return (bytes[5] & EXPLICIT_HEIGHT) !== 0 ? MAX_HEADER_BYTES : MAX_HEADER_BYTES - 1;
}

function readHeader(bytes: Uint8Array) {
  const width = (bytes[5] & ~EXPLICIT_HEIGHT) + 1;
  const height = headerLength(bytes) === MAX_HEADER_BYTES ? bytes[6] + 1 : (width * 7) / 6;
  const problem = latentSizeProblem(height, width, 1);
  if (problem) throw new FormatError(problem);
  const modelId = Array.from(bytes.subarray(1, 5), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { version: bytes[0] >> 4, rate: bytes[0] & 15, modelId, height, width };
}

function channelsOf(symbols: number, height: number, width: number): number {
  const channels = symbols / (height * width);
  if (!Number.isInteger(channels)) {
    throw new FormatError(`${symbols} symbols are no whole latent maps of ${height}×${width}`);
  }
  const problem = latentSizeProblem(height, width, channels);
  if (problem) throw new FormatError(problem);
  return channels;
}
