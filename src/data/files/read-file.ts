import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FormatError } from '../../common/errors.js';
import { parseJson } from '../../common/json.js';
import { comparablePath, decodeText } from '../../common/text.js';
import { FileError, fileErrorReason } from './atomic-file.js';

/** Text files have some kilobytes, LFW's lists half a megabyte, and reports of all pairs about ten megabytes. */
const MAX_TEXT_BYTES = 2 ** 28;

/** Flags of `open` for reading: opening a pipe that nobody writes to would otherwise wait for ever. */
export const READ_WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a regular file for reading; not a folder, and not a pipe or device, which might never end. If there is none of this
 * name, opens one whose name has the same letters in another composition (NFC, NFD).
 * @throws FileError
 */
export async function openRegularFile(path: string): Promise<{ file: FileHandle; size: number }> {
  if (path === '') throw new FileError('a file without a name cannot be read; expected its path');
  let file: FileHandle | undefined;
  try {
    file = await open(path, READ_WITHOUT_WAITING).catch(async (error: NodeJS.ErrnoException) => {
      const other = error.code === 'ENOENT' ? await spelledOnDisk(path) : undefined;
      if (other === undefined) throw error;
      return open(other, READ_WITHOUT_WAITING);
    });
    const info = await file.stat();
    if (info.isFile()) return { file, size: info.size };
    throw new FileError(`${path}: it is ${info.isDirectory() ? 'a folder' : 'not a regular file'}`);
  } catch (error) {
    await file?.close();
    if (error instanceof FileError) throw error;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
}

/** The path of a file or folder whose name has the same letters in another composition; undefined if there is none. */
async function spelledOnDisk(path: string): Promise<string | undefined> {
  const [folder, name] = [dirname(path), basename(path)];
  if (folder === path || !/[^\x20-\x7e]/.test(path)) return undefined;
  const search = async (parent: string): Promise<string | undefined> => {
    const found = (await readdir(parent)).filter((other) => comparablePath(other) === comparablePath(name));
    return found.length === 1 ? join(parent, found[0]) : undefined;
  };
  return search(folder).catch(async (error: NodeJS.ErrnoException) => {
    const parent = error.code === 'ENOENT' ? await spelledOnDisk(folder) : undefined;
    return parent === undefined ? undefined : search(parent).catch(() => undefined);
  });
}

/**
 * The content of a regular file of at most `maxBytes`.
 * @throws FileError
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<Buffer> {
  const { file, size } = await openRegularFile(path);
  try {
    if (size > maxBytes) {
      throw new FileError(`${path}: the file has ${size} bytes; at most ${maxBytes} are accepted`);
    }
    return await file.readFile();
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  } finally {
    await file.close();
  }
}

/**
 * The content of a text file, as any system writes it (`decodeText`).
 * @throws FileError; FormatError for another encoding
 */
export async function readText(path: string): Promise<string> {
  return decodeText(await readRegularFile(path, MAX_TEXT_BYTES), path);
}

/** As `readText`; undefined if there is no such file. */
export const readTextIfThere = (path: string): Promise<string | undefined> => readText(path).catch(undefinedIfMissing);

/** As `readRegularFile`; undefined if there is no such file. */
export const readRegularFileIfThere = (path: string, maxBytes: number): Promise<Buffer | undefined> =>
  readRegularFile(path, maxBytes).catch(undefinedIfMissing);

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof FileError && (error.cause as NodeJS.ErrnoException)?.code === 'ENOENT') return undefined;
  throw error;
}

/**
 * The value in a JSON file.
 * @throws FileError; FormatError with the line, if it is not JSON or has a duplicate key
 */
export async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

/** The object in a JSON file. @throws FormatError for any other; as `readJson` */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const value = await readJson(path);
  if (isJsonObject(value)) return value;
  throw new FormatError(`${path}: is ${kindOf(value)}; expected an object, { … }`);
}

export const isJsonObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a JSON value is, for messages. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === null) return 'null';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)}`;
}
