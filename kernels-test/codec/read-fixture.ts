import { readFile } from 'node:fs/promises';

/** A file that lies beside the tests. In a page, `page/read-fixture.ts` fetches it. */
export async function readFixture(name: string): Promise<Uint8Array> {
  return readFile(new URL(name, import.meta.url));
}
