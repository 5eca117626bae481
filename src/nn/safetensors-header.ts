import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import { sizeOf } from '../common/shapes.js';
import { STORED_TYPES, type StoredType } from './stored-types.js';

/** Where a tensor lies in the data part of a file. */
export interface TensorEntry {
  readonly name: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** Bytes [begin, end). */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: readonly TensorEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Key of the metadata, beside the names of the tensors. */
export const METADATA_KEY = '__metadata__';

const fail = (message: string): never => {
  throw new CheckpointError(`safetensors: ${message}`);
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Parses and checks the JSON header of a safetensors file: types, shapes, and that the tensors tile the data part
 * without gap or overlap.
 * @param dataBytes length of the data part
 * @throws CheckpointError that names the tensor and what is wrong with it
 */
export function parseHeader(text: string, dataBytes: number): SafetensorsHeader {
  const header = parseProgramJson(text, 'safetensors: the header', (message) => new CheckpointError(message));
  if (!isObject(header)) return fail('the header is not a JSON object');
  const metadata = new Map<string, string>();
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== METADATA_KEY) {
      entries.push(parseEntry(name, value, dataBytes));
      continue;
    }
    if (!isObject(value)) return fail(`${METADATA_KEY} is not an object`);
    for (const [key, item] of Object.entries(value)) {
      if (typeof item !== 'string') return fail(`${METADATA_KEY}: "${key}" is not a string`);
      metadata.set(key, item);
    }
  }
  checkTiling(entries, dataBytes);
  return { entries, metadata };
}

function parseEntry(name: string, value: unknown, dataBytes: number): TensorEntry {
  if (!isObject(value)) return fail(`"${name}" is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(STORED_TYPES, dtype)) {
    const known = Object.keys(STORED_TYPES).join(', ');
    return fail(`"${name}" has dtype ${JSON.stringify(dtype)}; this reader knows ${known}`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    return fail(`"${name}" has shape ${JSON.stringify(shape)}; expected a list of sizes`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1]) {
    return fail(`"${name}" has data_offsets ${JSON.stringify(offsets)}; expected [begin, end]`);
  }
  const type = dtype as StoredType;
  const [begin, end] = offsets as [number, number];
  if (end > dataBytes) {
    return fail(`"${name}" ends at byte ${end} of the data, which has ${dataBytes}: the file is truncated or corrupt`);
  }
  const needed = sizeOf(shape) * STORED_TYPES[type].bytes;
  if (needed !== end - begin) {
    return fail(
      `"${name}" of type ${type} and shape [${shape}] needs ${needed} bytes; its data_offsets span ${end - begin}`,
    );
  }
  return { name, type, shape, begin, end };
}

function checkTiling(entries: readonly TensorEntry[], dataBytes: number): void {
  let end = 0;
  let before = 'the start of the data';
  for (const entry of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin < end) fail(`"${entry.name}" (from byte ${entry.begin}) overlaps ${before} (to byte ${end})`);
    if (entry.begin > end) fail(`${entry.begin - end} bytes between ${before} and "${entry.name}" belong to no tensor`);
    end = entry.end;
    before = `"${entry.name}"`;
  }
  if (end !== dataBytes) fail(`${dataBytes - end} bytes after ${before} belong to no tensor`);
}
