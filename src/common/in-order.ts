import type { AbortSignal } from './platform-types.js';

/** How many pieces of work run at a time: while the CPU does its part of one, a device does its part of the next. */
const AT_ONCE = 2;

/**
 * Results of work on items, in their order. Work on the next item begins before that on the last one is done, and results are
 * given as soon as they are there, even if the next item is not. Before it ends, it waits for the work that it has begun.
 *
 * @param signal once it is aborted, no further result is given
 * @throws the signal's reason, and what `work` or `items` throws, after the results of earlier items
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  signal?: AbortSignal,
): AsyncGenerator<R, void, undefined> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const next = async (): Promise<IteratorResult<T> | { error: unknown }> => {
    try {
      return await iterator.next();
    } catch (error) {
      return { error };
    }
  };
  const running: Promise<R>[] = [];
  let coming: ReturnType<typeof next> | undefined;
  let end: { error?: unknown } | undefined;
  try {
    for (;;) {
      if (!end && running.length < AT_ONCE) {
        coming ??= next();
        const item = await Promise.race([coming, ...running.slice(0, 1).map((one) => settled(one))]);
        if (item) {
          coming = undefined;
          if ('error' in item || item.done) end = 'error' in item ? item : {};
          else running.push(handled(work(item.value)));
          continue;
        }
      }
      const oldest = running.shift();
      if (!oldest) break;
      const result = await oldest;
      signal?.throwIfAborted();
      yield result;
    }
    if (end && 'error' in end) throw end.error;
  } finally {
    await Promise.allSettled(running);
    if (!end) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

/** Resolves when a promise is settled, however. */
const settled = (promise: Promise<unknown>): Promise<undefined> =>
  promise.then(
    () => undefined,
    () => undefined,
  );

/** Its rejection may be awaited later, or never: that must not end Node. */
function handled<R>(promise: Promise<R>): Promise<R> {
  promise.catch(() => {});
  return promise;
}
