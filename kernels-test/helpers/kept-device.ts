import type { Gpu } from '../../src/gpu/gpu.js';

/** A function that opens a device once and returns it at each call. `destroy` does not close it, so its kernels are compiled once. */
export function keptOpen(open: () => Promise<Gpu>): () => Promise<Gpu> {
  let opened: Promise<Gpu> | undefined;
  return async () => {
    opened ??= open();
    try {
      const gpu = await opened;
      gpu.destroy = () => {};
      return gpu;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
}
