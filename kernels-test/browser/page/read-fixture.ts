/** Replaces `read-fixture.ts` of Node, and fetches the file, which is next to the bundle. */
export async function readFixture(name: string): Promise<Uint8Array> {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
