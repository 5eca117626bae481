import { FormatError } from '../common/errors.js';
import type { HostTensor } from '../nn/host-tensor.js';
import { float16Value } from '../nn/safetensors.js';
import { isCall, isGlobal, isPersistent, type PickleCall, type PickleValue, printable } from './pickle.js';

/** Bytes of an element, and how to read it, by the storage class that a checkpoint names. */
const STORAGES: Record<string, { bytes: number; get: (view: DataView, at: number) => number }> = {
  'torch.FloatStorage': { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  'torch.DoubleStorage': { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
  'torch.HalfStorage': { bytes: 2, get: (view, at) => float16Value(view.getUint16(at, true)) },
  'torch.LongStorage': { bytes: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  'torch.IntStorage': { bytes: 4, get: (view, at) => view.getInt32(at, true) },
};

const PARAMETER = 'torch._utils._rebuild_parameter';
const TENSORS = ['torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_tensor'];
/** More axes than any tensor of a network has. */
const MOST_AXES = 8;

/** `_codecs.encode` is how Python 3 writes bytes for Python 2. */
const GLOBALS = [PARAMETER, ...TENSORS, 'collections.OrderedDict', '_codecs.encode'];

/** The globals that state dicts name. They are names here and nothing else. */
export const isStateDictGlobal = (name: string): boolean => GLOBALS.includes(name) || Object.hasOwn(STORAGES, name);

/** Bytes of a storage by its key, at least as many as asked for. @throws FormatError where there are fewer */
export type StorageData = (key: string, bytes: number) => Uint8Array;

/** A part of a file that elements lie in. */
export interface StorageReference {
  key: string;
  /** Bytes of an element. */
  elementBytes: number;
  get: (view: DataView, at: number) => number;
  /** Number of elements. */
  count: number;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areSizes = (value: PickleValue | undefined): value is number[] => Array.isArray(value) && value.every(isSize);

/** What a pickle says of a storage; null for what is none that can be read. */
export function storageOf(value: PickleValue | undefined): StorageReference | null {
  if (!isPersistent(value) || !Array.isArray(value.persistent)) return null;
  const [, type, key, , count, view] = value.persistent;
  if (!isGlobal(type) || typeof key !== 'string' || !isSize(count) || (view !== undefined && view !== null))
    return null;
  const form = Object.hasOwn(STORAGES, type.global) ? STORAGES[type.global] : undefined;
  return form ? { key, elementBytes: form.bytes, get: form.get, count } : null;
}

/** The call that makes a tensor, out of a parameter where it is in one; null for any other value. */
export function tensorCall(value: PickleValue | undefined): PickleCall | null {
  const inner = isCall(value) && value.call === PARAMETER ? value.args[0] : value;
  return isCall(inner) && TENSORS.includes(inner.call) ? inner : null;
}

/**
 * A tensor of what a checkpoint's pickle says of it: storage, offset, shape, strides.
 * @throws FormatError for one that cannot be so; before it takes memory for it
 */
export function readTensor({ args }: PickleCall, storages: StorageData, name: string): HostTensor {
  const fail = (why: string): never => {
    throw new FormatError(`${name}: ${why}`);
  };
  const [reference, offset, shape, strides] = args;
  const storage = storageOf(reference) ?? fail('a tensor whose storage is missing or of an unknown kind');
  if (!isSize(offset) || !areSizes(shape) || !areSizes(strides)) return fail('a tensor whose sizes are no sizes');
  if (shape.length !== strides.length || shape.length > MOST_AXES) {
    return fail(
      `a tensor of ${shape.length} axes with ${strides.length} strides; expected as many, at most ${MOST_AXES}`,
    );
  }
  const total = shape.reduce((product, extent) => product * extent, 1);
  const last = shape.reduce((at, extent, k) => at + (extent - 1) * strides[k], offset);
  // Fewer elements than values means that some are repeated, by which a small file could ask for any memory.
  if (total > storage.count || (total > 0 && last >= storage.count)) {
    return fail(`a tensor [${shape}] that reaches beyond its storage of ${storage.count} elements`);
  }
  const raw = storages(printable(storage.key), storage.count * storage.elementBytes);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const data = new Float32Array(total);
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < total; i++) {
    data[i] = storage.get(view, at * storage.elementBytes);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { shape: [...shape], data };
}
