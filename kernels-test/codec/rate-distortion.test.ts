import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quantizeForRate, squaredError } from '../../src/codec/rate-distortion.js';
import { bitsOf, symbolCosts } from '../../src/codec/trellis.js';
import { CounterRandom } from '../../src/common/random.js';

function values(count: number, seed: number, scale: (i: number) => number): number[] {
  const random = new CounterRandom(seed);
  return Array.from({ length: count }, (_, i) => scale(i) * random.normal());
}

/** Bits of magnitude n by the definition, which is exact only for moderate n. */
function bits(n: number, scale: number): number {
  const below = (x: number): number => 1 / (1 + Math.exp(-x / scale));
  return -Math.log2(below(n + 0.5) - below(n - 0.5));
}

test('the cost of a symbol is that of a logistic distribution, and never falls with its magnitude', () => {
  const scales = [0.1, 0.3, 1, 5, 40];
  const costs = symbolCosts(scales);
  scales.forEach((scale, i) => {
    for (let n = 1; n <= 12; n++) {
      const cost = bitsOf(costs, i, 0, n) - bitsOf(costs, i, 0, n - 1);
      if (bits(n, scale) < 25)
        assert.ok(Math.abs(cost - (bits(n, scale) - bits(n - 1, scale))) < 1e-4, `${scale}, ${n}`);
      assert.ok(cost >= 0, `step to ${n} at scale ${scale} costs ${cost}`);
    }
  });
});

test('λ = 0 rounds to the nearest, whatever the magnitude', () => {
  const all = [0, 0.49, -0.49, 0.51, -0.51, 3.2, -3.7, 14.6, -200.4, 1e6, -1e6];
  const symbols = quantizeForRate(all, symbolCosts(all.map(() => 1)), 0);
  assert.equal([...symbols], [0, 0, 0, 1, -1, 3, -4, 15, -200, 32000, -32000]);
});

test('each symbol minimises the sum of its error and λ times its bits', () => {
  const count = 2000;
  const scales = values(count, 1, () => 1).map((value) => 0.15 + Math.abs(value));
  const all = values(count, 2, (i) => 3 * scales[i]);
  const costs = symbolCosts(scales);
  for (const lambda of [0.05, 0.16, 0.4, 2]) {
    const symbols = quantizeForRate(all, costs, lambda);
    all.forEach((value, i) => {
      const paid = (n: number): number => (Math.abs(value) - n) ** 2 + lambda * bits(n, scales[i]);
      let best = 0;
      for (let n = 1; n <= Math.round(Math.abs(value)); n++) if (paid(n) < paid(best)) best = n;
      if (bits(Math.round(Math.abs(value)), scales[i]) > 25) return; // above 25 bits the definition is not exact enough
      const chosen = Math.abs(symbols[i]);
      assert.ok(paid(chosen) <= paid(best) + 1e-3, `λ ${lambda}: ${value} became ${chosen}; ${best} is better`);
      assert.ok(symbols[i] === 0 || Math.sign(symbols[i]) === Math.sign(value));
    });
  }
});

test('a larger λ never makes a symbol larger or the error smaller', () => {
  const all = values(500, 3, () => 4);
  const costs = symbolCosts(all.map(() => 0.7));
  let last = quantizeForRate(all, costs, 0);
  for (const lambda of [0.01, 0.1, 0.3, 1, 10, 100]) {
    const symbols = quantizeForRate(all, costs, lambda);
    symbols.forEach((symbol, i) => {
      assert.ok(Math.abs(symbol) <= Math.abs(last[i]));
    });
    assert.ok(squaredError(all, symbols) >= squaredError(all, last));
    last = symbols;
  }
  assert.ok(
    last.every((symbol) => symbol === 0),
    'the largest leaves nothing',
  );
});

test('squaredError is the sum of squared differences', () => {
  assert.is(squaredError([1.5, -2, 0.25], [1, -2, 0]), 0.25 + 0.0625);
  assert.is(squaredError([], []), 0);
});

test.run();
