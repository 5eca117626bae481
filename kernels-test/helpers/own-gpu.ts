import type { Gpu, GpuOptions } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';

/** Runs `body` with a separate device on the adapter under test, and closes the device in any case. */
export async function withOwnGpu(options: GpuOptions, body: (gpu: Gpu) => Promise<void>): Promise<void> {
  const gpu = await openGpu(options);
  try {
    await body(gpu);
  } finally {
    if (!gpu.lost) gpu.destroy();
  }
}
