import { bytes, float, int, join, text, toBytes, type WireBytes } from './protobuf-writer.js';

/** Element types, by ONNX's number. */
export const ELEMENT_TYPES = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** An attribute: an integer, integers, a text, or a float32. */
export type OnnxAttribute = number | readonly number[] | string | { float: number };

export interface OnnxNode {
  type: string;
  inputs: string[];
  outputs: string[];
  attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxInitializer {
  name: string;
  type: ElementType;
  shape: readonly number[];
  /** One number for each element; float32 and int32 take a typed array. */
  values: ArrayLike<number>;
}

/** An input or output of the graph; sizes that are texts are symbols. */
export interface OnnxValue {
  name: string;
  type: ElementType;
  shape: readonly (number | string)[];
}

export interface OnnxGraph {
  opset: number;
  nodes: readonly OnnxNode[];
  initializers: readonly OnnxInitializer[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  metadata: Readonly<Record<string, string>>;
}

function attribute(name: string, value: OnnxAttribute): WireBytes {
  const content =
    typeof value === 'number'
      ? [int(3, value), int(20, 2)]
      : typeof value === 'string'
        ? [text(4, value), int(20, 3)]
        : 'float' in value
          ? [float(2, value.float), int(20, 1)]
          : [...value.map((entry) => int(8, entry)), int(20, 7)];
  return join([text(1, name), ...content]);
}

const node = ({ type, inputs, outputs, attributes }: OnnxNode): WireBytes =>
  join([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]),
    text(4, type),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
  ]);

/** The elements as ONNX stores them: little-endian, whatever the machine has. */
function rawData(type: ElementType, values: ArrayLike<number>): Uint8Array {
  const width = { float32: 4, int32: 4, int64: 8, bool: 1 }[type];
  const data = new Uint8Array(values.length * width);
  const view = new DataView(data.buffer);
  for (let k = 0; k < values.length; k++) {
    if (type === 'float32') view.setFloat32(4 * k, values[k], true);
    else if (type === 'int32') view.setInt32(4 * k, values[k], true);
    else if (type === 'int64') view.setBigInt64(8 * k, BigInt(values[k]), true);
    else data[k] = values[k];
  }
  return data;
}

const initializer = ({ name, type, shape, values }: OnnxInitializer): WireBytes =>
  join([
    ...shape.map((size) => int(1, size)),
    int(2, ELEMENT_TYPES[type]),
    text(8, name),
    bytes(9, rawData(type, values)),
  ]);

function value({ name, type, shape }: OnnxValue): WireBytes {
  const sizes = shape.map((size) => bytes(1, typeof size === 'string' ? text(2, size) : int(1, size)));
  const tensor = join([int(1, ELEMENT_TYPES[type]), bytes(2, join(sizes))]);
  return join([text(1, name), bytes(2, bytes(1, tensor))]);
}

/** The version of the file format (IR) that came with an opset. */
const irVersion = (opset: number): number => (opset <= 18 ? 8 : opset <= 20 ? 9 : 10);

/** A graph as the bytes of an ONNX file (ModelProto). */
export function writeOnnx({ opset, nodes, initializers, inputs, outputs, metadata }: OnnxGraph): Uint8Array {
  const graph = join([
    ...nodes.map((entry) => bytes(1, node(entry))),
    text(2, 'cameo'),
    ...initializers.map((entry) => bytes(5, initializer(entry))),
    ...inputs.map((entry) => bytes(11, value(entry))),
    ...outputs.map((entry) => bytes(12, value(entry))),
  ]);
  return toBytes(
    join([
      int(1, irVersion(opset)),
      text(2, 'cameo'),
      bytes(7, graph),
      bytes(8, join([text(1, ''), int(2, opset)])),
      ...Object.entries(metadata).map(([key, entry]) => bytes(14, join([text(1, key), text(2, entry)]))),
    ]),
  );
}
