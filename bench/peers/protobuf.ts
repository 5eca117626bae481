/*
 * Writes messages in the wire format of Protocol Buffers; an ONNX file is such a message. Each field is its number and
 * wire type, then the value. A message is the concatenation of its fields, in any order.
 */

/** Bytes of one or several fields. */
export type Fields = Uint8Array<ArrayBuffer>;

/** An unsigned integer below 2⁵³, seven bits a byte, the lowest first; a set top bit says that more follow. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

export function joinFields(...parts: readonly Fields[]): Fields {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function integerField(field: number, value: number): Fields {
  return Uint8Array.from([...varint(field * 8), ...varint(value)]);
}

/** Text, bytes, or a message inside another. */
export function bytesField(field: number, value: string | Fields): Fields {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return joinFields(Uint8Array.from([...varint(field * 8 + 2), ...varint(bytes.length)]), bytes);
}
