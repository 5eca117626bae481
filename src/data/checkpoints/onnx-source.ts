import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { CameoError, CheckpointError } from '../../common/errors.js';
import { type PictureWords, parsePictureWords } from '../../models/onnx-pictures.js';
import type { ExternalData } from '../../onnx/tensor-values.js';
import { FileError } from '../files/atomic-file.js';
import { externalDataIn } from '../files/external-data.js';
import { readRegularFile } from '../files/read-file.js';

/** Protobuf cannot hold more. */
const MAX_ONNX_BYTES = 2 ** 31;

/** The path of an ONNX file, and the words after it: `FILE.onnx` or `FILE.onnx:112x112:bgr`. Null for another name. */
export function splitOnnxName(name: string): { path: string; words: string } | null {
  const found = /^(.+?\.onnx)(?::(.*))?$/is.exec(name);
  return found && { path: found[1], words: found[2] ?? '' };
}

/** The path of a weights file, without the words that may follow that of an ONNX file. */
export const weightsPathOf = (name: string): string => splitOnnxName(name)?.path ?? name;

/** An ONNX file that was read. */
export interface OnnxFile {
  path: string;
  bytes: Uint8Array;
  words: PictureWords;
  /** Reads the files beside it that have its weights. */
  external: ExternalData;
  /** 16 hexadecimal digits: a hash of the file, the words, and the other files that have been read. */
  id(): string;
}

/** @throws FileError, ArgumentError for words that say nothing about pictures */
export async function readOnnxFile(name: string): Promise<OnnxFile> {
  const { path, words } = splitOnnxName(name)!;
  const parsed = parsePictureWords(words);
  const bytes = await readRegularFile(path, MAX_ONNX_BYTES);
  const others = new Map<string, Uint8Array>();
  const read = externalDataIn(dirname(path));
  return {
    path,
    bytes,
    words: parsed,
    external(location) {
      const known = others.get(location) ?? read(location);
      others.set(location, known);
      return known;
    },
    id() {
      const hash = createHash('sha256').update(bytes).update(words);
      for (const other of others.values()) hash.update(other);
      return hash.digest('hex').slice(0, 16);
    },
  };
}

/** Puts the path before the message of an error about an ONNX file. */
export function inOnnxFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CameoError) || error instanceof FileError) throw error;
    throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
  }
}
