import { orAborted } from './abortable.js';
import type { AbortSignal } from './platform-types.js';

export interface BatchQueueOptions {
  /** Items of a batch; the last one has fewer. */
  size: number;
  /** Maximum number of items that are read ahead, in addition to the last batch that was given out; at least `size`. */
  queue: number;
  /** Ends the batches with its reason, also while the next item is waited for. */
  signal?: AbortSignal;
}

/**
 * Batches of items, which are read ahead while the last batch is processed. If processing is slower than reading, reading
 * waits. Items that were read before `items` throws are still given out.
 */
export async function* batchesOf<T>(
  items: AsyncIterable<T> | Iterable<T>,
  { size, queue, signal }: BatchQueueOptions,
): AsyncGenerator<T[], void, undefined> {
  const max = Math.max(size, queue);
  const iterator = iteratorOf(items);
  const waiting: T[] = [];
  const bell = new Bell();
  let failure: { error: unknown } | undefined;
  let [ended, closed] = [false, false];
  const read = async (): Promise<void> => {
    try {
      while (!closed) {
        if (waiting.length >= max) {
          await bell.next;
          continue;
        }
        const next = await iterator.next();
        if (next.done) break;
        waiting.push(next.value);
        bell.ring();
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    bell.ring();
  };
  void read();
  try {
    for (;;) {
      while (waiting.length < size && !ended) await orAborted(bell.next, signal);
      signal?.throwIfAborted();
      const batch = waiting.splice(0, size);
      bell.ring();
      if (batch.length === 0) break;
      yield batch;
    }
    if (failure) throw failure.error;
  } finally {
    closed = true;
    bell.ring();
    // Not awaited: a source that never answers must not keep its reader from ending.
    if (!ended) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

const iteratorOf = <T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> =>
  Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();

/** Wakes all that wait for it. */
class Bell {
  #wake = (): void => {};
  /** Settles when the bell is rung next. */
  next = this.#renewed();

  ring(): void {
    const wake = this.#wake;
    this.next = this.#renewed();
    wake();
  }

  #renewed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
