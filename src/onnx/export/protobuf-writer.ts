/**
 * Bytes of a protobuf message, in parts so that large ones are copied once.
 * https://protobuf.dev/programming-guides/encoding
 */
export interface WireBytes {
  readonly size: number;
  readonly parts: readonly Uint8Array[];
}

/** The bytes of these one after the other: fields become a message. */
export function join(fields: readonly WireBytes[]): WireBytes {
  return { size: fields.reduce((sum, { size }) => sum + size, 0), parts: fields.flatMap(({ parts }) => parts) };
}

/** All bytes in one array. */
export function toBytes({ size, parts }: WireBytes): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const encoded = (bytes: Uint8Array): WireBytes => ({ size: bytes.length, parts: [bytes] });

function varint(value: number): number[] {
  const bytes = [];
  // Two's complement of 64 bits for numbers below 0.
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

/** A field that holds an integer or an enumeration. */
export const int = (field: number, value: number): WireBytes =>
  encoded(Uint8Array.from([...varint(field * 8), ...varint(value)]));

/** A field of bytes, or of a message. */
export function bytes(field: number, value: WireBytes | Uint8Array): WireBytes {
  const content = value instanceof Uint8Array ? encoded(value) : value;
  return join([encoded(Uint8Array.from([...varint(field * 8 + 2), ...varint(content.size)])), content]);
}

/** A field that holds a text. */
export const text = (field: number, value: string): WireBytes => bytes(field, new TextEncoder().encode(value));

/** A field that holds a float32. */
export function float(field: number, value: number): WireBytes {
  const buffer = new Uint8Array(5);
  buffer[0] = field * 8 + 5;
  new DataView(buffer.buffer).setFloat32(1, value, true);
  return encoded(buffer);
}
