import type { Gpu, GpuOptions } from '../../../src/gpu/gpu.js';
import { openBrowserGpu } from '../../../src/gpu/open.js';

/** In place of `openGpu` of src/gpu/node/adapters.ts: what a browser's store has measured must not decide what is tested. */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return openBrowserGpu({ ...options, tuning: false });
}
