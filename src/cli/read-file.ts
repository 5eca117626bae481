import { open, readFile } from 'node:fs/promises';
import { FileError, fileErrorReason } from '../data/atomic-file.js';

/**
 * The bytes of a regular file. Its size is looked at first, so that a folder, a device or a huge file is never read.
 * @throws FileError
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const info = await file.stat();
      if (!info.isFile())
        throw new FileError(`${path}: it is ${info.isDirectory() ? 'a folder' : 'not a regular file'}`);
      if (info.size > maxBytes) {
        throw new FileError(`${path}: the file has ${info.size} bytes; at most ${maxBytes} are accepted here`);
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
}

/** The content of a text file. @throws FileError */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new FileError(`cannot read ${path}: ${fileErrorReason(cause)}`, { cause });
  });
}
