import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IntegerTrellis, LAMBDA_ONE } from '../../src/codec/integer-trellis.js';
import { trellisFaces } from './trellis-faces.js';

test('the integer trellis finds the symbols of the float64 one, or others that cost as little', () => {
  let same = 0;
  const faces = trellisFaces(40);
  for (const { values, rows, order, job, cost, expected } of faces) {
    const symbols = new IntegerTrellis(rows, order).choose(values, job);
    const excess = cost(symbols) / cost(expected) - 1;
    assert.ok(excess < 1e-6, `costs ${excess} more`);
    if (symbols.every((symbol, i) => symbol === expected[i])) same++;
  }
  assert.ok(same >= 0.9 * faces.length, `${same} of ${faces.length} are the same`);
});

test('a λ that changes within a face costs no more by its own measure than either λ alone', () => {
  for (const { values, rows, order, job, split } of trellisFaces(12)) {
    const trellis = new IntegerTrellis(rows, order);
    const mixed = { ...job, split: split.at, lambdaThen: split.lambda };
    const cost = split.cost(trellis.choose(values, mixed));
    for (const lambda of [job.lambda, split.lambda])
      assert.ok(cost <= split.cost(trellis.choose(values, { ...job, lambda })) * (1 + 1e-6));
    assert.equal(
      trellis.choose(values, { ...mixed, split: order.length }),
      trellis.choose(values, job),
      'if it changes at the end, it does not change',
    );
    assert.equal(
      trellis.choose(values, { ...mixed, split: 0 }),
      trellis.choose(values, { ...job, lambda: split.lambda }),
    );
  }
});

test('values of any size have symbols', () => {
  const values = Float32Array.of(0, 1e6, -1e6, 40.3, -0.2, 500.6, -31.9, 32.1, 1e-40);
  const order = Int32Array.from(values, (_, k) => values.length - 1 - k);
  const trellis = new IntegerTrellis(new Int32Array(values.length).fill(270), order);
  for (const lambda of [0, 300, LAMBDA_ONE - 1]) {
    const symbols = trellis.choose(values, { gain: 1, shift: 0, lambda });
    symbols.forEach((symbol, k) => {
      const value = Math.max(-32000, Math.min(32000, values[k]));
      assert.ok(Math.abs(symbol - value) <= 2.5, `${symbol} for ${value}`);
    });
  }
});

test.run();
