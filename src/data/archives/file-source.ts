import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from '../../codec/container/face-archive.js';
import { FileError, fileErrorReason } from '../files/atomic-file.js';
import { openRegularFile } from '../files/read-file.js';

/** A regular file of which parts are read, so that one face of a large archive costs no more than one of a small archive. */
export class FileSource implements ByteSource {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    readonly size: number,
  ) {}

  /** @throws FileError for a file that cannot be read or is not a regular file */
  static async open(path: string): Promise<FileSource> {
    const { file, size } = await openRegularFile(path);
    return new FileSource(path, file, size);
  }

  /** @throws FileError if the file has become shorter, or the disk fails */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    try {
      while (filled < length) {
        const { bytesRead } = await this.file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw new FileError(`${this.path}: ends at byte ${offset + filled} while it is read`);
        filled += bytesRead;
      }
    } catch (error) {
      if (error instanceof FileError) throw error;
      throw new FileError(`${this.path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
