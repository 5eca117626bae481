import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/*
 * If this is loaded before a program (--import), its disk is full: half of each new file is written, then the write fails as the
 * system's would. (A limit on file sizes, such as that of ulimit, would also affect the memory files of software adapters.)
 */
const { open } = fs.promises;
fs.promises.open = async (path, flags, mode) => {
  const file = await open(path, flags, mode);
  // A lock of a few bytes still fits; without it, no run would get as far as its outputs.
  if (String(flags).startsWith('wx') && !String(path).endsWith('.lock')) {
    const write = file.write.bind(file) as (bytes: Uint8Array, offset: number, length: number) => Promise<unknown>;
    const writeHalf = async (data: unknown): Promise<never> => {
      const bytes = typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array);
      await write(bytes, 0, bytes.length >> 1);
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    file.writeFile = writeHalf;
    file.write = writeHalf;
  }
  return file;
};
syncBuiltinESMExports();
