import { type FileHandle, open, stat } from 'node:fs/promises';
import { PERMISSIONS } from './atomic-file.js';

/**
 * Makes a file for content of another one: whoever may not read that one may not read this one, either.
 * @param original path of the other file; if there is none, the file is made as any other
 * @throws what Node throws, also if the file exists
 */
export async function createFileLike(original: string, path: string): Promise<FileHandle> {
  const mode = await stat(original).then(
    (info) => (info.mode & PERMISSIONS) | 0o600,
    () => undefined,
  );
  const file = await open(path, 'wx+', mode);
  if (mode !== undefined) await file.chmod(mode);
  return file;
}
