import { ArgumentError, FormatError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import { checkLatents, LATENT_LIMITS, type Latents, latentSizeProblem } from '../latents.js';
import { joinPngChunks, type PngChunk, readPng } from './chunks.js';
import { deflateSize } from './deflate.js';
import { filterCandidates, unfilter } from './filter.js';
import { inflateExactly } from './inflate.js';
import { zlibSmallest } from './zlib.js';

/**
 * A compact file is an 8-bit grey PNG of exactly four chunks: IHDR, cmEO, IDAT, IEND. Its pixels, row by row, are the
 * symbols (+ 128) channel by channel, each channel as its height × width map. How wide the picture is does not matter
 * to a reader; the writer takes what compresses best, mostly one single row (each row costs a filter byte).
 *
 * cmEO (ancillary, private, not safe to copy: programs that edit the pixels have to drop it), 10 or 11 bytes:
 *   1  format version in the high four bits, rate in the low four
 *   4  model id: the first four bytes of a hash of the model's weights
 *   1  latent width − 1 in the low six bits; bit 7: a height follows; bit 6: 0
 *   1  latent height − 1, only where it is not 7/6 of the width (the shape of a 112×96 face)
 *   4  CRC-32 of the chunk's bytes before it, the number of channels (2 bytes), and the symbols in NHWC order
 * Numbers are big-endian, as everywhere in PNG. The number of channels is pixels / (height · width).
 */
export const FORMAT_VERSION = 1;
export const HEADER_CHUNK = 'cmEO';
/** No compact file is larger, and none larger is read. */
export const MAX_COMPACT_PNG_BYTES = 65536;
const EXPLICIT_HEIGHT = 0x80;

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
  const own = new Uint8Array(fields.length + 4);
  own.set(fields);
  new DataView(own.buffer).setUint32(fields.length, checksum(own.subarray(0, fields.length), latents));

  const pixels = toPlanes(latents);
  const picture = smallestArrangement(pixels, height, width);
  const ihdr = new Uint8Array(13);
  const view = new DataView(ihdr.buffer);
  view.setUint32(0, picture.width);
  view.setUint32(4, pixels.length / picture.width);
  // Bit depth 8; colour type grey, compression, filter method and interlace are all 0.
  ihdr[8] = 8;
  const file = joinPngChunks([
    { type: 'IHDR', data: ihdr },
    { type: HEADER_CHUNK, data: own },
    // Blocks of deflate may then begin with a channel, where the statistics change.
    { type: 'IDAT', data: zlibSmallest(picture.filtered, Math.round(picture.filtered.length / channels)) },
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
 * Reads a compact file. Any valid choice of picture width, PNG filters and deflate coding is accepted; anything else
 * that differs from the profile above is not. All limits are checked before memory is taken: beside the file itself it
 * needs less than 1 MB. Throws {@link FormatError} with one line that says what is wrong, and nothing else.
 */
export function unpackLatentsPng(file: Uint8Array): UnpackedFile {
  if (file.length > MAX_COMPACT_PNG_BYTES) {
    throw new FormatError(`file has ${file.length} bytes, a compact file has at most ${MAX_COMPACT_PNG_BYTES}`);
  }
  const [ihdr, own, idat] = profileChunks(readPng(file));
  const picture = readPictureHeader(ihdr);
  const { version, rate, modelId, height, width, fields, stored } = readOwnHeader(own);
  const channels = (picture.width * picture.height) / (height * width);
  if (!Number.isInteger(channels)) {
    throw new FormatError(
      `picture of ${picture.width}×${picture.height} pixels does not hold whole latent maps of ${height}×${width}`,
    );
  }
  const problem = latentSizeProblem(height, width, channels);
  if (problem) throw new FormatError(problem);
  const filtered = inflateExactly(idat, picture.height * (picture.width + 1));
  const latents = fromPlanes(unfilter(filtered, picture.width, picture.height), height, width, channels);
  if (checksum(fields, latents) !== stored) {
    throw new FormatError('checksum over header and symbols does not match: the file is corrupt');
  }
  return { latents, modelId, rate, version };
}

function modelIdBytes(id: Uint8Array | string): Uint8Array {
  if (typeof id === 'string') {
    if (!/^[0-9a-f]{8}$/i.test(id)) throw new ArgumentError(`model id "${id}" must be eight hexadecimal digits`);
    return Uint8Array.from({ length: 4 }, (_, k) => Number.parseInt(id.slice(2 * k, 2 * k + 2), 16));
  }
  if (id.length !== 4) throw new ArgumentError(`model id has ${id.length} bytes, must have 4`);
  return id;
}

function checksum(fields: Uint8Array, { channels, data }: Latents): number {
  return crc32(data, crc32(Uint8Array.of(channels >> 8, channels & 255), crc32(fields)));
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

/** The picture width and filters that compress best: one row in all, one row a channel, or the maps one below another. */
function smallestArrangement(pixels: Uint8Array, height: number, width: number) {
  const widths = new Set([pixels.length, height * width, width]);
  const candidates = [...widths].flatMap((pictureWidth) =>
    filterCandidates(pixels, pictureWidth).map((filtered) => ({
      width: pictureWidth,
      filtered,
      entropy: entropyBits(filtered),
    })),
  );
  // The plain single row comes first, and always stays: runs make it smaller than its entropy says.
  const [plain, ...others] = candidates;
  others.sort((a, b) => a.entropy - b.entropy);
  let best = plain;
  let bestBits = deflateSize(plain.filtered);
  for (const candidate of others.slice(0, 3)) {
    const bits = deflateSize(candidate.filtered);
    if (bits < bestBits) {
      best = candidate;
      bestBits = bits;
    }
  }
  return best;
}

/** Bits that an ideal order-0 code would take. */
function entropyBits(bytes: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / bytes.length);
  return bits;
}

function profileChunks(chunks: readonly PngChunk[]): Uint8Array[] {
  const expected = ['IHDR', HEADER_CHUNK, 'IDAT', 'IEND'];
  const types = chunks.map(({ type }) => type);
  if (!types.includes(HEADER_CHUNK)) {
    throw new FormatError(`a PNG, but not a compact file: it has no ${HEADER_CHUNK} chunk`);
  }
  if (types.join() !== expected.join()) {
    const shown = types.length > 8 ? [...types.slice(0, 8), '…'] : types;
    throw new FormatError(`chunks are ${shown.join(' ')}, must be ${expected.join(' ')}`);
  }
  return chunks.map(({ data }) => data);
}

function readPictureHeader(ihdr: Uint8Array): { width: number; height: number } {
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
  if (width * height > LATENT_LIMITS.symbols) {
    throw new FormatError(`picture has ${width}×${height} pixels, at most ${LATENT_LIMITS.symbols} are allowed`);
  }
  return { width, height };
}

function readOwnHeader(own: Uint8Array) {
  // The version is looked at first: another version's chunk may well have another length.
  if (own.length === 0) throw new FormatError(`${HEADER_CHUNK} chunk is empty`);
  const version = own[0] >> 4;
  if (version !== FORMAT_VERSION) {
    throw new FormatError(`format version ${version} is not supported, this program reads version ${FORMAT_VERSION}`);
  }
  const explicitHeight = own.length > 5 && (own[5] & EXPLICIT_HEIGHT) !== 0;
  const expected = explicitHeight ? 11 : 10;
  if (own.length !== expected) {
    throw new FormatError(`${HEADER_CHUNK} chunk has ${own.length} bytes, must have ${expected}`);
  }
  const width = (own[5] & ~EXPLICIT_HEIGHT) + 1;
  const height = explicitHeight ? own[6] + 1 : (width * 7) / 6;
  const problem = latentSizeProblem(height, width, 1);
  if (problem) throw new FormatError(problem);
  const fields = own.subarray(0, expected - 4);
  return {
    version,
    rate: own[0] & 15,
    modelId: Array.from(own.subarray(1, 5), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    height,
    width,
    fields,
    stored: new DataView(own.buffer, own.byteOffset, own.byteLength).getUint32(expected - 4),
  };
}
