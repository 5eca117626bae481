import { FormatError } from '../common/errors.js';
import { sizeOf } from '../common/shapes.js';
import type { TensorProto } from './model.js';
import { toInt64 } from './protobuf.js';
import { type HostType, HostValue } from './values.js';

/** Reads the values of an element from raw bytes. */
type Read = (view: DataView, at: number) => number;

interface StoredType {
  name: string;
  bytes: number;
  /** The type here. */
  type: HostType;
  /** Where values are that are not raw. */
  list: 'floats' | 'int32s' | 'int64s' | 'doubles';
  read: Read;
  /** What a number of the list stands for, if not for itself. */
  decode?: (value: number) => number;
}

const half = (bits: number): number => {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size =
    exponent === 31
      ? fraction
        ? NaN
        : Infinity
      : exponent
        ? (1 + fraction / 1024) * 2 ** (exponent - 15)
        : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
};

const brainFloat = (bits: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits & 0xffff);
  return view.getFloat32(0);
};

/** Types of elements by their numbers in the file. */
function storedType(type: number): StoredType | undefined {
  const row = (
    name: string,
    bytes: number,
    to: HostType,
    list: StoredType['list'],
    read: Read,
    decode?: StoredType['decode'],
  ) => ({
    name,
    bytes,
    type: to,
    list,
    read,
    decode,
  });
  switch (type) {
    case 1:
      return row('float', 4, 'float32', 'floats', (v, at) => v.getFloat32(at, true));
    case 2:
      return row('uint8', 1, 'int32', 'int32s', (v, at) => v.getUint8(at));
    case 3:
      return row('int8', 1, 'int32', 'int32s', (v, at) => v.getInt8(at));
    case 4:
      return row('uint16', 2, 'int32', 'int32s', (v, at) => v.getUint16(at, true));
    case 5:
      return row('int16', 2, 'int32', 'int32s', (v, at) => v.getInt16(at, true));
    case 6:
      return row('int32', 4, 'int32', 'int32s', (v, at) => v.getInt32(at, true));
    case 7:
      return row('int64', 8, 'int64', 'int64s', (v, at) => toInt64(v.getUint32(at, true), v.getUint32(at + 4, true)));
    case 9:
      return row('bool', 1, 'bool', 'int32s', (v, at) => v.getUint8(at));
    case 10:
      return row('float16', 2, 'float32', 'int32s', (v, at) => half(v.getUint16(at, true)), half);
    case 11:
      return row('double', 8, 'float32', 'doubles', (v, at) => v.getFloat64(at, true));
    case 16:
      return row('bfloat16', 2, 'float32', 'int32s', (v, at) => brainFloat(v.getUint16(at, true)), brainFloat);
  }
  return undefined;
}

const OTHERS: Record<number, string> = { 8: 'string', 12: 'uint32', 13: 'uint64', 14: 'complex64', 15: 'complex128' };

/** How a type of elements is called. */
export const typeName = (type: number): string => storedType(type)?.name ?? OTHERS[type] ?? `type ${type}`;

/** The type here of a number of the file; undefined for types that are not supported. */
export const hostType = (type: number): HostType | undefined => storedType(type)?.type;

/** Whether arithmetic of this type wraps at fewer than 32 bits. */
export const isNarrow = (type: number): boolean => type >= 2 && type <= 5;

/** Gives the bytes of another file that the model names; see `ImportOptions`. */
export type ExternalData = (location: string) => Uint8Array;

/**
 * The values of an array of the file. Double becomes float32, smaller floats too; integers of fewer than 32 bits become int32.
 * @throws FormatError for sizes that do not fit the values, or a type that is not supported
 */
export function tensorValues(tensor: TensorProto, external?: ExternalData): HostValue {
  const fail = (what: string): never => {
    throw new FormatError(`ONNX: tensor "${tensor.name}" ${what}`);
  };
  const stored = storedType(tensor.type);
  if (!stored) return fail(`is of ${typeName(tensor.type)}, which is not supported`);
  const { dims } = tensor;
  const size = sizeOf(dims);
  if (dims.some((extent) => !(extent >= 0)) || !Number.isSafeInteger(size)) fail(`has the shape [${dims}]`);
  const raw = tensor.external ? externalBytes(tensor, size * stored.bytes, external, fail) : tensor.raw;
  if (raw) {
    if (raw.length !== size * stored.bytes)
      fail(`has ${raw.length} bytes; [${dims}] of ${stored.name} needs ${size * stored.bytes}`);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    // All browsers and Node run on machines that store the lower byte first, as the file does. The copy is aligned, also that of a Buffer.
    if (tensor.type === 1) return new HostValue('float32', dims, new Float32Array(new Uint8Array(raw).buffer));
    return HostValue.of(stored.type, dims, (i) => stored.read(view, i * stored.bytes), Infinity);
  }
  const list = tensor[stored.list];
  if (list.length !== size) fail(`has ${list.length} values; [${dims}] needs ${size}`);
  return HostValue.of(stored.type, dims, (i) => (stored.decode ? stored.decode(list[i]) : list[i]), Infinity);
}

/** The part of another file that holds the values. */
function externalBytes(
  { external }: TensorProto,
  bytes: number,
  read: ExternalData | undefined,
  fail: (what: string) => never,
): Uint8Array {
  const location = external!.get('location') ?? fail('is in another file without a name');
  if (!read) return fail(`is in the file "${location}": give the option external`);
  const wholeNumber = (name: string, missing: number): number => {
    const text = external!.get(name);
    if (text === undefined) return missing;
    return /^\d{1,15}$/.test(text) ? Number(text) : fail(`has the ${name} "${text}" in "${location}"`);
  };
  const data: unknown = read(location);
  if (!(data instanceof Uint8Array)) return fail(`is in the file "${location}", of which external gave no Uint8Array`);
  const offset = wholeNumber('offset', 0);
  const length = wholeNumber('length', bytes);
  if (length !== bytes || offset + length > data.length) {
    fail(`needs ${bytes} bytes of "${location}"; it gives ${length} at ${offset} of ${data.length}`);
  }
  return data.subarray(offset, offset + length);
}
