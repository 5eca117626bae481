import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { waitQuietly } from '../../src/gpu/node/quiet-wait.js';
import { rejection } from '../helpers/rejection.js';

const test = suite('quiet wait');

const later = <T>(ms: number, value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, ms, value));

/**
 * Acts like Dawn's Node binding while a promise is pending: it runs a callback in every turn of the event loop.
 * @param onTurn is called with the number of turns
 */
function poll(until: Promise<unknown>, onTurn: (turns: number) => void = () => {}): void {
  let turns = 0;
  let pending = true;
  until.finally(() => {
    pending = false;
  });
  const turn = (): void => {
    onTurn(++turns);
    if (pending) setImmediate(turn);
  };
  setImmediate(turn);
}

test('quietWait gives the result or the error of the promise', async () => {
  assert.is(await waitQuietly(Promise.resolve(7)), 7);
  assert.is(await waitQuietly(later(20, 'late')), 'late');
  const failure = new ArgumentError('no');
  assert.is(await rejection(() => waitQuietly(Promise.reject(failure)), ArgumentError), failure);
  assert.is(
    await rejection(() => waitQuietly(later(10, 0).then(() => Promise.reject(failure))), ArgumentError),
    failure,
  );
});

test('quietWait lets the event loop turn, but seldom', async () => {
  // The work ends with the hundredth turn, which comes on a busy machine, too.
  let end = (): void => {};
  const work = new Promise<void>((resolve) => {
    end = resolve;
  });
  poll(work, (turns) => turns === 100 && end());
  const start = performance.now();
  await waitQuietly(work);
  const ms = performance.now() - start;
  assert.ok(ms > 20, `100 turns in ${ms} ms: the loop spins`);
});

test('quietWait takes hardly any processor time', async () => {
  const work = later(300, 0);
  poll(work);
  const before = process.cpuUsage();
  await waitQuietly(work);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 150_000, `${(user + system) / 1000} ms of computing in 300 ms of waiting`);
});

test.run();
