import { ArgumentError, FormatError } from '../../common/errors.js';

/*
 * A byte-wise range coder: each symbol takes a part of the current interval that is proportional to its frequency, and the
 * file is the shortest byte string that, followed by zeros, lies in the last interval. Carries are propagated, as in
 * G. N. N. Martin, "Range encoding", 1979, with the pending bytes of LZMA's coder. Everything is exact integer arithmetic in
 * numbers below 2^41.
 */

/** Frequencies of a distribution sum up to this. */
export const FREQUENCY_BITS = 16;
export const FREQUENCY_TOTAL = 1 << FREQUENCY_BITS;
/** Bits of a symbol by its frequency. Not for decoders: logarithms differ between JavaScript engines. */
export const BITS_OF_FREQUENCY: Float64Array = /* @__PURE__ */ (() =>
  Float64Array.from({ length: FREQUENCY_TOTAL + 1 }, (_, f) => -Math.log2(f / FREQUENCY_TOTAL)))();
/** The interval is kept at least this wide, so that a frequency of 1 is never empty. */
const MIN_RANGE = 1 << 24;
const FULL_RANGE = 0xffffffff;
/** Exp-Golomb codes hold values below 2^MAX_GOLOMB_BITS. No encoder writes more, and a reader must not spend time on it. */
const MAX_GOLOMB_BITS = 18;

export class RangeEncoder {
  #low = 0;
  #range = FULL_RANGE;
  /** The byte that a carry may still raise by one; −1 before the first. */
  #cache = -1;
  /** Bytes 0xff after it, through which a carry would run. */
  #pending = 0;
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** A symbol whose frequencies are those from `start` to `start + size` of {@link FREQUENCY_TOTAL}. */
  encode(start: number, size: number): void {
    const part = this.#range >>> FREQUENCY_BITS;
    this.#low += part * start;
    // The last symbol also gets what the division left over.
    this.#range = start + size === FREQUENCY_TOTAL ? this.#range - part * start : part * size;
    while (this.#range < MIN_RANGE) {
      this.#shiftLow();
      this.#range = (this.#range * 256) >>> 0;
    }
  }

  /** `count` bits (at most 16) that are 0 or 1 with equal probability. */
  bits(value: number, count: number): void {
    this.encode(value << (FREQUENCY_BITS - count), 1 << (FREQUENCY_BITS - count));
  }

  /**
   * A non-negative integer by the Exp-Golomb code of order `order`: about 2·log2(value / 2^order) + order bits.
   * @throws ArgumentError for a value that {@link RangeDecoder.golomb} would refuse
   */
  golomb(value: number, order: number): void {
    const shifted = value + 2 ** order;
    const length = bitLength(shifted);
    if (length > MAX_GOLOMB_BITS) throw new ArgumentError(`golomb: ${value} of order ${order} is out of range`);
    for (let k = order + 1; k < length; k++) this.bits(1, 1);
    this.bits(0, 1);
    for (let k = length - 2; k >= 0; k--) this.bits((shifted >>> k) & 1, 1);
  }

  /** The code, without the zeros at its end: a reader reads missing bytes as zeros. */
  finish(): Uint8Array {
    this.#low = simplest(this.#low, this.#range);
    for (let k = 0; k < 5; k++) this.#shiftLow();
    let length = this.#length;
    while (length > 0 && this.#bytes[length - 1] === 0) length--;
    return this.#bytes.slice(0, length);
  }

  #shiftLow(): void {
    const carry = this.#low >= 2 ** 32 ? 1 : 0;
    if (carry === 0 && this.#low >= 0xff000000) {
      this.#pending++;
    } else {
      if (this.#cache >= 0) this.#put(this.#cache + carry);
      for (; this.#pending > 0; this.#pending--) this.#put(0xff + carry);
      this.#cache = (this.#low >>> 24) & 255;
    }
    this.#low = (this.#low & 0xffffff) * 256;
  }

  #put(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}

export class RangeDecoder {
  /** Where the code lies above the interval's lower end. */
  #code = 0;
  #range = FULL_RANGE;
  #part = 0;
  /** Bytes taken so far, those past the end included, and the last four of them. */
  #taken = 0;
  #last = 0;

  constructor(private readonly bytes: Uint8Array) {
    for (let k = 0; k < 4; k++) this.#code = this.#code * 256 + this.#next();
    if (this.#code >= FULL_RANGE)
      throw new FormatError('range code: begins with four bytes 255, which no encoder writes');
  }

  /** The next symbol is the one whose frequencies contain this number. {@link take} has to follow. */
  target(): number {
    this.#part = this.#range >>> FREQUENCY_BITS;
    return Math.min(FREQUENCY_TOTAL - 1, Math.floor(this.#code / this.#part));
  }

  /** Goes on after a symbol, given by its frequencies as in {@link RangeEncoder.encode}. */
  take(start: number, size: number): void {
    const below = this.#part * start;
    this.#code -= below;
    this.#range = start + size === FREQUENCY_TOTAL ? this.#range - below : this.#part * size;
    while (this.#range < MIN_RANGE) {
      this.#range = (this.#range * 256) >>> 0;
      this.#code = this.#code * 256 + this.#next();
    }
  }

  bits(count: number): number {
    const unit = 1 << (FREQUENCY_BITS - count);
    const value = Math.floor(this.target() / unit);
    this.take(value * unit, unit);
    return value;
  }

  /** @throws FormatError for a number that is too large to be in a file */
  golomb(order: number): number {
    let length = order + 1;
    while (this.bits(1) === 1) {
      if (++length > MAX_GOLOMB_BITS) {
        throw new FormatError(`range code: a number of more than ${MAX_GOLOMB_BITS} bits`);
      }
    }
    let shifted = 1;
    for (let k = 1; k < length; k++) shifted = shifted * 2 + this.bits(1);
    return shifted - 2 ** order;
  }

  /**
   * Checks that the bytes are exactly those that an encoder makes of these symbols.
   * @throws FormatError
   */
  finish(): void {
    const { length } = this.bytes;
    if (length > this.#taken) {
      throw new FormatError(`range code: ${length} bytes, of which the symbols need only ${this.#taken}`);
    }
    // The interval's lower end modulo 2^32, which is enough to find the simplest number in it.
    const low = (this.#last - this.#code + 2 ** 32) % 2 ** 32;
    const padded = length > 0 && this.bytes[length - 1] === 0;
    if (padded || simplest(low, this.#range) % 2 ** 32 !== this.#last) {
      throw new FormatError(`range code: its last bytes are not the shortest for its symbols`);
    }
  }

  #next(): number {
    const at = this.#taken++;
    const byte = at < this.bytes.length ? this.bytes[at] : 0;
    this.#last = ((this.#last << 8) | byte) >>> 0;
    return byte;
  }
}

/** Of the integers from `low` to `low + range − 1` the one with most zero bits at its end. */
function simplest(low: number, range: number): number {
  let value = low;
  for (let unit = 2; unit <= 2 ** 32; unit *= 2) {
    const rounded = Math.ceil(low / unit) * unit;
    if (rounded >= low + range) break;
    value = rounded;
  }
  return value;
}

/** Bits that {@link RangeEncoder.golomb} writes. */
export function golombBits(value: number, order: number): number {
  return 2 * bitLength(value + 2 ** order) - 1 - order;
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}
