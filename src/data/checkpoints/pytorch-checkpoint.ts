import { FormatError } from '../../common/errors.js';
import { withoutWrappers } from '../../models/state-dict.js';
import type { HostTensor } from '../../nn/host-tensor.js';
import { isCall, isPersistent, type PickleCall, type PickleValue, printable, readPickle } from './pickle.js';
import { isHarmlessGlobal, readTensor, type StorageData, storageOf, tensorCall } from './pytorch-tensor.js';
import { ZipArchive } from './zip.js';

/** Tensors may share a storage; more bytes than this in one checkpoint are not read. */
const MAX_TENSOR_BYTES = 2 ** 31;

/** Where a checkpoint of torch.save before version 1.6 begins. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/**
 * The tensors of a PyTorch checkpoint (`.pt`, `.pth`, `.ckpt`), as float32: zip archives, and the pickles that torch.save
 * wrote before version 1.6. Of nested dictionaries (`state_dict`, `net_state_dict`, …), the one with the most
 * tensors is read. Name prefixes of wrappers (`module.`, `model.`, …) are dropped, and other data are skipped. Nothing in the file is
 * executed.
 * @throws FormatError that says what is wrong with the file
 */
export function readPyTorchCheckpoint(bytes: Uint8Array, name = 'the checkpoint'): Map<string, HostTensor> {
  const zip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const { value, storages } = zip ? fromZip(bytes, name) : fromLegacy(bytes, name);
  const tensors = new Map<string, HostTensor>();
  let total = 0;
  for (const [key, call] of largestStateDict(value)) {
    const tensor = readTensor(call, storages, `${name}, ${printable(key)}`);
    total += tensor.data.byteLength;
    if (total > MAX_TENSOR_BYTES)
      throw new FormatError(`${name}: its tensors take more than ${MAX_TENSOR_BYTES} bytes`);
    tensors.set(key, tensor);
  }
  if (tensors.size === 0) throw new FormatError(`${name}: it holds no tensors by name`);
  return withoutWrappers(tensors);
}

/** Entries of a dictionary in any form that pickles have; null for other values. */
function entriesOf(value: PickleValue | undefined): [PickleValue, PickleValue][] | null {
  if (value instanceof Map) return [...value];
  if (!isCall(value)) return null;
  // Python 2 gives a list of pairs to the class, Python 3 sets the items afterwards. Other classes of dictionaries do so, too.
  const isOrdered = value.call === 'collections.OrderedDict';
  const pairs = isOrdered && Array.isArray(value.args[0]) ? value.args[0] : [];
  const given = pairs.filter((pair): pair is [PickleValue, PickleValue] => Array.isArray(pair) && pair.length === 2);
  return [...given, ...(value.items ?? [])];
}

/** The tensors of the dictionary that has the most; if several do, of the outermost one. */
function largestStateDict(root: PickleValue): Map<string, PickleCall> {
  let largest = new Map<string, PickleCall>();
  // A set visits what is added to it meanwhile, and each dictionary once: pickles can be deep, and can hold themselves.
  const dictionaries = new Set<PickleValue>([root]);
  for (const dictionary of dictionaries) {
    const found = new Map<string, PickleCall>();
    for (const [key, item] of entriesOf(dictionary) ?? []) {
      const call = tensorCall(item);
      if (!call) dictionaries.add(item);
      else if (typeof key === 'string') found.set(key, call);
    }
    if (found.size > largest.size) largest = found;
  }
  return largest;
}

interface Contents {
  value: PickleValue;
  storages: StorageData;
}

/** Storages by key, checked for their lengths. */
const lookUp =
  (find: (key: string) => Uint8Array | undefined, name: string): StorageData =>
  (key, size) => {
    const data = find(key);
    if (!data || data.length < size) {
      throw new FormatError(`${name}: storage ${printable(key)} has ${data?.length ?? 0} bytes; expected ${size}`);
    }
    return data;
  };

function fromZip(bytes: Uint8Array, name: string): Contents {
  const archive = new ZipArchive(bytes, name);
  const pickle = archive.names.find((file) => /(^|\/)data\.pkl$/.test(file));
  if (pickle === undefined) {
    throw new FormatError(`${name}: a zip archive without data.pkl; expected what torch.save writes`);
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const { value } = readPickle(archive.get(pickle)!, isHarmlessGlobal, name);
  return { value, storages: lookUp((key) => archive.get(`${folder}data/${key}`), name) };
}

function fromLegacy(bytes: Uint8Array, name: string): Contents {
  if (bytes[0] !== 0x80) throw new FormatError(`${name}: neither a zip archive nor a pickle, as torch.save writes`);
  const read = (start: number) => readPickle(bytes, isHarmlessGlobal, name, start);
  const magic = read(0);
  if (magic.value !== LEGACY_MAGIC) {
    throw new FormatError(`${name}: a pickle that torch.save did not write: its magic number is missing`);
  }
  // Protocol version and system information, then the object, then the keys of the storages that follow it.
  const version = read(magic.end);
  const system = read(version.end);
  const object = read(system.end);
  const keys = read(object.end);
  if (!Array.isArray(keys.value)) throw new FormatError(`${name}: the list of its storages is missing`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elementBytes = storageElementBytes(object.value);
  const places = new Map<string, Uint8Array>();
  let at = keys.end;
  for (const key of keys.value) {
    const size = typeof key === 'string' ? elementBytes.get(key) : undefined;
    if (typeof key !== 'string' || size === undefined) {
      throw new FormatError(`${name}: it lists a storage that no tensor is in`);
    }
    if (at + 8 > bytes.length) {
      throw new FormatError(`${name}: it ends at byte ${bytes.length}, before storage ${printable(key)}`);
    }
    const length = Number(view.getBigInt64(at, true)) * size;
    if (length < 0 || at + 8 + length > bytes.length) {
      throw new FormatError(`${name}: storage ${printable(key)} of ${length} bytes ends after the file`);
    }
    places.set(key, bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return { value: object.value, storages: lookUp((key) => places.get(key), name) };
}

/** Bytes of an element of each storage that an object refers to. */
function storageElementBytes(root: PickleValue): Map<string, number> {
  const sizes = new Map<string, number>();
  const values = new Set<PickleValue | undefined>([root]);
  const addAll = (items: Iterable<PickleValue>): void => {
    for (const item of items) if (typeof item === 'object' && item !== null) values.add(item);
  };
  for (const value of values) {
    if (isPersistent(value)) {
      const storage = storageOf(value);
      if (storage) sizes.set(storage.key, storage.elementBytes);
    } else if (Array.isArray(value)) addAll(value);
    else if (value instanceof Map) addAll(value.values());
    else if (isCall(value)) {
      addAll(value.args);
      addAll(value.items?.values() ?? []);
      values.add(value.state);
    }
  }
  return sizes;
}
