import type { Gpu, GpuOptions } from '../../../src/gpu/gpu.js';
import { openBrowserGpu } from '../../../src/gpu/open.js';

/**
 * In place of `openGpu` of src/gpu/node/adapters.ts: what a browser's store has measured must not decide what is tested.
 * Firefox looks every 100 ms only, and at each submit, for what is done. Nothing is submitted again and again there, so that
 * a read takes 3 ms and not 110.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  let gpu: Gpu | undefined;
  const wait = <T>(pending: Promise<T>): Promise<T> => {
    const timer = setInterval(() => gpu?.device.queue.submit([]), 2);
    return pending.finally(() => clearInterval(timer));
  };
  const inFirefox = globalThis.navigator.userAgent.includes('Firefox');
  gpu = await openBrowserGpu({ ...(inFirefox && { wait }), ...options, tuning: false });
  return gpu;
}
