/** Shares of the time waited so far, and the bounds in milliseconds, for one sleep. */
const SHARE = 0.05;
const SHORTEST = 0.05;
const LONGEST = 4;

const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Awaits work of a device whose threads share this machine's cores, without taking one from them.
 *
 * While a promise of Dawn is pending, its Node binding polls in every turn of the event loop. This keeps a core busy that a
 * CPU adapter needs for computing. Here the thread sleeps in each turn, about 5 % of the
 * time waited so far and 4 ms at most, so that other work of the event loop still gets its turns.
 *
 * @returns what `pending` resolves to; rejects as it does
 */
export const waitQuietly = <T>(pending: Promise<T>): Promise<T> =>
  waitInSleeps(pending, (waited) => Math.min(LONGEST, Math.max(SHORTEST, SHARE * waited)));

/** @param next milliseconds of the next sleep, after so many that were waited */
export async function waitInSleeps<T>(pending: Promise<T>, next: (waited: number) => number): Promise<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  pending.then(settle, settle);
  const start = performance.now();
  // One turn first: finished work must not wait.
  await new Promise(setImmediate);
  while (!settled) {
    Atomics.wait(cell, 0, 0, next(performance.now() - start));
    await new Promise(setImmediate);
  }
  return pending;
}
