import { inflateRawSync } from 'node:zlib';
import { FormatError } from '../common/errors.js';
import type { HostTensor } from '../nn/host-tensor.js';
import { isCall, isPersistent, type PickleValue, readPickle } from './pickle.js';

/** Bytes of an element, and how to read it, by the storage class that a checkpoint names. */
const STORAGES: Record<string, { bytes: number; get: (view: DataView, at: number) => number }> = {
  FloatStorage: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  DoubleStorage: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
  HalfStorage: { bytes: 2, get: (view, at) => halfToNumber(view.getUint16(at, true)) },
  LongStorage: { bytes: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  IntStorage: { bytes: 4, get: (view, at) => view.getInt32(at, true) },
};

const REBUILDERS = [
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_parameter',
];

/** The globals that state dicts name. They are names here and nothing else. */
const allowed = (name: string): boolean =>
  REBUILDERS.includes(name) ||
  name === 'collections.OrderedDict' ||
  (/^torch\.\w+Storage$/.test(name) && Object.hasOwn(STORAGES, name.slice('torch.'.length)));

const MAX_BYTES = 2 ** 31;

function halfToNumber(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The files of a zip archive, stored or deflated. @throws FormatError */
function readZip(bytes: Uint8Array, name: string): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (why: string): never => {
    throw new FormatError(`${name}: a damaged zip archive: ${why}`);
  };
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) fail('it has no directory');
  let at = view.getUint32(end + 16, true);
  const files = new Map<string, Uint8Array>();
  for (let k = view.getUint16(end + 10, true); k > 0; k--) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50) fail(`no directory entry at byte ${at}`);
    const [method, packed, size] = [
      view.getUint16(at + 10, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 24, true),
    ];
    const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const local = view.getUint32(at + 42, true);
    const file = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (packed === 0xffffffff || size > MAX_BYTES) fail(`${file} is larger than ${MAX_BYTES} bytes`);
    if (local + 30 > bytes.length || view.getUint32(local, true) !== 0x04034b50)
      fail(`${file} is not where it should be`);
    const first = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (first + packed > bytes.length) fail(`${file} ends after the archive`);
    const data = bytes.subarray(first, first + packed);
    if (method !== 0 && method !== 8) fail(`${file} is packed by method ${method}; expected 0 or 8`);
    try {
      files.set(file, method === 0 ? data : inflateRawSync(data, { maxOutputLength: Math.max(1, size) }));
    } catch (error) {
      fail(`${file} cannot be unpacked: ${(error as Error).message}`);
    }
    at += 46 + nameLength + extra + comment;
  }
  return files;
}

type StorageData = (key: string, bytes: number) => Uint8Array;

/** A tensor of what a checkpoint's pickle says of it: storage, offset, shape, strides. */
function tensorOf(value: PickleValue, storages: StorageData, name: string): HostTensor | null {
  if (!isCall(value)) return null;
  if (value.call === 'torch._utils._rebuild_parameter') return tensorOf(value.args[0], storages, name);
  if (!value.call.startsWith('torch._utils._rebuild_tensor')) return null;
  const [storage, offset, shape, strides] = value.args;
  const fail = (why: string): never => {
    throw new FormatError(`${name}: ${why}`);
  };
  if (!isPersistent(storage) || !Array.isArray(storage.persistent)) return fail('a tensor without storage');
  const [, type, key, , count] = storage.persistent;
  const kind = typeof type === 'object' && type !== null && 'global' in type ? type.global.replace('torch.', '') : '';
  const form = STORAGES[kind];
  const sizes = [
    offset,
    count,
    ...(Array.isArray(shape) ? shape : [null]),
    ...(Array.isArray(strides) ? strides : [null]),
  ];
  if (!form || !sizes.every((size) => typeof size === 'number' && Number.isInteger(size) && size >= 0)) {
    return fail(`a tensor of ${kind || 'unknown storage'} whose sizes are no numbers`);
  }
  const [extents, steps] = [shape as number[], strides as number[]];
  const total = extents.reduce((product, extent) => product * extent, 1);
  const last = extents.reduce((at, extent, k) => at + (extent - 1) * steps[k], offset as number);
  if (extents.length !== steps.length || total * 4 > MAX_BYTES || (total > 0 && last >= (count as number))) {
    return fail(`a tensor [${extents}] that reaches beyond its storage of ${count} elements`);
  }
  const raw = storages(String(key), (count as number) * form.bytes);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const data = new Float32Array(total);
  const index = new Array(extents.length).fill(0);
  let at = offset as number;
  for (let i = 0; i < total; i++) {
    data[i] = form.get(view, at * form.bytes);
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      at += steps[axis];
      if (++index[axis] < extents[axis]) break;
      at -= steps[axis] * extents[axis];
      index[axis] = 0;
    }
  }
  return { shape: extents, data };
}

/** Entries of a dictionary, whichever of its forms a pickle has. */
function entriesOf(value: PickleValue | undefined): Map<PickleValue, PickleValue> | null {
  if (value instanceof Map) return value;
  return isCall(value) && value.call === 'collections.OrderedDict' ? (value.items ?? new Map()) : null;
}

/** The tensors of a dictionary, or of the dictionary in it that has the most. */
function stateDict(value: PickleValue, storages: StorageData, name: string): Map<string, HostTensor> {
  const entries = entriesOf(value);
  const found = new Map<string, HostTensor>();
  if (!entries) return found;
  let inner = new Map<string, HostTensor>();
  for (const [key, item] of entries) {
    const tensor = tensorOf(item, storages, `${name}, ${String(key)}`);
    if (tensor) found.set(String(key), tensor);
    else if (entriesOf(item)) {
      const nested = stateDict(item, storages, name);
      if (nested.size > inner.size) inner = nested;
    }
  }
  return found.size >= inner.size ? found : inner;
}

/** Where a checkpoint of torch.save before version 1.6 begins. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/**
 * The tensors of a PyTorch checkpoint (`.pt`, `.pth`, `.ckpt`), as float32: zip archives, and the pickles that torch.save
 * wrote before version 1.6. Of nested dictionaries (`state_dict`, `net_state_dict`, …) the one with the most tensors; the
 * prefix `module.` of DataParallel is dropped. Nothing in the file is executed.
 * @throws FormatError that says what is wrong with the file
 */
export function readPyTorchCheckpoint(bytes: Uint8Array, name = 'the checkpoint'): Map<string, HostTensor> {
  const zip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const tensors = zip ? fromZip(bytes, name) : fromLegacy(bytes, name);
  if (tensors.size === 0) throw new FormatError(`${name}: it holds no tensors by name`);
  const prefixed = [...tensors.keys()].every((key) => key.startsWith('module.'));
  return prefixed ? new Map([...tensors].map(([key, tensor]) => [key.slice('module.'.length), tensor])) : tensors;
}

function fromZip(bytes: Uint8Array, name: string): Map<string, HostTensor> {
  const files = readZip(bytes, name);
  const pickle = [...files.keys()].find((file) => /(^|\/)data\.pkl$/.test(file));
  if (pickle === undefined)
    throw new FormatError(`${name}: a zip archive without data.pkl; expected what torch.save writes`);
  const folder = pickle.slice(0, -'data.pkl'.length);
  const storages: StorageData = (key, size) => {
    const data = files.get(`${folder}data/${key}`);
    if (!data || data.length < size) {
      throw new FormatError(`${name}: storage ${key} has ${data?.length ?? 0} bytes; expected ${size}`);
    }
    return data;
  };
  return stateDict(readPickle(files.get(pickle)!, allowed, name).value, storages, name);
}

function fromLegacy(bytes: Uint8Array, name: string): Map<string, HostTensor> {
  const magic = readPickle(bytes, allowed, name);
  if (magic.value !== LEGACY_MAGIC)
    throw new FormatError(`${name}: neither a zip archive nor what torch.save wrote before`);
  // Protocol version and system information, then the object, then the keys of the storages that follow it.
  const version = readPickle(bytes, allowed, name, magic.end);
  const system = readPickle(bytes, allowed, name, version.end);
  const object = readPickle(bytes, allowed, name, system.end);
  const keys = readPickle(bytes, allowed, name, object.end);
  if (!Array.isArray(keys.value)) throw new FormatError(`${name}: the list of its storages is missing`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = storageElementSizes(object.value);
  const places = new Map<string, Uint8Array>();
  let at = keys.end;
  for (const key of keys.value.map(String)) {
    if (at + 8 > bytes.length) throw new FormatError(`${name}: it ends at byte ${bytes.length}, before storage ${key}`);
    const length = Number(view.getBigInt64(at, true)) * (sizes.get(key) ?? 4);
    if (!(length >= 0) || at + 8 + length > bytes.length) {
      throw new FormatError(`${name}: storage ${key} of ${length} bytes ends after the file`);
    }
    places.set(key, bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  const storages: StorageData = (key, size) => {
    const data = places.get(key);
    if (!data || data.length < size) {
      throw new FormatError(`${name}: storage ${key} has ${data?.length ?? 0} bytes; expected ${size}`);
    }
    return data;
  };
  return stateDict(object.value, storages, name);
}

/** Bytes of an element of each storage that an object refers to. */
function storageElementSizes(root: PickleValue): Map<string, number> {
  const sizes = new Map<string, number>();
  const seen = new Set<unknown>();
  const visit = (value: PickleValue | undefined): void => {
    if (typeof value !== 'object' || value === null || seen.has(value) || value instanceof Uint8Array) return;
    seen.add(value);
    if (isPersistent(value) && Array.isArray(value.persistent)) {
      const [, type, key] = value.persistent;
      if (typeof type === 'object' && type !== null && 'global' in type) {
        sizes.set(String(key), STORAGES[type.global.replace('torch.', '')]?.bytes ?? 4);
      }
    } else if (Array.isArray(value)) value.forEach(visit);
    else if (value instanceof Map) for (const [key, item] of value) [key, item].forEach(visit);
    else if (isCall(value)) [...value.args, value.state, ...(value.items ?? new Map()).values()].forEach(visit);
  };
  visit(root);
  return sizes;
}
