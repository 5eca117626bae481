import { FormatError } from '../common/errors.js';
import { type ProtoField, ProtoReader } from './protobuf.js';

// The parts of an ONNX file as plain objects; fields as in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

/** An array of the file: its values are in one of the lists, in `raw`, or in another file. */
export interface TensorProto {
  dims: number[];
  /** Number of the type of elements; see `tensor-values.ts`. */
  type: number;
  name: string;
  floats: number[];
  /** int32, and what is stored as such: smaller integers, bool, float16. */
  int32s: number[];
  int64s: number[];
  doubles: number[];
  raw: Uint8Array | null;
  /** Where the values are in another file: `location`, `offset`, `length`. */
  external: Map<string, string> | null;
}

export interface AttributeProto {
  name: string;
  /** 1 float, 2 int, 3 string, 4 tensor, 5 graph, 6 floats, 7 ints, 8 strings. */
  type: number;
  float: number;
  int: number;
  text: string;
  tensor: TensorProto | null;
  graph: GraphProto | null;
  floats: number[];
  ints: number[];
  strings: string[];
}

export interface NodeProto {
  inputs: string[];
  outputs: string[];
  name: string;
  operator: string;
  domain: string;
  attributes: Map<string, AttributeProto>;
}

/** An input or output of a graph. Sizes that are not fixed are their names, or null. */
export interface ValueProto {
  name: string;
  /** Number of the type of elements; 0 for what is not a tensor. */
  type: number;
  shape: (number | string | null)[] | null;
}

export interface GraphProto {
  nodes: NodeProto[];
  initializers: TensorProto[];
  inputs: ValueProto[];
  outputs: ValueProto[];
  /** Features of graphs that are not supported. */
  others: string[];
}

export interface ModelProto {
  graph: GraphProto;
  /** Version of the operators, by domain. */
  opsets: Map<string, number>;
  producer: string;
  /** Texts about the model: `metadata_props`. */
  metadata: Map<string, string>;
  others: string[];
}

/** The most elements of a list of nodes, inputs or initializers. */
const MOST = 2 ** 20;

/** Reads the fields of a message; `known` returns false for a field that it does not know. */
function fields(reader: ProtoReader, known: (field: ProtoField) => unknown): void {
  for (let field = reader.next(); field; field = reader.next()) if (known(field) === false) reader.skip(field);
}

function push<T>(list: T[], item: T): void {
  if (list.length >= MOST) throw new FormatError(`ONNX: a list of the file has more than ${MOST} entries`);
  list.push(item);
}

/** A switch over `number * 8 + wire`, so that a field of a wrong type is not read as another. */
const key = ({ number, wire }: ProtoField): number => number * 8 + wire;

function readPair(reader: ProtoReader): [string, string] {
  const pair: [string, string] = ['', ''];
  fields(reader, (field) => {
    if (key(field) === 10) pair[0] = reader.text();
    else if (key(field) === 18) pair[1] = reader.text();
    else return false;
  });
  return pair;
}

/** A TensorProto, such as the value of an initializer. @throws FormatError */
export function readTensorProto(reader: ProtoReader): TensorProto {
  const tensor: TensorProto = {
    dims: [],
    type: 0,
    name: '',
    floats: [],
    int32s: [],
    int64s: [],
    doubles: [],
    raw: null,
    external: null,
  };
  const external = new Map<string, string>();
  let isExternal = false;
  fields(reader, (field) => {
    if (field.number === 1) reader.numbers(field, tensor.dims, (r) => r.int64());
    else if (field.number === 4) reader.numbers(field, tensor.floats, (r) => r.float());
    else if (field.number === 5) reader.numbers(field, tensor.int32s, (r) => r.int64());
    else if (field.number === 7) reader.numbers(field, tensor.int64s, (r) => r.int64());
    else if (field.number === 10) reader.numbers(field, tensor.doubles, (r) => r.double());
    else if (key(field) === 16) tensor.type = reader.uint();
    else if (key(field) === 66) tensor.name = reader.text();
    else if (key(field) === 74) tensor.raw = reader.chunk();
    else if (key(field) === 106) external.set(...reader.message(readPair));
    else if (key(field) === 112) isExternal = reader.uint() === 1;
    else if (field.number === 3) throw new FormatError('ONNX: tensors in segments are not supported');
    else return false;
  });
  if (isExternal) tensor.external = external;
  if (tensor.dims.length > 64) throw new FormatError(`ONNX: tensor "${tensor.name}" has more than 64 axes`);
  return tensor;
}

function readAttribute(reader: ProtoReader): AttributeProto {
  const found: AttributeProto = {
    name: '',
    type: 0,
    float: 0,
    int: 0,
    text: '',
    tensor: null,
    graph: null,
    floats: [],
    ints: [],
    strings: [],
  };
  fields(reader, (field) => {
    if (key(field) === 10) found.name = reader.text();
    else if (key(field) === 160) found.type = reader.uint();
    else if (key(field) === 21) found.float = reader.float();
    else if (key(field) === 24) found.int = reader.int64();
    else if (key(field) === 34) found.text = reader.text();
    else if (key(field) === 42) found.tensor = reader.message(readTensorProto);
    else if (key(field) === 50) found.graph = reader.message(readGraph);
    else if (field.number === 7) reader.numbers(field, found.floats, (r) => r.float());
    else if (field.number === 8) reader.numbers(field, found.ints, (r) => r.int64());
    else if (key(field) === 74) push(found.strings, reader.text());
    else return false;
  });
  return found;
}

function readNode(reader: ProtoReader): NodeProto {
  const node: NodeProto = { inputs: [], outputs: [], name: '', operator: '', domain: '', attributes: new Map() };
  fields(reader, (field) => {
    if (key(field) === 10) push(node.inputs, reader.text());
    else if (key(field) === 18) push(node.outputs, reader.text());
    else if (key(field) === 26) node.name = reader.text();
    else if (key(field) === 34) node.operator = reader.text();
    else if (key(field) === 58) node.domain = reader.text();
    else if (key(field) === 42) {
      const attribute = reader.message(readAttribute);
      node.attributes.set(attribute.name, attribute);
    } else return false;
  });
  return node;
}

function readDimension(reader: ProtoReader): number | string | null {
  let size: number | string | null = null;
  fields(reader, (field) => {
    if (key(field) === 8) size = reader.int64();
    else if (key(field) === 18) size = reader.text();
    else return false;
  });
  return size;
}

function readValue(reader: ProtoReader): ValueProto {
  const value: ValueProto = { name: '', type: 0, shape: null };
  const readShape = (shape: ProtoReader): void => {
    const sizes: ValueProto['shape'] = [];
    fields(shape, (field) => key(field) === 10 && push(sizes, shape.message(readDimension)));
    value.shape = sizes;
  };
  const readTensorType = (type: ProtoReader): void =>
    fields(type, (field) => {
      if (key(field) === 8) value.type = type.uint();
      else if (key(field) === 18) type.message(readShape);
      else return false;
    });
  const readType = (type: ProtoReader): void =>
    fields(type, (field) => key(field) === 10 && type.message(readTensorType));
  fields(reader, (field) => {
    if (key(field) === 10) value.name = reader.text();
    else if (key(field) === 18) reader.message(readType);
    else return false;
  });
  return value;
}

function readGraph(reader: ProtoReader): GraphProto {
  const graph: GraphProto = { nodes: [], initializers: [], inputs: [], outputs: [], others: [] };
  fields(reader, (field) => {
    if (key(field) === 10) push(graph.nodes, reader.message(readNode));
    else if (key(field) === 42) push(graph.initializers, reader.message(readTensorProto));
    else if (key(field) === 90) push(graph.inputs, reader.message(readValue));
    else if (key(field) === 98) push(graph.outputs, reader.message(readValue));
    else if (key(field) === 122) {
      reader.skip(field);
      push(graph.others, 'sparse initializers');
    } else return false;
  });
  return graph;
}

/** Reads a file. @throws FormatError if it is damaged, or no ONNX file */
export function readModel(bytes: Uint8Array): ModelProto {
  const reader = new ProtoReader(bytes);
  const opsets = new Map<string, number>();
  const others: string[] = [];
  const metadata = new Map<string, string>();
  let graph: GraphProto | null = null;
  let producer = '';
  const readOpset = (opset: ProtoReader): void => {
    let domain = '';
    let version = 0;
    fields(opset, (field) => {
      if (key(field) === 10) domain = opset.text();
      else if (key(field) === 16) version = opset.uint();
      else return false;
    });
    opsets.set(domain === 'ai.onnx' ? '' : domain, version);
  };
  fields(reader, (field) => {
    if (key(field) === 18) producer = reader.text();
    else if (key(field) === 58) graph = reader.message(readGraph);
    else if (key(field) === 66) reader.message(readOpset);
    else if (key(field) === 114) metadata.set(...reader.message(readPair));
    else if (key(field) === 202) {
      reader.skip(field);
      push(others, 'functions of its own');
    } else return false;
  });
  if (!graph) throw new FormatError('ONNX: the file has no graph: it is damaged, or no ONNX file');
  return { graph, opsets, producer, metadata, others };
}
