import type { GPUDevice } from '../common/platform-types.js';
import type { Wait } from './gpu.js';

/**
 * How to await a device's work in Firefox. It checks for finished work only every 100 ms and at each submit, so this submits
 * nothing, again and again. A read of a few bytes then takes some 3 ms and not 110 (measured in Firefox 153).
 * @returns undefined in other browsers, which need no asking
 */
export function askingAgain({ queue }: GPUDevice): Wait | undefined {
  if (!globalThis.navigator?.userAgent?.includes('Firefox')) return undefined;
  return (pending) => {
    const timer = setInterval(() => queue.submit([]), 2);
    return pending.finally(() => clearInterval(timer));
  };
}
