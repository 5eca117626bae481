import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom, quantizationNoise, threefry2x32, uniform01 } from '../../src/common/random.js';

// These are the known answers of the authors' Random123 distribution (threefry2x32, 20 rounds).
const KNOWN = [
  { key: [0, 0], ctr: [0, 0], out: [0x6b200159, 0x99ba4efe] },
  { key: [0xffffffff, 0xffffffff], ctr: [0xffffffff, 0xffffffff], out: [0x1cb996fc, 0xbb002be7] },
  { key: [0x13198a2e, 0x03707344], ctr: [0x243f6a88, 0x85a308d3], out: [0xc4923a9c, 0x483df7a0] },
];

test('threefry2x32 gives the published answers', () => {
  for (const { key, ctr, out } of KNOWN) assert.equal(threefry2x32(key[0], key[1], ctr[0], ctr[1]), out);
});

test('uniform01 keeps 24 bits that float32 holds exactly', () => {
  assert.is(uniform01(0), 0);
  assert.is(uniform01(0xff), 0);
  assert.is(uniform01(0x100), 2 ** -24);
  assert.is(uniform01(0xffffffff), 1 - 2 ** -24);
  for (let i = 0; i < 1000; i++) {
    const noise = quantizationNoise(7, 3, i);
    assert.ok(noise >= -0.5 && noise < 0.5);
    assert.is(Math.fround(noise), noise);
    assert.is(noise, uniform01(threefry2x32(7, 3, i, 0)[0]) - 0.5);
  }
});

test('uniform has the moments, the spread and the serial independence of the uniform distribution', () => {
  const n = 100_000;
  const random = new CounterRandom(1, 2);
  const bins = new Float64Array(64);
  let sum = 0;
  let squares = 0;
  let products = 0;
  let before = random.uniform() - 0.5;
  for (let i = 0; i < n; i++) {
    const u = random.uniform();
    bins[Math.floor(u * 64)]++;
    const v = u - 0.5;
    sum += v;
    squares += v * v;
    products += v * before;
    before = v;
  }
  // Each tolerance is five standard errors.
  assert.ok(Math.abs(sum / n) < 5 * Math.sqrt(1 / 12 / n), `mean ${sum / n}`);
  assert.ok(Math.abs(squares / n - 1 / 12) < 5 * Math.sqrt(1 / 180 / n), `variance ${squares / n}`);
  assert.ok(Math.abs(products / n) < 5 * (1 / 12 / Math.sqrt(n)), `lag-1 covariance ${products / n}`);
  let chi2 = 0;
  for (const count of bins) chi2 += (count - n / 64) ** 2 / (n / 64);
  assert.ok(chi2 > 20 && chi2 < 130, `chi-square ${chi2} of 63 degrees of freedom`);
});

test('normal has the moments and tails of the standard normal distribution', () => {
  const n = 100_000;
  const random = new CounterRandom(5);
  const moments = [0, 0, 0, 0];
  let within1 = 0;
  let beyond2 = 0;
  for (let i = 0; i < n; i++) {
    const z = random.normal();
    assert.ok(Number.isFinite(z));
    for (let p = 0; p < 4; p++) moments[p] += z ** (p + 1) / n;
    if (Math.abs(z) < 1) within1++;
    if (Math.abs(z) > 2) beyond2++;
  }
  const error = 1 / Math.sqrt(n);
  assert.ok(Math.abs(moments[0]) < 5 * error, `mean ${moments[0]}`);
  assert.ok(Math.abs(moments[1] - 1) < 5 * Math.sqrt(2) * error, `variance ${moments[1]}`);
  assert.ok(Math.abs(moments[2]) < 5 * Math.sqrt(15) * error, `third moment ${moments[2]}`);
  assert.ok(Math.abs(moments[3] - 3) < 5 * Math.sqrt(96) * error, `fourth moment ${moments[3]}`);
  assert.ok(Math.abs(within1 / n - 0.682689) < 0.01);
  assert.ok(Math.abs(beyond2 / n - 0.0455) < 0.005);
});

test('int is uniform over a range that does not divide 2^32', () => {
  const random = new CounterRandom(9, 1);
  const counts = new Float64Array(7);
  for (let i = 0; i < 70_000; i++) counts[random.int(7)]++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 5 * Math.sqrt(10_000), `count ${count}`);
  // The range is three quarters of 2^32. Without rejection, its lowest third would come twice as often as the rest.
  const n = 2 ** 31 + 2 ** 30;
  let low = 0;
  for (let i = 0; i < 20_000; i++) if (random.int(n) < n / 3) low++;
  assert.ok(Math.abs(low / 20_000 - 1 / 3) < 0.02, `share ${low / 20_000}`);
  assert.is(random.int(1), 0);
});

test('shuffle gives every order of three items equally often, and loses no item', () => {
  const random = new CounterRandom(3);
  const orders = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const key = random.shuffle([0, 1, 2]).join('');
    orders.set(key, (orders.get(key) ?? 0) + 1);
  }
  assert.is(orders.size, 6);
  for (const count of orders.values()) assert.ok(Math.abs(count - 2000) < 5 * Math.sqrt(2000), `count ${count}`);
  const items = random.shuffle(Uint32Array.from({ length: 1000 }, (_, i) => i));
  assert.is.not(items.join(), Array.from({ length: 1000 }, (_, i) => i).join());
  assert.equal(
    Array.from(items).sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  );
});

test('a stored state continues the sequence, also past 2^32 blocks', () => {
  for (const counter of [0, 7, 2 ** 33 - 1, 2 ** 40 + 1]) {
    const random = new CounterRandom(11, 4, counter);
    random.normal();
    random.int(10);
    const copy = CounterRandom.fromState(JSON.parse(JSON.stringify(random.state())));
    const next = Array.from({ length: 9 }, () => random.word());
    assert.equal(
      Array.from({ length: 9 }, () => copy.word()),
      next,
    );
    assert.is(new Set(next).size, 9);
  }
});

test('seeds, streams and quantization noise do not share numbers', () => {
  const first = (seed: number, stream: number): string => {
    const random = new CounterRandom(seed, stream);
    return Array.from({ length: 4 }, () => random.word()).join();
  };
  assert.is(first(1, 2), first(1, 2));
  assert.is(new Set([first(1, 2), first(2, 1), first(1, 1), first(2, 2)]).size, 4);
  const noise = new Set(Array.from({ length: 100 }, (_, i) => quantizationNoise(1, 2, i) + 0.5));
  const random = new CounterRandom(1, 2);
  for (let i = 0; i < 100; i++) assert.not.ok(noise.has(random.uniform()));
});

test('arguments out of range are refused with what was expected', () => {
  for (const make of [
    () => new CounterRandom(-1),
    () => new CounterRandom(0.5),
    () => new CounterRandom(2 ** 32),
    () => new CounterRandom(0, -3),
    () => new CounterRandom(0, 0, -1),
    () => new CounterRandom(0).int(0),
    () => new CounterRandom(0).int(2 ** 32 + 1),
    () => new CounterRandom(0).int(1.5),
  ]) {
    assert.throws(
      make,
      (error: unknown) => error instanceof ArgumentError && /expected an integer/.test(error.message),
    );
  }
});

test.run();
