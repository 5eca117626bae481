import { FormatError } from '../../common/errors.js';
import { adler32 } from '../crc32.js';
import {
  CODE_LENGTH_ORDER,
  DISTANCE_CODES,
  distanceBase,
  distanceExtra,
  END_OF_BLOCK,
  LITERAL_CODES,
  lengthBase,
  lengthExtra,
} from './deflate-tables.js';

/*
 * The inverse of png-deflate: RFC 1950 and 1951. Pixel data are a few hundred bytes, so that codes are read bit by bit, which
 * needs neither tables of codes nor their construction; and nothing but this is downloaded for it.
 */

/** Most bits of a code. */
const MAX_BITS = 15;

/** What is wrong with a stream, for the message of {@link inflateExactly}. */
const invalid = (what: string): FormatError => new FormatError(`pixel data cannot be inflated: ${what}`);

/** A canonical Huffman code: how many codes have each length, and the symbols in the order of their codes. */
interface Code {
  counts: Uint16Array;
  symbols: Uint16Array;
}

/**
 * @param what the code's name for messages
 * @param mayMiss whether a single code of one bit, or none, is accepted, as deflate allows for distances
 * @throws FormatError for lengths that give more codes than there are, or fewer
 */
function codeOf(lengths: Uint8Array, what: string, mayMiss: boolean): Code {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) counts[length]++;
  let free = 1;
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    free = 2 * free - counts[bits];
    if (free < 0) throw invalid(`invalid ${what}: too many codes`);
  }
  const used = lengths.length - counts[0];
  if (free > 0 && !(mayMiss && used === counts[1])) throw invalid(`invalid ${what}: too few codes`);
  const starts = new Uint16Array(MAX_BITS + 2);
  for (let bits = 1; bits <= MAX_BITS; bits++) starts[bits + 1] = starts[bits] + counts[bits];
  const symbols = new Uint16Array(used);
  lengths.forEach((length, symbol) => {
    if (length > 0) symbols[starts[length]++] = symbol;
  });
  return { counts, symbols };
}

/** Reads bits from the lowest of each byte on. */
class BitReader {
  #bits = 0;
  #count = 0;

  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  /** So many bits, at most 16, the first as the lowest. @throws FormatError at the end of the stream */
  take(count: number): number {
    while (this.#count < count) {
      if (this.at >= this.bytes.length) throw invalid('the stream ends early');
      this.#bits |= this.bytes[this.at++] << this.#count;
      this.#count += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#count -= count;
    return value;
  }

  /** Drops the rest of a byte that has been begun. */
  align(): void {
    this.#bits = 0;
    this.#count = 0;
  }

  /** The symbol of the code that comes next. */
  symbol({ counts, symbols }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      code |= this.take(1);
      if (code - first < counts[bits]) return symbols[index + code - first];
      index += counts[bits];
      first = (first + counts[bits]) << 1;
      code <<= 1;
    }
    throw invalid('invalid code');
  }
}

/** The two codes of a block, for literals and lengths and for distances, as its header gives them. */
function readCodes(reader: BitReader): [Code, Code] {
  const literals = reader.take(5) + 257;
  const distances = reader.take(5) + 1;
  if (literals > LITERAL_CODES || distances > DISTANCE_CODES) throw invalid('invalid number of codes');
  const metaLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
  const sent = reader.take(4) + 4;
  for (let k = 0; k < sent; k++) metaLengths[CODE_LENGTH_ORDER[k]] = reader.take(3);
  const meta = codeOf(metaLengths, 'code lengths', false);
  const lengths = new Uint8Array(literals + distances);
  for (let k = 0; k < lengths.length; ) {
    const symbol = reader.symbol(meta);
    if (symbol < 16) {
      lengths[k++] = symbol;
      continue;
    }
    if (symbol === 16 && k === 0) throw invalid('invalid repetition of a length');
    const value = symbol === 16 ? lengths[k - 1] : 0;
    const times = symbol === 16 ? 3 + reader.take(2) : symbol === 17 ? 3 + reader.take(3) : 11 + reader.take(7);
    if (k + times > lengths.length) throw invalid('invalid repetition of a length');
    lengths.fill(value, k, k + times);
    k += times;
  }
  if (lengths[END_OF_BLOCK] === 0) throw invalid('invalid code without an end of block');
  return [
    codeOf(lengths.subarray(0, literals), 'literal and length codes', true),
    codeOf(lengths.subarray(literals), 'distance codes', true),
  ];
}

/** The codes that RFC 1951 fixes (section 3.2.6). */
function fixedCodes(): [Code, Code] {
  const literals = new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280);
  return [codeOf(literals, 'fixed codes', false), codeOf(new Uint8Array(32).fill(5), 'fixed codes', false)];
}

/**
 * Inflates a zlib stream that must hold exactly `size` bytes and end with `stream`. Work and memory are bounded by `size` and
 * the length of the stream, whatever it would expand to.
 *
 * @throws FormatError for anything else: no zlib stream, a cut or damaged one, another size, bytes behind it
 */
export function inflateExactly(stream: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(size);
  let filled = 0;
  const room = (count: number): void => {
    if (filled + count > size) throw new FormatError(`pixel data expand to more than ${size} bytes`);
  };

  const reader = new BitReader(stream, 0);
  const method = reader.take(8);
  const flags = reader.take(8);
  // Deflate with a window of at most 32 KiB; the two bytes are a multiple of 31; no preset dictionary.
  if ((method & 15) !== 8 || method >> 4 > 7 || (256 * method + flags) % 31 !== 0) throw invalid('invalid zlib header');
  if (flags & 0x20) throw invalid('invalid zlib header: it asks for a dictionary');

  for (let last = false; !last; ) {
    last = reader.take(1) === 1;
    const type = reader.take(2);
    if (type === 3) throw invalid('invalid block type');
    if (type === 0) {
      reader.align();
      const length = reader.take(16);
      if ((length ^ reader.take(16)) !== 0xffff) throw invalid('invalid length of a stored block');
      if (reader.at + length > stream.length) throw invalid('the stream ends early');
      room(length);
      result.set(stream.subarray(reader.at, reader.at + length), filled);
      reader.at += length;
      filled += length;
      continue;
    }
    const [literals, distances] = type === 1 ? fixedCodes() : readCodes(reader);
    for (let symbol = reader.symbol(literals); symbol !== END_OF_BLOCK; symbol = reader.symbol(literals)) {
      if (symbol < END_OF_BLOCK) {
        room(1);
        result[filled++] = symbol;
        continue;
      }
      const lengthCode = symbol - END_OF_BLOCK - 1;
      if (lengthCode >= lengthBase.length) throw invalid('invalid length code');
      const length = lengthBase[lengthCode] + reader.take(lengthExtra[lengthCode]);
      const distanceCode = reader.symbol(distances);
      if (distanceCode >= DISTANCE_CODES) throw invalid('invalid distance code');
      const distance = distanceBase[distanceCode] + reader.take(distanceExtra[distanceCode]);
      if (distance > filled) throw invalid('invalid distance: too far back');
      room(length);
      for (let k = 0; k < length; k++, filled++) result[filled] = result[filled - distance];
    }
  }

  reader.align();
  // Adler-32, the highest byte first.
  let sum = 0;
  for (let k = 0; k < 4; k++) sum = (sum << 8) | reader.take(8);
  if (sum >>> 0 !== adler32(result.subarray(0, filled))) throw invalid('incorrect data check');
  if (filled !== size) throw new FormatError(`pixel data expand to ${filled} bytes, expected ${size}`);
  const rest = stream.length - reader.at;
  if (rest > 0) throw new FormatError(`${rest} bytes of foreign data after the pixel data`);
  return result;
}
