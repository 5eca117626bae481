import { CameoError } from '../src/common/errors.js';

/** First digits of the SHA-256 of each file that is stored, by its path; the build puts them in. */
declare const FILE_DIGESTS: Readonly<Record<string, string>>;

/** A file beside the page that could not be had. */
export class FetchError extends CameoError {}

/** Told how much of a file has come. @param total bytes; 0 where the server does not say */
export type OnProgress = (loaded: number, total: number) => void;

const cacheName = (): string => `cameo-files ${new URL('.', location.href).href}`;

/** Where files are kept between visits; null where the browser keeps none, as in some private windows. */
async function openStore(): Promise<Cache | null> {
  try {
    return await caches.open(cacheName());
  } catch {
    return null;
  }
}

/** Times that a file is fetched at most: a connection that ends early is no error in every browser. */
const FETCHES = 2;

/**
 * A file beside the page. It is fetched once in the life of its content: the address holds its digest, and what was fetched
 * is kept by the browser until the page asks for other content in its place.
 * @throws FetchError where it is neither kept nor to be had, and where less or something else comes
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
    if (fetches === FETCHES) {
      throw new FetchError(`${path} came incomplete or damaged, ${bytes.length} bytes: load the page again`);
    }
  }
}

/** Whether a file is what the page was built with. Pages without HTTPS cannot tell. */
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

/** Keeps a file in the place of its older content. A browser without room for it fetches it again at the next visit. */
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
