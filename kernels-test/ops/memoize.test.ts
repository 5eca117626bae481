import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { memoize } from '../../src/ops/memoize.js';

test('memoize computes once for equal arguments, even if they are different objects', () => {
  let calls = 0;
  const join = memoize((a: { x: number }, b?: string) => {
    calls++;
    return { text: `${a.x}${b}` };
  });
  const first = join({ x: 1 }, 'b');
  assert.is(join({ x: 1 }, 'b'), first);
  assert.is(calls, 1);
  assert.equal(join({ x: 1 }), { text: '1undefined' });
  assert.equal(join({ x: 2 }, 'b'), { text: '2b' });
  assert.is(calls, 3);
});

test('memoize forgets the oldest result, and does not keep failures', () => {
  const seen: number[] = [];
  const double = memoize((n: number) => {
    seen.push(n);
    if (n < 0) throw new Error('negative');
    return 2 * n;
  }, 2);
  for (const n of [1, 2, 1, 3, 2, 1]) assert.is(double(n), 2 * n);
  assert.equal(seen, [1, 2, 3, 1]);
  assert.throws(() => double(-1), /negative/);
  assert.throws(() => double(-1), /negative/);
  assert.equal(seen, [1, 2, 3, 1, -1, -1]);
});

test.run();
