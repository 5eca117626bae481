import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inOrder } from '../../src/common/in-order.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('results come in the order of the items, and two pieces of work run at a time', async () => {
  let [running, most] = [0, 0];
  const work = async (item: number): Promise<number> => {
    most = Math.max(most, ++running);
    await pause(item % 2 === 0 ? 4 : 1);
    running--;
    return 10 * item;
  };
  const found: number[] = [];
  for await (const result of inOrder([0, 1, 2, 3, 4, 5, 6], work)) found.push(result);
  assert.equal(found, [0, 10, 20, 30, 40, 50, 60]);
  assert.is(most, 2);
  for await (const result of inOrder([], work)) assert.unreachable(String(result));
});

test('a result does not wait for the next item', async () => {
  const slow = async function* () {
    yield 1;
    await new Promise(() => {});
    yield 2;
  };
  const results = inOrder(slow(), async (item) => item);
  assert.equal(await results.next(), { value: 1, done: false });
});

test('errors of items and of work come after the earlier results, and work that has begun is waited for', async () => {
  const seen: (number | string)[] = [];
  let done = 0;
  const work = async (item: number): Promise<number> => {
    await pause(3);
    done++;
    if (item === 3) throw new Error('work');
    return item;
  };
  const collect = async (items: Iterable<number> | AsyncIterable<number>, signal?: AbortSignal) => {
    seen.length = done = 0;
    try {
      for await (const result of inOrder(items, work, signal)) seen.push(result);
    } catch (error) {
      seen.push((error as Error).message);
    }
  };
  await collect([1, 2, 3, 4, 5]);
  assert.equal(seen, [1, 2, 'work']);
  assert.is(done, 4);
  await collect(
    (async function* () {
      yield 1;
      throw new Error('items');
    })(),
  );
  assert.equal(seen, [1, 'items']);
  const abort = new AbortController();
  abort.abort(new Error('enough'));
  await collect([1, 2], abort.signal);
  assert.equal(seen, ['enough']);
});

test.run();
