import { CheckpointError } from '../../common/errors.js';
import { readRegularFile } from '../files/read-file.js';

const MAX_WEIGHTS_BYTES = 2 ** 30;

/** A weights file, and what has been read from it. */
export interface WeightsFile<T> {
  bytes: Uint8Array;
  file: T;
}

/**
 * Reads a weights file of any network.
 * @param read what its bytes hold
 * @throws FileError; CheckpointError of `read`, with the path before its message
 */
export async function readWeightsFile<T>(path: string, read: (bytes: Uint8Array) => T): Promise<WeightsFile<T>> {
  const bytes = await readRegularFile(path, MAX_WEIGHTS_BYTES);
  return { bytes, file: named(path, () => read(bytes)) };
}

/** Puts the path before the message of a CheckpointError, which does not know it. */
export function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
