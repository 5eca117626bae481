/** Writes small ONNX files for tests: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. */

/** An attribute: a float, an integer, a text, a list, an array or a graph. */
export type AttributeSpec =
  | { f: number }
  | { i: number }
  | { s: string }
  | { floats: number[] }
  | { ints: number[] }
  | { t: ArraySpec }
  | { g: GraphSpec };

/** An array; by default of float. Type 7 is int64, 9 is bool. */
export interface ArraySpec {
  dims: number[];
  values?: number[];
  type?: number;
  /** Where the values are in another file. */
  external?: Record<string, string>;
}

export interface NodeSpec {
  op: string;
  inputs: string[];
  outputs: string[];
  name?: string;
  domain?: string;
  attributes?: Record<string, AttributeSpec>;
}

/** An input or output with its sizes, which may be names. */
export interface ValueSpec {
  name: string;
  shape?: (number | string)[];
  type?: number;
}

export interface GraphSpec {
  nodes: NodeSpec[];
  inputs: ValueSpec[];
  outputs: (string | ValueSpec)[];
  initializers?: Record<string, ArraySpec>;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
}

const number = (field: number, value: number): number[] => [...varint(8 * field), ...varint(value)];
const chunk = (field: number, bytes: ArrayLike<number>): number[] => [
  ...varint(8 * field + 2),
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const text = (field: number, value: string): number[] => chunk(field, new TextEncoder().encode(value));
const floatBytes = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** Bytes of values of a type. */
function rawBytes(values: readonly number[], type: number): Uint8Array {
  if (type === 7) return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
  if (type === 6) return new Uint8Array(Int32Array.from(values).buffer);
  if (type === 11) return new Uint8Array(Float64Array.from(values).buffer);
  if (type === 10 || type === 16) return new Uint8Array(Uint16Array.from(values).buffer); // bits
  return type === 1 ? floatBytes(values) : Uint8Array.from(values);
}

function array(name: string, { dims, values = [], type = 1, external }: ArraySpec): number[] {
  const place = Object.entries(external ?? {}).flatMap((pair) => chunk(13, [...text(1, pair[0]), ...text(2, pair[1])]));
  return [
    ...dims.flatMap((size) => number(1, size)),
    ...number(2, type),
    ...text(8, name),
    ...(external ? [...place, ...number(14, 1)] : chunk(9, rawBytes(values, type))),
  ];
}

function attribute(name: string, spec: AttributeSpec): number[] {
  const head = text(1, name);
  if ('f' in spec) return [...head, ...varint(8 * 2 + 5), ...floatBytes([spec.f]), ...number(20, 1)];
  if ('i' in spec) return [...head, ...number(3, spec.i), ...number(20, 2)];
  if ('s' in spec) return [...head, ...text(4, spec.s), ...number(20, 3)];
  if ('t' in spec) return [...head, ...chunk(5, array('', spec.t)), ...number(20, 4)];
  if ('g' in spec) return [...head, ...chunk(6, graph(spec.g)), ...number(20, 5)];
  if ('floats' in spec) return [...head, ...chunk(7, floatBytes(spec.floats)), ...number(20, 6)];
  return [...head, ...spec.ints.flatMap((value) => number(8, value)), ...number(20, 7)];
}

const node = (spec: NodeSpec): number[] => [
  ...spec.inputs.flatMap((name) => text(1, name)),
  ...spec.outputs.flatMap((name) => text(2, name)),
  ...text(3, spec.name ?? ''),
  ...text(4, spec.op),
  ...Object.entries(spec.attributes ?? {}).flatMap(([name, value]) => chunk(5, attribute(name, value))),
  ...text(7, spec.domain ?? ''),
];

function value(spec: string | ValueSpec): number[] {
  const { name, shape, type = 1 } = typeof spec === 'string' ? { name: spec } : spec;
  const sizes = shape?.flatMap((size) => chunk(1, typeof size === 'number' ? number(1, size) : text(2, size)));
  const tensor = [...number(1, type), ...(sizes ? chunk(2, sizes) : [])];
  return [...text(1, name), ...chunk(2, chunk(1, tensor))];
}

const graph = ({ nodes, inputs, outputs, initializers = {} }: GraphSpec): number[] => [
  ...nodes.flatMap((one) => chunk(1, node(one))),
  ...text(2, 'g'),
  ...Object.entries(initializers).flatMap(([name, spec]) => chunk(5, array(name, spec))),
  ...inputs.flatMap((one) => chunk(11, value(one))),
  ...outputs.flatMap((one) => chunk(12, value(one))),
];

/** The file of a graph. */
export const onnxFile = (spec: GraphSpec, opset = 17): Uint8Array =>
  Uint8Array.from([...number(1, 8), ...chunk(7, graph(spec)), ...chunk(8, [...text(1, ''), ...number(2, opset)])]);
