import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clampInteger, log2Sixteenths, powerOfEighths } from '../../src/codec/entropy/fixed-point.js';
import { bordersInOrder, MAX_DEAD_ZONE } from '../../src/codec/entropy/latent-model.js';
import { FREQUENCY_TOTAL, golombBits, RangeDecoder, RangeEncoder } from '../../src/codec/entropy/range-coder.js';
import {
  MEAN_UNITS,
  SCALE_COUNT,
  SCALE_ONE,
  SHAPE_ENTRIES,
  SHAPE_HALF,
  SymbolDistribution,
  shapeProblem,
} from '../../src/codec/entropy/symbol-distribution.js';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { laplacianShape } from '../../src/training/entropy/fit-shapes.js';
import { rejection } from '../helpers/rejection.js';

/** Frequency tables, from one with a dominant symbol to one with many symbols of the least frequency. */
const partitions: number[][] = [
  [FREQUENCY_TOTAL],
  [1, FREQUENCY_TOTAL - 1],
  [FREQUENCY_TOTAL - 1, 1],
  [1, FREQUENCY_TOTAL - 2, 1],
  new Array(16).fill(4096),
  new Array(65536).fill(1),
  [30000, 5000, 20000, 10536],
];
const starts = partitions.map((sizes) => {
  let sum = 0;
  return sizes.map((size) => (sum += size) - size);
});

test('symbols are decoded, and take as many bits as their frequencies predict', () => {
  const random = new CounterRandom(1);
  for (let run = 0; run < 300; run++) {
    const count = random.int(run < 100 ? 8 : 400);
    const drawn = Array.from({ length: count }, () => {
      const which = random.int(partitions.length);
      // Rare symbols are drawn as often as others, because they cause carries and small ranges.
      return { which, symbol: random.int(partitions[which].length) };
    });
    const encoder = new RangeEncoder();
    let bits = 0;
    for (const { which, symbol } of drawn) {
      encoder.encode(starts[which][symbol], partitions[which][symbol]);
      bits -= Math.log2(partitions[which][symbol] / FREQUENCY_TOTAL);
    }
    const bytes = encoder.finish();
    assert.ok(bytes.length <= bits / 8 + 1.2 + count * 0.001, `${bytes.length} bytes for ${bits} bits`);
    const decoder = new RangeDecoder(bytes);
    for (const { which, symbol } of drawn) {
      const target = decoder.target();
      const [start, size] = [starts[which][symbol], partitions[which][symbol]];
      assert.ok(target >= start && target < start + size);
      decoder.take(start, size);
    }
    decoder.finish();
  }
});

test('symbols of probability 1 take no bytes', () => {
  const encoder = new RangeEncoder();
  for (let k = 0; k < 1000; k++) encoder.encode(0, FREQUENCY_TOTAL);
  assert.is(encoder.finish().length, 0);
});

test('a carry propagates through pending bytes', () => {
  // Coding the upper part repeatedly keeps the low end just below a power of two; the last symbol decides about the carry.
  for (const last of [0, FREQUENCY_TOTAL / 2]) {
    const encoder = new RangeEncoder();
    const parts = [...new Array(40).fill([32767, 1]), [last, FREQUENCY_TOTAL / 2]];
    for (const [start, size] of parts) encoder.encode(start, size);
    const decoder = new RangeDecoder(encoder.finish());
    for (const [start, size] of parts) {
      const target = decoder.target();
      assert.ok(target >= start && target < start + size);
      decoder.take(start, size);
    }
    decoder.finish();
  }
});

test('bits and Exp-Golomb numbers are decoded', () => {
  const encoder = new RangeEncoder();
  const numbers = [0, 1, 2, 3, 7, 8, 100, 1000, 65535, 2 ** 18 - 129];
  let bits = 0;
  for (const order of [0, 1, 3, 7]) {
    for (const n of numbers) {
      encoder.golomb(n, order);
      bits += golombBits(n, order);
    }
  }
  for (let count = 1; count <= 16; count++) encoder.bits(2 ** count - 2, count);
  bits += (16 * 17) / 2;
  const bytes = encoder.finish();
  assert.ok(Math.abs(bytes.length - bits / 8) < 2);
  const decoder = new RangeDecoder(bytes);
  for (const order of [0, 1, 3, 7]) for (const n of numbers) assert.is(decoder.golomb(order), n);
  for (let count = 1; count <= 16; count++) assert.is(decoder.bits(count), 2 ** count - 2);
  decoder.finish();
});

test('streams that no encoder writes are refused', async () => {
  assert.match((await rejection(() => new RangeEncoder().golomb(2 ** 18, 0), ArgumentError)).message, 'out of range');
  const start = () => new RangeDecoder(new Uint8Array(4).fill(255));
  assert.match((await rejection(start, FormatError)).message, 'four bytes 255');
  const ones = new RangeDecoder(Uint8Array.of(255, 255, 255, 254, 255, 255, 255, 255));
  assert.match((await rejection(() => ones.golomb(0), FormatError)).message, 'more than 18 bits');
  assert.match(
    (await rejection(() => new RangeDecoder(new Uint8Array(5)).finish(), FormatError)).message,
    'need only 4',
  );
  for (const bytes of [Uint8Array.of(0, 0), Uint8Array.of(1), Uint8Array.of(0, 0, 0, 1)]) {
    // Coding nothing takes no bytes, so any byte is too much.
    assert.match((await rejection(() => new RangeDecoder(bytes).finish(), FormatError)).message, 'not the shortest');
  }
});

test('powers and logarithms in fixed point are near the exact ones', () => {
  for (let e = -1024; e <= 1024; e++) {
    assert.ok(Math.abs(powerOfEighths(e) / 2 ** (e / 8) - 1) < 3.1e-5, `2^(${e}/8)`);
  }
  for (const v of [1, 2, 3, 5, 31, 32, 33, 1000, 65535, 65536, 123456789, 2 ** 31 - 1]) {
    assert.ok(Math.abs(log2Sixteenths(v) - 16 * Math.log2(v)) <= 1.3, `log2(${v}): ${log2Sixteenths(v)}`);
  }
  assert.equal([clampInteger(5, 0, 3), clampInteger(-5, 0, 3), clampInteger(2, 0, 3)], [3, 0, 2]);
});

/** Three shapes: all mass near the mean, no mass there, and the Laplacian. */
const shapes = new Int32Array(3 * SHAPE_ENTRIES);
shapes.set(laplacianShape(), 0);
shapes[SHAPE_ENTRIES] = SHAPE_HALF;
shapes.fill(SHAPE_HALF, 2 * SHAPE_ENTRIES);

test('every symbol has a frequency, they sum up to the total, and are those of the shape', () => {
  const distribution = new SymbolDistribution(shapes);
  for (let scale = 0; scale < SCALE_COUNT; scale += 5) {
    for (const mean of [0, 3, -3, 7, 8, -8, -9, 1000, -1000, 32768, -32768]) {
      for (let shape = 0; shape < 3; shape++) {
        distribution.set(scale, mean, shape);
        const centre = Math.floor(mean / MEAN_UNITS + 0.5);
        const reach = Math.min(1024, Math.max(2, Math.ceil(10 * powerOfEighths(scale - SCALE_ONE)) + 1));
        let sum = 0;
        for (let s = centre - reach; s <= centre + reach; s++) {
          const frequency = distribution.frequency(s);
          assert.ok(frequency >= 1, `scale ${scale}, mean ${mean}, shape ${shape}: ${s} has ${frequency}`);
          sum += frequency;
        }
        assert.is(sum, FREQUENCY_TOTAL);
      }
    }
  }
  // a Laplacian of scale 1 with mean 0.25
  distribution.set(SCALE_ONE, 4, 0);
  const below = (x: number) => (x < 0 ? 0.5 * Math.exp(x) : 1 - 0.5 * Math.exp(-x));
  for (let s = -4; s <= 4; s++) {
    const expected = below(s + 0.25) - below(s - 0.75);
    assert.ok(Math.abs(distribution.frequency(s) / FREQUENCY_TOTAL - expected) < 0.0006, `${s}`);
  }
});

test('a dead zone moves the borders of symbols away from 0, and changes nothing else', () => {
  const distribution = new SymbolDistribution(shapes);
  const below = (x: number) => (x < 0 ? 0.5 * Math.exp(x) : 1 - 0.5 * Math.exp(-x));
  for (const mean of [0, 5, -20]) {
    // The inner borders are 3/16 farther out, the others 7/16.
    distribution.set(SCALE_ONE, mean, 0, 3, 7);
    const border = (s: number): number => {
      const dead = s === 0 || s === 1 ? 3 / 16 : 7 / 16;
      return s - 0.5 + (s > 0 ? dead : -dead) - mean / MEAN_UNITS;
    };
    for (let s = -4; s <= 4; s++) {
      const expected = below(border(s + 1)) - below(border(s));
      assert.ok(Math.abs(distribution.frequency(s) / FREQUENCY_TOTAL - expected) < 0.0006, `${s} with mean ${mean}`);
    }
  }
  for (const [inner, outer] of [
    [MAX_DEAD_ZONE, 0],
    [0, MAX_DEAD_ZONE],
    [MAX_DEAD_ZONE, MAX_DEAD_ZONE],
    [-7, -8],
    [7, -8],
    [-7, MAX_DEAD_ZONE],
  ]) {
    assert.ok(bordersInOrder(inner, outer));
    for (let scale = 0; scale < SCALE_COUNT; scale += 7) {
      for (const mean of [0, 7, -9, 31]) {
        distribution.set(scale, mean, 2, inner, outer);
        const centre = Math.floor(mean / MEAN_UNITS + 0.5);
        const reach = Math.min(1024, Math.max(2, Math.ceil(10 * powerOfEighths(scale - SCALE_ONE)) + 1));
        let sum = 0;
        for (let s = centre - reach; s <= centre + reach; s++) {
          assert.ok(distribution.frequency(s) >= 1, `scale ${scale}, mean ${mean}: ${s}`);
          sum += distribution.frequency(s);
        }
        assert.is(sum, FREQUENCY_TOTAL);
      }
    }
  }
});

test('symbols of any size are decoded with every distribution', () => {
  const random = new CounterRandom(3);
  const drawn = Array.from({ length: 3000 }, () => {
    const mean = random.int(2) === 0 ? random.int(65537) - 32768 : random.int(65) - 32;
    const reach = 2 ** random.int(16);
    const symbol = clampInteger((mean >> 4) + random.int(2 * reach + 1) - reach, -32767, 32767);
    let dead = [0, 0] as [number, number];
    do dead = [random.int(24) - 8, random.int(24) - 8];
    while (!bordersInOrder(...dead));
    return { scale: random.int(SCALE_COUNT), mean, shape: random.int(3), dead, symbol };
  });
  const encoder = new RangeEncoder();
  const distribution = new SymbolDistribution(shapes);
  let bits = 0;
  for (const { scale, mean, shape, dead, symbol } of drawn) {
    distribution.set(scale, mean, shape, ...dead).encode(symbol, encoder);
    bits += distribution.bits(symbol);
  }
  const bytes = encoder.finish();
  // It is less than the frequencies predict: the outermost symbol gets the remainder of divisions, and is often drawn here.
  const ratio = bytes.length / (bits / 8);
  assert.ok(ratio > 0.99 && ratio < 1.001, `${bytes.length} bytes, ${bits / 8} expected`);
  const decoder = new RangeDecoder(bytes);
  for (const { scale, mean, shape, dead, symbol } of drawn) {
    assert.is(distribution.set(scale, mean, shape, ...dead).decode(decoder), symbol);
  }
  decoder.finish();
});

test('tables that are not valid shapes are refused', () => {
  assert.is(shapeProblem(laplacianShape()), null);
  assert.match(shapeProblem(new Int32Array(5))!, '5 entries');
  assert.match(shapeProblem(new Int32Array(SHAPE_ENTRIES))!, 'begins with 0');
  const rising = laplacianShape();
  rising[500] = SHAPE_HALF;
  assert.match(shapeProblem(rising)!, 'entry 500');
  rising[1] = Number.NaN;
  rising.fill(-1, 700);
  assert.match(shapeProblem(rising)!, 'entry');
});

test.run();
