/*
 * Keeps the files of the page, so that it opens without a network. (The page itself keeps the weights; see stored-files.ts.) With a
 * network, files come from the network, so the next visit shows a new build.
 */

/** Paths of the page's own files, and a version that changes with any of them. The build replaces both names by values. */
declare const SHELL_FILES: readonly string[];
declare const SHELL_VERSION: string;

/** The members of the global scope that this worker uses; TypeScript's library for pages does not declare them. */
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
/** The scope is part of the name, because an origin may serve the page from several folders. */
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
