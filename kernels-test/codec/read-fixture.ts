import { readFile } from 'node:fs/promises';

/** Reads a file in the folder of the tests. In a browser, `page/read-fixture.ts` replaces this and fetches it. */
export async function readFixture(name: string): Promise<Uint8Array> {
  return readFile(new URL(name, import.meta.url));
}
