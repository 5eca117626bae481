import type { Gpu } from '../../src/gpu/gpu.js';

/** Makes an opener whose device is opened once and stays open, whoever destroys it: its kernels are compiled once. */
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
