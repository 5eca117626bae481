import { FormatError } from '../../common/errors.js';
import type { HostTensor } from '../../nn/host-tensor.js';
import { STORED_TYPES, type StoredType, storedValue } from '../../nn/stored-types.js';
import { isCall, isGlobal, isPersistent, type PickleCall, type PickleValue, printable } from './pickle.js';

/** The type of the elements of each storage class that a checkpoint may name. */
const STORAGES: Record<string, StoredType> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

/** Storages that can be skipped, but not read. */
const COMPLEX_BYTES: Record<string, number> = { 'torch.ComplexFloatStorage': 8, 'torch.ComplexDoubleStorage': 16 };

const PARAMETERS = ['torch._utils._rebuild_parameter', 'torch._utils._rebuild_parameter_with_state'];
const TENSORS = ['torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_tensor'];
const TYPED = 'torch._tensor._rebuild_from_type_v2';
/** More axes than any tensor of a network has. */
const MAX_AXES = 8;

/**
 * Python modules by which a pickle can do harm when Python loads it. No checkpoint needs them, so a file that names one is
 * refused, although nothing of it would be run here.
 */
const HARMFUL =
  /^(os|posix|nt|sys|subprocess|shutil|socket|ssl|ctypes|importlib|imp|runpy|pty|code|codeop|commands|popen2|webbrowser|pickle|_pickle|cPickle|marshal|shelve|operator|_operator|timeit|bdb|pdb|pip|asyncio|multiprocessing|threading|signal|platform|urllib|requests|http|ftplib|tempfile|functools|types|inspect|builtins|__builtin__|torch\.hub|torch\.jit|torch\.serialization|torch\.load|numpy\.testing|numpy\.f2py)(\.|$)/;
/** Of those, classes of plain values. */
const PLAIN =
  /^((builtins|__builtin__)\.(set|frozenset|complex|slice|range|bytearray|bytes|list|dict|tuple|int|float|str|bool|object|getattr|long|unicode|Ellipsis|NotImplemented)|types\.SimpleNamespace|functools\.partial)$/;

/** What a checkpoint may name of the module torch itself: types, no functions. */
const TORCH =
  /^torch\.(Size|device|Tensor|Generator|\w+Storage|b?float\d\w*|u?int\d+|q?u?int\dx?\d*|quint\w+|qint\w+|complex\d+|half|double|float|long|short|bool|strided|\w+_format)$/;

/** Whether a pickle may name this. Here it is only a name. */
export const isHarmlessGlobal = (name: string): boolean =>
  PLAIN.test(name) || TORCH.test(name) || !(HARMFUL.test(name) || /^torch\.[^.]*$/.test(name));

/** Bytes of a storage by its key, at least as many as asked for. @throws FormatError if there are fewer */
export type StorageData = (key: string, bytes: number) => Uint8Array;

/** A part of a file that elements lie in. */
export interface StorageReference {
  key: string;
  /** Undefined for elements that are not real numbers. */
  type: StoredType | undefined;
  /** Bytes of an element. */
  elementBytes: number;
  /** Number of elements. */
  count: number;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areSizes = (value: PickleValue | undefined): value is number[] => Array.isArray(value) && value.every(isSize);

/** What a pickle says about a storage; null if it cannot be read. */
export function storageOf(value: PickleValue | undefined): StorageReference | null {
  if (!isPersistent(value) || !Array.isArray(value.persistent)) return null;
  const [, type, key, , count, view] = value.persistent;
  if (!isGlobal(type) || typeof key !== 'string' || !isSize(count) || (view !== undefined && view !== null))
    return null;
  const stored = Object.hasOwn(STORAGES, type.global) ? STORAGES[type.global] : undefined;
  const elementBytes = stored ? STORED_TYPES[stored].bytes : COMPLEX_BYTES[type.global];
  return elementBytes ? { key, type: stored, elementBytes, count } : null;
}

/** The call that makes a tensor, out of a parameter where it is in one; null for any other value. */
export function tensorCall(value: PickleValue | undefined): PickleCall | null {
  if (isCall(value) && PARAMETERS.includes(value.call)) return tensorCall(value.args[0]);
  if (isCall(value) && value.call === TYPED) {
    const [rebuild, , args] = value.args;
    return isGlobal(rebuild) && Array.isArray(args) ? tensorCall({ call: rebuild.global, args }) : null;
  }
  return isCall(value) && TENSORS.includes(value.call) ? value : null;
}

/**
 * A tensor from a checkpoint's pickle: storage, offset, shape, strides.
 * @throws FormatError for values that do not fit, before memory is allocated
 */
export function readTensor({ args }: PickleCall, storages: StorageData, name: string): HostTensor {
  const fail = (why: string): never => {
    throw new FormatError(`${name}: ${why}`);
  };
  const [reference, offset, shape, strides] = args;
  const storage = storageOf(reference) ?? fail('a tensor whose storage is missing or of an unknown kind');
  const { type } = storage;
  if (!type) return fail('a tensor of complex numbers');
  if (!isSize(offset) || !areSizes(shape) || !areSizes(strides)) return fail('a tensor with invalid sizes');
  if (shape.length !== strides.length || shape.length > MAX_AXES) {
    return fail(
      `a tensor of ${shape.length} axes with ${strides.length} strides; expected as many, at most ${MAX_AXES}`,
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
    data[i] = storedValue(type, view, at * storage.elementBytes, fail);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { shape: [...shape], data };
}
