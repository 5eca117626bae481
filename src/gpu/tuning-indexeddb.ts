import type { Gpu } from './gpu.js';
import { ENGINE_VERSION, storedTuning, tuningAdapter } from './tuning.js';

const DATABASE = 'cameo';
const STORE = 'tuning';

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function withStore<T>(mode: IDBTransactionMode, body: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await result(opening);
  try {
    return await result(body(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

const keyOf = (gpu: Gpu): string => `${tuningAdapter(gpu.description)} ${ENGINE_VERSION}`;

/** Takes over the choices of kernels that the browser keeps for this adapter, if any. @throws DOMException */
export async function loadTuningFromIndexedDb(gpu: Gpu): Promise<void> {
  gpu.tuning.load(await withStore('readonly', (store) => store.get(keyOf(gpu))), tuningAdapter(gpu.description));
}

/** Stores the choices in the browser. @throws DOMException, as on a full disk or in a private window */
export async function saveTuningToIndexedDb(gpu: Gpu): Promise<void> {
  const stored = storedTuning(gpu.tuning, gpu.description);
  await withStore('readwrite', (store) => store.put(stored, keyOf(gpu)));
}
