import type { Gpu, GpuOptions } from '../../../src/gpu/gpu.js';
import { openBrowserGpu } from '../../../src/gpu/open.js';

/**
 * Replaces `openGpu` of src/gpu/node/adapters.ts. It uses no tuning, because measurements in a browser's store must not decide what is tested.
 * Firefox checks for finished work only every 100 ms, and at each submit. So in Firefox it keeps submitting nothing, so that
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
