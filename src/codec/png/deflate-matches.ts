import { MAX_MATCH, MIN_MATCH, WINDOW } from './deflate-tables.js';

/** Candidates looked at in all, so that long data take no more than linear time; a face's latents get by with less. */
const CANDIDATES = 2 ** 21;

/**
 * Every useful match of every position: entries `start[i]` to `start[i + 1]` of `length` and `distance`, both rising.
 * An entry means that lengths up to `length` (beyond the entry before) are had at `distance`, the nearest one possible.
 */
export interface Matches {
  start: Int32Array;
  length: number[];
  distance: number[];
}

/** Finds them with chains of equal three-byte strings. */
export function findMatches(data: Uint8Array): Matches {
  const n = data.length;
  const start = new Int32Array(n + 1);
  const length: number[] = [];
  const distance: number[] = [];
  const last = new Map<number, number>();
  const maxChain = Math.max(32, Math.floor(CANDIDATES / n));
  const previous = new Int32Array(n).fill(-1);
  for (let i = 0; i < n; i++) {
    start[i] = length.length;
    if (i + MIN_MATCH > n) continue;
    const key = data[i] | (data[i + 1] << 8) | (data[i + 2] << 16);
    previous[i] = last.get(key) ?? -1;
    last.set(key, i);
    const limit = Math.min(MAX_MATCH, n - i);
    let longest = MIN_MATCH - 1;
    let at = previous[i];
    for (let tries = maxChain; at >= 0 && i - at <= WINDOW && longest < limit && tries > 0; tries--) {
      if (data[at + longest] === data[i + longest]) {
        let k = 0;
        while (k < limit && data[at + k] === data[i + k]) k++;
        if (k > longest) {
          length.push(k);
          distance.push(i - at);
          longest = k;
        }
      }
      at = previous[at];
    }
  }
  start[n] = length.length;
  return { start, length, distance };
}
