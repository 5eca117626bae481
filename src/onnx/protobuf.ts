import { FormatError } from '../common/errors.js';

/** A field's number and how its value is stored: 0 a varint, 1 eight bytes, 2 bytes with a length, 5 four bytes. */
export interface ProtoField {
  readonly number: number;
  readonly wire: number;
}

/** The deepest nesting of messages that is read; ONNX needs about four levels for each graph in a graph. */
const DEEPEST = 64;

/**
 * Reads protocol buffers (https://protobuf.dev/programming-guides/encoding). Every length is checked against the end of the
 * message, so that a damaged file gives a FormatError.
 */
export class ProtoReader {
  #at: number;
  readonly #end: number;

  constructor(
    readonly bytes: Uint8Array,
    start = 0,
    end = bytes.length,
    readonly depth = 0,
  ) {
    if (depth > DEEPEST) throw new FormatError(`ONNX: messages are nested more than ${DEEPEST} deep`);
    this.#at = start;
    this.#end = end;
  }

  /** The next field, or null at the end of the message. */
  next(): ProtoField | null {
    if (this.#at === this.#end) return null;
    const key = this.uint();
    const field = { number: Math.floor(key / 8), wire: key % 8 };
    if (field.number < 1) this.#damaged('a field has the number 0');
    return field;
  }

  /** An unsigned integer below 2⁵³. */
  uint(): number {
    const value = this.int64();
    if (!(value >= 0 && value < 2 ** 53)) this.#damaged('an integer is out of range');
    return value;
  }

  /** A signed integer; beyond ±2⁵³ it is infinite. */
  int64(): number {
    let low = 0;
    let high = 0;
    for (let k = 0; k < 10; k++) {
      if (this.#at >= this.#end) this.#damaged('an integer reaches out of its message');
      const byte = this.bytes[this.#at++];
      const bits = byte & 127;
      if (k < 4) low += bits * 2 ** (7 * k);
      else if (k === 4) {
        low += (bits & 15) * 2 ** 28;
        high = bits >> 4;
      } else high += bits * 2 ** (7 * k - 32);
      if (byte < 128) return toInt64(low, high % 2 ** 32);
    }
    return this.#damaged('an integer has more than ten bytes');
  }

  /** The bytes of a field of wire type 2, without a copy. */
  chunk(): Uint8Array {
    const length = this.uint();
    return this.#take(length);
  }

  /** Reads a message with `read`. */
  message<T>(read: (reader: ProtoReader) => T): T {
    const length = this.uint();
    const start = this.#at;
    this.#take(length);
    return read(new ProtoReader(this.bytes, start, start + length, this.depth + 1));
  }

  text(): string {
    return new TextDecoder().decode(this.chunk());
  }

  float(): number {
    return this.#view(4).getFloat32(0, true);
  }

  double(): number {
    return this.#view(8).getFloat64(0, true);
  }

  /** Adds the values of a repeated field of numbers, packed or not, to `list`. */
  numbers(field: ProtoField, list: number[], read: (reader: ProtoReader) => number): void {
    if (field.wire !== 2) list.push(read(this));
    else {
      this.message((inner) => {
        while (inner.#at < inner.#end) list.push(read(inner));
      });
    }
  }

  /** Passes over a field that is not known. */
  skip({ wire }: ProtoField): void {
    if (wire === 0) this.int64();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.chunk();
    else if (wire === 5) this.#take(4);
    else this.#damaged(`a field has the type ${wire}, which does not exist`);
  }

  #view(length: number): DataView {
    const { buffer, byteOffset } = this.#take(length);
    return new DataView(buffer, byteOffset, length);
  }

  #take(length: number): Uint8Array {
    if (length > this.#end - this.#at) this.#damaged('a length reaches out of its message');
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  #damaged(what: string): never {
    throw new FormatError(`ONNX: the file is damaged, or no ONNX file: at byte ${this.#at} ${what}`);
  }
}

/** The integer of two halves of 32 bits, the lower first; beyond ±2⁵³, which a number cannot hold exactly, it is infinite. */
export function toInt64(low: number, high: number): number {
  const value = (high >= 2 ** 31 ? high - 2 ** 32 : high) * 2 ** 32 + low;
  return Number.isSafeInteger(value) ? value : Math.sign(value) * Infinity;
}
