import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, sep } from 'node:path';
import { FormatError } from '../../common/errors.js';
import { FileError, fileErrorReason } from './atomic-file.js';

/**
 * Reads files that a model names, for the option `external` of `importOnnx`, but only those inside one folder: what is not in it, by
 * its name or by a symbolic link, is refused. Each file is read once, as a whole.
 * @param folder where the model is
 * @returns a function that gives the bytes of a file by its name in the model; it throws FormatError for a file outside the folder, and
 * FileError for one that cannot be read
 */
export function externalDataIn(folder: string): (location: string) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  return (location) => {
    let bytes = known.get(location);
    if (!bytes) {
      bytes = readInside(folder, location);
      known.set(location, bytes);
    }
    return bytes;
  };
}

function readInside(folder: string, location: string): Uint8Array {
  const refuse = (): never => {
    throw new FormatError(`ONNX: the model names the file "${location}", which is not inside its folder`);
  };
  if (location === '' || location.includes('\0') || isAbsolute(location) || location.split(/[\\/]/).includes('..'))
    refuse();
  try {
    const path = realpathSync(join(folder, location));
    const inside = realpathSync(folder);
    if (!path.startsWith(inside.endsWith(sep) ? inside : inside + sep)) refuse();
    if (!statSync(path).isFile()) throw new FileError(`${join(folder, location)}: it is not a regular file`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof FormatError || error instanceof FileError) throw error;
    throw new FileError(`${join(folder, location)}: ${fileErrorReason(error)}`);
  }
}
