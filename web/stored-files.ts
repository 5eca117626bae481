import { CameoError } from '../src/common/errors.js';

/** The first digits of the SHA-256 of each stored file, by its path. The build replaces the name by the value. */
declare const FILE_DIGESTS: Readonly<Record<string, string>>;

/** A file of the page could not be loaded. */
export class FetchError extends CameoError {}

/** Called with the bytes of a file that have come. @param total bytes of the file; 0 if the server does not say */
export type OnProgress = (loaded: number, total: number) => void;

const cacheName = (): string => `cameo-files ${new URL('.', location.href).href}`;

/** The cache that keeps files between visits; null if the browser keeps none, as in some private windows. */
async function openStore(): Promise<Cache | null> {
  try {
    return await caches.open(cacheName());
  } catch {
    return null;
  }
}

/** The most times that a file is fetched: in some browsers, a connection that ends early is not an error. */
const MAX_FETCHES = 2;

/**
 * A file of the page. It is fetched only once as long as its content stays the same: the address contains its digest, and the
 * browser keeps it until the page asks for other content under the same path.
 * @throws FetchError if it is neither kept nor can be loaded, or comes incomplete or damaged
 */
export async function fetchFile(path: string, onProgress?: OnProgress): Promise<Uint8Array<ArrayBuffer>> {
  const address = `${path}?${FILE_DIGESTS[path]}`;
  const store = await openStore();
  const kept = await store?.match(address).catch(() => undefined);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if (await isWhole(path, bytes)) return bytes;
  }
  for (let fetches = 1; ; fetches++) {
    const response = await fetch(address).catch((cause: unknown) => {
      throw new FetchError(`${path} cannot be loaded: is the page's server still there?`, { cause });
    });
    if (!response.ok) throw new FetchError(`${path} cannot be loaded: the server answers ${response.status}`);
    const bytes = await bodyOf(response, onProgress);
    if (await isWhole(path, bytes)) {
      if (store) void keep(store, path, address, bytes);
      return bytes;
    }
    if (fetches === MAX_FETCHES) {
      throw new FetchError(`${path} came incomplete or damaged (${bytes.length} bytes); load the page again`);
    }
  }
}

/** Whether a file has the digest that the page was built with. A page without HTTPS cannot compute it, and accepts any file. */
async function isWhole(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  if (!globalThis.crypto?.subtle) return true;
  return (await sha256(bytes)).startsWith(FILE_DIGESTS[path]);
}

/** The SHA-256 of bytes in hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function bodyOf(response: Response, onProgress?: OnProgress): Promise<Uint8Array<ArrayBuffer>> {
  const total = Number(response.headers.get('Content-Length') ?? 0);
  if (!onProgress || !response.body) return new Uint8Array(await response.arrayBuffer());
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    loaded += value.length;
    onProgress(loaded, total);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Keeps a file in place of older content of the same path. If the browser has no room for it, the next visit fetches it again. */
async function keep(store: Cache, path: string, address: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    for (const request of await store.keys()) {
      if (new URL(request.url).pathname === new URL(path, location.href).pathname) await store.delete(request);
    }
    await store.put(address, new Response(bytes));
  } catch (error) {
    console.info(`${path} is not kept`, error);
  }
}
