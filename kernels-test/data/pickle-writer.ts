import { deflateRawSync } from 'node:zlib';
import { crc32 } from '../../src/codec/crc32.js';

/** A value to pickle: data, a global, a call, or a reference to a storage. */
export type Picklable =
  | null
  | boolean
  | number
  | bigint
  | string
  | Picklable[]
  | { tuple: Picklable[] }
  | { dict: [Picklable, Picklable][] }
  | { ordered: [Picklable, Picklable][] }
  | { global: [module: string, name: string] }
  | { call: [module: string, name: string]; args: Picklable[] }
  | { persistent: Picklable };

const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
const text = (value: string): number[] => [...new TextEncoder().encode(value)];

function opcodes(value: Picklable): number[] {
  if (value === null) return [0x4e];
  if (value === true) return [0x88];
  if (value === false) return [0x89];
  if (typeof value === 'number') return [0x4a, ...u32(value)];
  if (typeof value === 'bigint') {
    const bytes: number[] = [];
    for (let rest = value; rest > 0n; rest >>= 8n) bytes.push(Number(rest & 255n));
    return [0x8a, bytes.length + 1, ...bytes, 0];
  }
  if (typeof value === 'string') return [0x58, ...u32(text(value).length), ...text(value)];
  if (Array.isArray(value)) return [0x5d, 0x28, ...value.flatMap(opcodes), 0x65];
  if ('tuple' in value) return [0x28, ...value.tuple.flatMap(opcodes), 0x74];
  if ('dict' in value) return [0x7d, 0x28, ...value.dict.flat().flatMap(opcodes), 0x75];
  if ('ordered' in value) {
    const empty = opcodes({ call: ['collections', 'OrderedDict'], args: [] });
    return [...empty, 0x28, ...value.ordered.flat().flatMap(opcodes), 0x75];
  }
  if ('global' in value) return [0x63, ...text(`${value.global[0]}\n${value.global[1]}\n`)];
  if ('call' in value) return [...opcodes({ global: value.call }), ...opcodes({ tuple: value.args }), 0x52];
  return [...opcodes(value.persistent), 0x51];
}

/** A pickle of protocol 2. */
export const pickle = (value: Picklable): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes(value), 0x2e]);

export function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A zip archive, whose files are stored or deflated. */
export function writeZip(files: readonly (readonly [name: string, data: Uint8Array])[], deflated = false): Uint8Array {
  const body: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, data] of files) {
    const packed = deflated ? new Uint8Array(deflateRawSync(data)) : data;
    const label = new TextEncoder().encode(name);
    const fields = new Uint8Array(26);
    const view = new DataView(fields.buffer);
    view.setUint16(0, 20, true);
    view.setUint16(4, deflated ? 8 : 0, true);
    view.setUint32(10, crc32(data), true);
    view.setUint32(14, packed.length, true);
    view.setUint32(18, data.length, true);
    view.setUint16(22, label.length, true);
    const local = concat(Uint8Array.of(0x50, 0x4b, 3, 4), fields, label, packed);
    const rest = new Uint8Array(14);
    new DataView(rest.buffer).setUint32(10, at, true);
    directory.push(concat(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), fields, rest, label));
    body.push(local);
    at += local.length;
  }
  const entries = concat(...directory);
  const end = new Uint8Array(22);
  const view = new DataView(end.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, files.length, true);
  view.setUint16(10, files.length, true);
  view.setUint32(12, entries.length, true);
  view.setUint32(16, at, true);
  return concat(...body, entries, end);
}

/** A storage of a checkpoint: its class in torch, and its elements' bytes. */
export interface Storage {
  type: string;
  count: number;
  bytes: Uint8Array;
}

export const floats = (values: ArrayLike<number>): Storage => {
  const data = Float32Array.from(values);
  return { type: 'FloatStorage', count: data.length, bytes: new Uint8Array(data.buffer) };
};

/** A tensor of storage number `key`. With `legacy` it has the sixth field that references had before version 1.6. */
export function tensor(
  storages: readonly Storage[],
  key: number,
  shape: readonly number[],
  { strides = stridesOf(shape), offset = 0, legacy = false } = {},
): Picklable {
  const { type, count } = storages[key];
  const reference: Picklable[] = ['storage', { global: ['torch', type] }, String(key), 'cpu', count];
  return {
    call: ['torch._utils', '_rebuild_tensor_v2'],
    args: [
      { persistent: { tuple: legacy ? [...reference, null] : reference } },
      offset,
      { tuple: [...shape] },
      { tuple: [...strides] },
      false,
      { ordered: [] },
    ],
  };
}

const stridesOf = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));

/** A file as torch.save writes it since version 1.6. */
export function zipCheckpoint(object: Picklable, storages: readonly Storage[], deflated = false): Uint8Array {
  const data = storages.map(({ bytes }, key) => [`archive/data/${key}`, bytes] as const);
  return writeZip([['archive/data.pkl', pickle(object)], ...data], deflated);
}

/** A file as torch.save wrote it before version 1.6. */
export function legacyCheckpoint(object: Picklable, storages: readonly Storage[]): Uint8Array {
  const system: Picklable = {
    dict: [
      ['protocol_version', 1001],
      ['little_endian', true],
    ],
  };
  const data = storages.flatMap(({ count, bytes }) => {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigInt64(0, BigInt(count), true);
    return [length, bytes];
  });
  const keys = storages.map((_, key) => String(key));
  return concat(pickle(0x1950a86a20f9469cfc6cn), pickle(1001), pickle(system), pickle(object), pickle(keys), ...data);
}
