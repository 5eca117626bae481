import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/*
 * Loaded before a program (--import), makes its disk full: of each new file half is written, then the write fails as the
 * system's would. (A limit on file sizes, as of ulimit, would also hit the memory files of software adapters.)
 */
const { open } = fs.promises;
fs.promises.open = async (path, flags, mode) => {
  const file = await open(path, flags, mode);
  // A lock of some bytes still fits: without it no run would come as far as its outputs.
  if (flags === 'wx' && !String(path).endsWith('.lock')) {
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
