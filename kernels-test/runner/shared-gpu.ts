import type { Gpu } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';

let shared: Promise<Gpu> | undefined;

/** The GPU under test: one device per process, chosen by CAMEO_ADAPTER. */
export function sharedGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** Live bytes on the shared device. The next test file would count what a file leaves there as its own. */
export async function sharedBytes(): Promise<number> {
  return shared ? ((await shared.catch(() => undefined))?.pool.liveBytes ?? 0) : 0;
}
