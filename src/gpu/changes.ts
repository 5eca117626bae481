import type { PooledBuffer } from './buffer-pool.js';

let latest = 0;

/** When a buffer was last changed in place: a count of all such changes. */
export const lastChange = (): number => latest;

/** Notes that values which somebody may have used are replaced, so that gradients that need the old ones are refused. */
export function markChanged(buffer: PooledBuffer): void {
  buffer.changedAt = ++latest;
}
