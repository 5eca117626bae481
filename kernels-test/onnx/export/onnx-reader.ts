import * as assert from 'uvu/assert';

/** A field of a protobuf message: a number, or bytes. */
interface Field {
  field: number;
  value: number | Uint8Array;
}

/** The fields of a message. This reader shares nothing with the writer. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    if (key % 8 === 0) fields.push({ field, value: varint() });
    else if (key % 8 === 5) {
      fields.push({ field, value: view.getFloat32(at, true) });
      at += 4;
    } else {
      assert.is(key % 8, 2, 'the type of a field');
      const size = varint();
      fields.push({ field, value: bytes.subarray(at, at + size) });
      at += size;
    }
  }
  assert.is(at, bytes.length, 'a message ends where its last field ends');
  return fields;
}

const all = (fields: Field[], field: number) => fields.filter((entry) => entry.field === field).map((e) => e.value);
const messages = (fields: Field[], field: number) => (all(fields, field) as Uint8Array[]).map(fieldsOf);
const text = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array);
const texts = (fields: Field[], field: number): string[] => all(fields, field).map(text);

export interface ReadNode {
  type: string;
  inputs: string[];
  outputs: string[];
  /** By name: a number, numbers, or a text. */
  attributes: Record<string, number | number[] | string>;
}

export interface ReadModel {
  irVersion: number;
  opset: number;
  metadata: Record<string, string>;
  nodes: ReadNode[];
  initializers: Map<string, { type: number; shape: number[]; data: Uint8Array }>;
  inputs: Record<string, (number | string)[]>;
  outputs: Record<string, (number | string)[]>;
}

function readNode(fields: Field[]): ReadNode {
  const attributes = messages(fields, 5).map((attribute) => {
    const [kind] = all(attribute, 20) as number[];
    const value = {
      1: () => all(attribute, 2)[0] as number,
      2: () => all(attribute, 3)[0] as number,
      3: () => text(all(attribute, 4)[0]),
      7: () => all(attribute, 8) as number[],
    }[kind as 1 | 2 | 3 | 7]!();
    return [texts(attribute, 1)[0], value] as const;
  });
  return {
    type: texts(fields, 4)[0],
    inputs: texts(fields, 1),
    outputs: texts(fields, 2),
    attributes: Object.fromEntries(attributes),
  };
}

function readShapes(values: Field[][]): Record<string, (number | string)[]> {
  return Object.fromEntries(
    values.map((value) => {
      const [shape] = messages(messages(messages(value, 2)[0], 1)[0], 2);
      const sizes = messages(shape, 1).map(([size]) => (size.field === 2 ? text(size.value) : (size.value as number)));
      return [texts(value, 1)[0], sizes];
    }),
  );
}

/** Reads an ONNX file as onnx.proto describes it (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). */
export function readOnnxFile(bytes: Uint8Array): ReadModel {
  const model = fieldsOf(bytes);
  const [graph] = messages(model, 7);
  const initializers = messages(graph, 5).map((tensor) => {
    const [type] = all(tensor, 2) as number[];
    return [
      texts(tensor, 8)[0],
      { type, shape: all(tensor, 1) as number[], data: all(tensor, 9)[0] as Uint8Array },
    ] as const;
  });
  return {
    irVersion: all(model, 1)[0] as number,
    opset: all(messages(model, 8)[0], 2)[0] as number,
    metadata: Object.fromEntries(messages(model, 14).map((entry) => [texts(entry, 1)[0], texts(entry, 2)[0]])),
    nodes: messages(graph, 1).map(readNode),
    initializers: new Map(initializers),
    inputs: readShapes(messages(graph, 11)),
    outputs: readShapes(messages(graph, 12)),
  };
}
