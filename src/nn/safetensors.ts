import { refuse } from '../common/arguments.js';
import { ArgumentError, CheckpointError, ShapeError } from '../common/errors.js';
import { formatShape, sizeOf } from '../common/shapes.js';
import type { HostTensor, HostTensors } from './host-tensor.js';
import { INT8_KEY, joinInt8 } from './int8-tensors.js';
import { METADATA_KEY, parseHeader } from './safetensors-header.js';
import { halvesToFloat32, STORED_TYPES, type StoredType, storedValue } from './stored-types.js';

export { float16Value } from './stored-types.js';

// The format (https://huggingface.co/docs/safetensors): a little-endian 64-bit length, that many bytes of JSON
// {name: {dtype, shape, data_offsets}}, then the data, little-endian like every host this runs on.

const PREFIX_BYTES = 8;
/** The format's own limit, against files that make a reader allocate any amount. */
const MAX_HEADER_BYTES = 100_000_000;

export interface Safetensors {
  tensors: HostTensors;
  /** Free text by key. */
  metadata: Map<string, string>;
}

/**
 * Reads a safetensors file. Other types become float32, which holds all their values except integers of more than
 * 24 bits and large doubles; such values are refused. A tensor that is stored in 8 bits a value (int8-tensors.ts) comes
 * as one with its values.
 * @throws CheckpointError that names what is wrong: a truncated or foreign file, a tensor of unknown type, tensors that
 * overlap, leave gaps or lie outside the file, a name that occurs twice
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const { entries, metadata, dataStart } = readHeader(bytes);
  const tensors = entries.map(({ name, type, shape, begin, end }): [string, HostTensor] => {
    // A copy, so that it is aligned for any element type. (Buffer, Node's Uint8Array, has a slice that does not copy.)
    const data = new Uint8Array(bytes.subarray(dataStart + begin, dataStart + end));
    return [name, { shape, data: toFloat32(name, type, data.buffer) }];
  });
  const text = new Map(metadata);
  const version = text.get(INT8_KEY);
  text.delete(INT8_KEY); // it tells how these bytes are stored, and no more
  const stored: HostTensors = new Map(tensors);
  return { tensors: version === undefined ? stored : joinInt8(stored, version), metadata: text };
}

/** Only the free text of a safetensors file, which says what kind of file it is. @throws as `readSafetensors` */
export function readSafetensorsMetadata(bytes: Uint8Array): ReadonlyMap<string, string> {
  return readHeader(bytes).metadata;
}

function readHeader(bytes: Uint8Array) {
  if (!ArrayBuffer.isView(bytes)) refuse('readSafetensors', 'bytes', bytes, 'the bytes of a file, as a Uint8Array');
  if (bytes.length < PREFIX_BYTES) {
    throw new CheckpointError(`safetensors: the file has ${bytes.length} bytes; its header alone needs more`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      `safetensors: a header of ${length} bytes is announced (at most ${MAX_HEADER_BYTES} are allowed): not a safetensors file?`,
    );
  }
  const dataStart = PREFIX_BYTES + Number(length);
  if (dataStart > bytes.length) {
    throw new CheckpointError(
      `safetensors: the file ends at byte ${bytes.length}, inside its header of ${length} bytes`,
    );
  }
  const header = parseHeader(decodeText(bytes.subarray(PREFIX_BYTES, dataStart)), bytes.length - dataStart);
  return { ...header, dataStart };
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError('safetensors: the header is not UTF-8', { cause });
  }
}

function toFloat32(name: string, type: StoredType, data: ArrayBuffer): Float32Array {
  if (type === 'F32') return new Float32Array(data);
  if (type === 'F16') return halvesToFloat32(new Uint16Array(data));
  if (type === 'I8') return new Float32Array(new Int8Array(data));
  const view = new DataView(data);
  const { bytes } = STORED_TYPES[type];
  const length = data.byteLength / bytes;
  const fail = (why: string): never => {
    throw new CheckpointError(`safetensors: "${name}" ${why}`);
  };
  return Float32Array.from({ length }, (_, k) => storedValue(type, view, bytes * k, fail));
}

/**
 * Writes float32 tensors as a safetensors file. Names are sorted and the header is padded so that the data starts at a
 * multiple of 8: equal tensors and metadata give equal bytes.
 * @param half names of tensors to store as F16, rounded to the nearest
 * @param int8 names of tensors to store as I8
 * @throws ShapeError for values that do not fill their shape; ArgumentError for the reserved name `__metadata__`, or for a
 *   value that I8 does not hold
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
  half: ReadonlySet<string> = new Set(),
  int8: ReadonlySet<string> = new Set(),
): Uint8Array {
  if (!(tensors instanceof Map)) refuse('writeSafetensors', 'tensors', tensors, 'a map of tensors by name');
  const members: string[] = [];
  // Objects would put names such as "0" first, so the members are joined by hand.
  if (metadata.size > 0) members.push(`"${METADATA_KEY}":{${sorted(metadata).map(member).join(',')}}`);
  let end = 0;
  const ordered = sorted(tensors);
  for (const [name, { shape, data }] of ordered) {
    if (name === METADATA_KEY) throw new ArgumentError(`a tensor cannot have the name ${METADATA_KEY}`);
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError(`${name}: ${data.length} values do not fill shape ${formatShape(shape)}`);
    }
    const begin = end;
    const dtype = half.has(name) ? 'F16' : int8.has(name) ? 'I8' : 'F32';
    end += STORED_TYPES[dtype].bytes * data.length;
    members.push(member([name, { dtype, shape, data_offsets: [begin, end] }]));
  }
  const header = new TextEncoder().encode(`{${members.join(',')}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(PREFIX_BYTES + headerBytes + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  bytes.set(header, PREFIX_BYTES);
  let at = PREFIX_BYTES + headerBytes;
  for (const [name, { data }] of ordered) {
    const stored = half.has(name)
      ? Uint16Array.from(data, float16Bits)
      : int8.has(name)
        ? Int8Array.from(data, checkByte)
        : data;
    bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), at);
    at += stored.byteLength;
  }
  return bytes;
}

/** The IEEE 754 half-precision number nearest to a value, ties to even. */
export function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.max(magnitude, 2 ** -24))));
  const scaled = magnitude / 2 ** (exponent - 10); // below 1024 for subnormal numbers
  let fraction = Math.floor(scaled);
  const rest = scaled - fraction;
  if (rest > 0.5 || (rest === 0.5 && fraction % 2 === 1)) fraction++;
  // A fraction that reaches 2048 carries into the exponent, as the sum does by itself.
  return exponent === -14 ? sign | fraction : sign | (((exponent + 14) << 10) + fraction);
}

/** @throws ArgumentError */
function checkByte(value: number): number {
  if ((value << 24) >> 24 === value) return value;
  throw new ArgumentError(`${value}: I8 holds integers from −128 to 127`);
}

const member = ([key, value]: [string, unknown]): string => `${JSON.stringify(key)}:${JSON.stringify(value)}`;

/** By UTF-16 code units: the same everywhere, unlike by locale. */
function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
