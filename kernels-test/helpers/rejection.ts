import * as assert from 'uvu/assert';

/** Runs a function that must fail. @returns its error, which must be of the given class */
export async function rejection<E extends Error>(
  run: () => unknown,
  // biome-ignore lint/suspicious/noExplicitAny: constructors of errors have different parameters
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

/** The error with which a promise is rejected; null if it is fulfilled. */
export const rejected = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error) => error,
  );

/** The error that a call throws; null if it returns. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return null;
}
