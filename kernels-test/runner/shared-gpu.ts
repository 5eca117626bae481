import type { Gpu } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';

let shared: Promise<Gpu> | undefined;

/** The GPU under test: one device a process, chosen by CAMEO_ADAPTER. */
export function sharedGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** Bytes that are live on the shared device: what a file of tests leaves there, the next one would count as its own. */
export async function sharedBytes(): Promise<number> {
  return shared ? ((await shared.catch(() => undefined))?.pool.liveBytes ?? 0) : 0;
}
