/*
 * Keeps the page itself (not the weights, which the page keeps: stored-files.ts), so that it opens without a network. With
 * one, the network's files are shown: a page that was built anew is new at the next visit.
 */

/** Paths of the page's own files, and what changes when one of them does; the build puts both in. */
declare const SHELL_FILES: readonly string[];
declare const SHELL_VERSION: string;

/** What this worker uses of its global scope: the library of types has pages only. */
interface WorkerScope {
  registration: { scope: string };
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: 'install' | 'activate', listen: (event: WorkerEvent) => void): void;
  addEventListener(type: 'fetch', listen: (event: FetchLikeEvent) => void): void;
}
interface WorkerEvent {
  waitUntil(done: Promise<unknown>): void;
}
interface FetchLikeEvent extends WorkerEvent {
  request: Request;
  respondWith(response: Promise<Response>): void;
}

const worker = self as unknown as WorkerScope;
const { scope } = worker.registration;
/** An origin may have the page in several folders. */
const PREFIX = `cameo-page ${scope} `;
const NAME = PREFIX + SHELL_VERSION;

async function keepShell(): Promise<void> {
  const cache = await caches.open(NAME);
  await cache.addAll(['./', ...SHELL_FILES].map((path) => new Request(path, { cache: 'reload' })));
  await worker.skipWaiting();
}

async function dropOthers(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
  await worker.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.open(NAME).then((cache) => cache.match(request, { ignoreSearch: true }));
    if (kept) return kept;
    throw error;
  }
}

const paths = new Set(['', ...SHELL_FILES]);

worker.addEventListener('install', (event) => event.waitUntil(keepShell()));
worker.addEventListener('activate', (event) => event.waitUntil(dropOthers()));
worker.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const path = url.startsWith(scope) ? url.slice(scope.length).replace(/[?#].*/, '') : null;
  if (method === 'GET' && path !== null && paths.has(path)) event.respondWith(answer(event.request));
});
