import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nextState, quantizerOf, reconstructionPoint } from '../../src/codec/entropy/dependent.js';
import { quantizeForRate, squaredError } from '../../src/codec/rate-distortion.js';
import { quantizeDependent, symbolCosts, trellisBits } from '../../src/codec/trellis.js';
import { CounterRandom } from '../../src/common/random.js';

const random = new CounterRandom(4);
const inOrder = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/** The value of a symbol in steps, by the definition. */
function levels(symbols: ArrayLike<number>, order: readonly number[]): number[] {
  const found = new Array<number>(order.length).fill(0);
  let state = 0;
  for (const i of order) {
    found[i] = reconstructionPoint(symbols[i], quantizerOf(state)) / 2;
    state = nextState(state, symbols[i]);
  }
  return found;
}

/** Bits of a magnitude under a logistic distribution for either quantizer, by the definition. */
function bits(n: number, quantizer: number, scale: number): number {
  const below = (x: number): number => 1 / (1 + Math.exp(-x / scale));
  const points = (k: number): number => reconstructionPoint(k, quantizer) / 2;
  const low = (points(n) + points(n - 1)) / 2;
  const high = (points(n) + points(n + 1)) / 2;
  return -Math.log2(below(high) - below(low));
}

test('together the two quantizers have all half steps, and both have 0', () => {
  const points = [0, 1].map((quantizer) =>
    [-3, -2, -1, 0, 1, 2, 3].map((symbol) => reconstructionPoint(symbol, quantizer)),
  );
  assert.equal(points, [
    [-6, -4, -2, 0, 2, 4, 6],
    [-5, -3, -1, 0, 1, 3, 5],
  ]);
  // Two states can be reached from each state, and each can be reached from two.
  const reached = inOrder(4).flatMap((state) => [nextState(state, 0), nextState(state, -3)]);
  assert.equal(reached.sort(), [0, 0, 1, 1, 2, 2, 3, 3]);
  assert.is(nextState(1, 7), nextState(1, -7), 'the sign does not count');
});

test('costs are those of a logistic distribution', () => {
  const scales = [0.2, 0.7, 3];
  const costs = symbolCosts(scales);
  scales.forEach((scale, i) => {
    for (const quantizer of [0, 1]) {
      for (let n = 0; n < 13; n++) {
        const expected = bits(n, quantizer, scale);
        if (expected < 25) assert.ok(Math.abs(costs[(2 * i + quantizer) * 13 + n] - expected) < 1e-3, `${scale}, ${n}`);
      }
    }
  });
});

test('of all sequences of symbols, none is better', () => {
  for (let run = 0; run < 60; run++) {
    const count = 5;
    const scales = inOrder(count).map(() => 0.2 + random.uniform());
    const values = scales.map((scale) => 1.2 * scale * random.normal());
    const order = run % 2 === 0 ? inOrder(count) : [3, 0, 4, 1, 2];
    const lambda = [0, 0.05, 0.3][run % 3];
    const costs = symbolCosts(scales);
    const paid = (symbols: ArrayLike<number>): number =>
      squaredError(values, levels(symbols, order)) + lambda * trellisBits(symbols, costs, order);
    const chosen = quantizeDependent(values, costs, lambda, order);
    let best = Infinity;
    const tried = new Int16Array(count);
    for (let code = 0; code < 5 ** count; code++) {
      for (let k = 0, rest = code; k < count; k++, rest = Math.floor(rest / 5)) {
        tried[k] = (rest % 5) * (values[k] < 0 ? -1 : 1);
      }
      best = Math.min(best, paid(tried));
    }
    assert.ok(paid(chosen) <= best + 1e-9, `${paid(chosen)}; ${best} is possible`);
  }
});

test('at the same bits the error is clearly smaller than with plain quantization', () => {
  const count = 4000;
  const scales = new Float64Array(count).fill(1);
  const values = Float64Array.from({ length: count }, () => {
    const u = random.uniform();
    return Math.log(u / (1 - u));
  });
  // For a logistic distribution of scale 1, steps of ¾ without and of 1 with dependent quantization take nearly the same bits.
  const plainStep = 0.75;
  const scaled = values.map((value) => value / plainStep);
  const plain = quantizeForRate(scaled, symbolCosts(scales.map((scale) => scale / plainStep)), 0.1);
  const entropy = (symbols: ArrayLike<number>): number => {
    const seen = new Map<number, number>();
    for (let k = 0; k < count; k++) seen.set(symbols[k], (seen.get(symbols[k]) ?? 0) + 1);
    return [...seen.values()].reduce((sum, n) => sum - n * Math.log2(n / count), 0);
  };
  const costs = symbolCosts(scales);
  const chosen = quantizeDependent(values, costs, 0.06, inOrder(count));
  const error = squaredError(values, levels(chosen, inOrder(count)));
  const plainError = squaredError(scaled, plain) * plainStep ** 2;
  const [chosenBits, plainBits] = [trellisBits(chosen, costs, inOrder(count)), entropy(plain)];
  // The difference in bits is worth 6.02 dB per bit.
  const fair = plainError * 4 ** ((plainBits - chosenBits) / count);
  assert.ok(error < 0.9 * fair, `error ${error} with ${chosenBits} bits; ${plainError} with ${plainBits}`);
});

test('values of any size have symbols, in any coding order', () => {
  const values = [0, 1e6, -1e6, 40.3, -0.2, 500.6];
  const costs = symbolCosts(values.map(() => 1));
  const order = [5, 4, 3, 2, 1, 0];
  const symbols = quantizeDependent(values, costs, 0, order);
  levels(symbols, order).forEach((level, k) => {
    const value = Math.max(-32000, Math.min(32000, values[k]));
    assert.ok(Math.abs(level - value) <= 1, `${level} for ${value}`);
  });
  assert.equal([...quantizeDependent([], new Float32Array(0), 0.1, [])], []);
});

test.run();
