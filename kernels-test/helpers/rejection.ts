import * as assert from 'uvu/assert';

/** Runs what must fail and returns its error, which must be of the given class. */
export async function rejection<E extends Error>(
  run: () => unknown,
  // biome-ignore lint/suspicious/noExplicitAny: constructors of errors take whatever they need
  type: new (...args: any[]) => E,
): Promise<E> {
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    assert.instance(error, type, `${(error as Error).name}: ${(error as Error).message}`);
    return error as E;
  }
  assert.unreachable(`expected ${type.name}; got ${String(result)}`);
  throw new Error('unreachable');
}

/** What a promise is rejected with; null where it is kept. */
export const rejected = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error) => error,
  );

/** What a call throws; null where it returns. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return null;
}
