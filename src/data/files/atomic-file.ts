import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, lstat, mkdir, open, readdir, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CameoError } from '../../common/errors.js';

/** A file or folder that cannot be read, made or written; the message names it and says why, in one line. */
export class FileError extends CameoError {}

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than allowed here',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it exists already and is not a folder',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
  ELOOP: 'its symbolic links form a loop',
  EIO: 'the disk reports an error',
};

/** What a failed file operation means, in plain words, from the error that Node throws. */
export function fileErrorReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException)?.code;
  if (code !== undefined && REASONS[code] !== undefined) return `${REASONS[code]} (${code})`;
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}

/**
 * Writes a whole file or nothing: the content goes to a temporary file beside the target, which is then renamed. A
 * reader never sees half a file, a file already there survives a failure, and no temporary file is left behind. The new
 * file has the permissions of the one that it replaces; if the path is a symbolic link, the file that it leads to is replaced.
 *
 * @param content bytes, or text that is written as UTF-8
 * @param options `durable`: wait until the disk holds the content, so that a power cut cannot lose it (checkpoints)
 * @throws FileError when the target's folder is missing, or on a full disk, missing permission, …
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string,
  options: { durable?: boolean } = {},
): Promise<void> {
  await replaceFile(path, (file) => file.writeFile(content), options);
}

/** The part of an open file that writing needs; Node's `FileHandle` has it. */
export interface WritableFile {
  write(bytes: Uint8Array, offset: number, length: number, at: number | null): Promise<{ bytesWritten: number }>;
  writeFile(content: Uint8Array | string): Promise<void>;
}

/**
 * As `writeFileAtomic`, for content that is written piece by piece.
 * @param write puts the content into the file that it is given
 * @throws as `writeFileAtomic`, and any CameoError that `write` throws
 */
export async function replaceFile(
  path: string,
  write: (file: WritableFile) => Promise<void>,
  options: { durable?: boolean } = {},
): Promise<void> {
  let folder = dirname(path);
  let temporary: string | undefined;
  try {
    const target = await behindLinks(path);
    folder = dirname(target);
    const replaced = await stat(target).catch(() => undefined);
    // Renaming over a device or a pipe would replace it.
    if (replaced !== undefined && !replaced.isFile()) {
      throw new FileError(`cannot write ${path}: it is ${replaced.isDirectory() ? 'a folder' : 'not a regular file'}`);
    }
    temporary = join(folder, `${temporaryStart(target)}${randomBytes(6).toString('hex')}.tmp`);
    const file = await open(temporary, 'wx', replaced && replaced.mode & PERMISSIONS);
    try {
      if (replaced) await file.chmod(replaced.mode & PERMISSIONS); // what the mask of the process has taken off

      await write(file);
      if (options.durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    if (options.durable) await keepRenamed(folder);
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => {});
    if (error instanceof CameoError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new FileError(`cannot write ${path}: the folder ${folder} does not exist`, { cause: error });
    }
    throw new FileError(`cannot write ${path}: ${fileErrorReason(error)}`, { cause: error });
  }
}

/** The name of a temporary file begins with this: as much of the file's name as leaves room for the rest in 255 bytes. */
function temporaryStart(path: string): string {
  let start = '';
  for (const letter of basename(path)) {
    if (Buffer.byteLength(start + letter) > 100) break;
    start += letter;
  }
  return `.${start}.`;
}

/** The bits of a file's mode that say who may read, write and execute it. */
export const PERMISSIONS = 0o777;

/** The file that a path leads to, if it is a symbolic link, though there may be no such file yet; else the path. @throws what Node throws */
async function behindLinks(path: string): Promise<string> {
  const isLink = await lstat(path).then(
    (info) => info.isSymbolicLink(),
    () => false,
  );
  if (!isLink) return path;
  return realpath(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return behindLinks(resolve(await realpath(dirname(path)), await readlink(path)));
  });
}

/** Waits until the disk holds the names in a folder, where the system can do this. */
async function keepRenamed(folder: string): Promise<void> {
  const opened = await open(folder, 'r').catch(() => undefined);
  await opened?.sync().catch(() => {});
  await opened?.close();
}

/**
 * Checks that `replaceFile` can write a file, before the work that makes its content: the path is a regular file or free, and
 * its folder exists and can be written.
 * @throws FileError
 */
export async function checkTarget(path: string): Promise<void> {
  const target = await stat(path).catch(() => undefined);
  if (target !== undefined && !target.isFile()) {
    throw new FileError(`cannot write ${path}: it is ${target.isDirectory() ? 'a folder' : 'not a regular file'}`);
  }
  if (target === undefined && /[\\/]$/.test(path)) throw new FileError(`cannot write ${path}: it names a folder`);
  const folder = dirname(await behindLinks(path).catch(() => path));
  const info = await stat(folder).catch((cause: unknown) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing ? `the folder ${folder} does not exist` : fileErrorReason(cause);
    throw new FileError(`cannot write ${path}: ${reason}`, { cause });
  });
  if (!info.isDirectory()) throw new FileError(`cannot write ${path}: ${folder} is not a folder`);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new FileError(`cannot write ${path}: ${folder}: ${fileErrorReason(cause)}`, { cause });
  }
}

/**
 * Makes a folder for files of these names, and checks that they can be written.
 * @throws FileError
 */
export async function prepareFolder(folder: string, names: readonly string[]): Promise<void> {
  await ensureFolder(folder);
  for (const name of names) await checkTarget(join(folder, name));
}

/** Whether two paths lead to the same file, through any links. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => stat(path).catch(() => undefined)));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** Removes temporary files of a program that was killed while it replaced this file. */
export async function removeTemporaries(path: string): Promise<void> {
  const target = await behindLinks(path).catch(() => path);
  const folder = dirname(target);
  const start = temporaryStart(target);
  const left = await readdir(folder).catch(() => []);
  for (const name of left) {
    if (name.startsWith(start) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(start.length))) {
      await rm(join(folder, name), { force: true }).catch(() => {});
    }
  }
}

/**
 * Writes all bytes at a place of an open file.
 * @throws what Node throws
 */
export async function writeAll(file: WritableFile, bytes: Uint8Array, position: number | null = null): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done;
    done += (await file.write(bytes, done, bytes.length - done, at)).bytesWritten;
  }
}

/**
 * Makes a folder and those above it; one that exists is fine.
 * @returns the outermost folder that was missing; undefined if none was
 * @throws FileError
 */
export async function ensureFolder(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true });
  } catch (error) {
    throw new FileError(`cannot make the folder ${path}: ${fileErrorReason(error)}`, { cause: error });
  }
}
