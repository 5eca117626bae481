import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { resampleRgb } from '../../src/evaluation/codecs/resample.js';
import { pictureSsim, psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { referenceOps } from '../../src/ops/registry.js';

/** A smooth picture, and the same picture with noise of the given strength. */
function pair(seed: number, width: number, height: number, channels: number, strength: number) {
  const random = new CounterRandom(seed);
  const a = new Uint8Array(width * height * channels);
  const b = new Uint8Array(a.length);
  for (let i = 0; i < a.length; i++) {
    const [c, x, y] = [i % channels, Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    a[i] = 128 + 90 * Math.sin(x / 5 + c) * Math.cos(y / 7 - c);
    b[i] = Math.max(0, Math.min(255, a[i] + strength * random.normal()));
  }
  return { a, b };
}

test('psnr gives known values', () => {
  const a = Uint8Array.of(10, 20, 30, 255);
  assert.is(psnr(a, a), Number.POSITIVE_INFINITY);
  assert.is(psnr(Uint8Array.of(0, 0), Uint8Array.of(255, 255)), 0);
  // The mean squared error is (0 + 4 + 0 + 9) / 4.
  assert.is(psnr(a, Uint8Array.of(10, 22, 30, 252)), 10 * Math.log10(255 ** 2 / 3.25));
  assert.ok(Math.abs(psnr(Uint8Array.of(0), Uint8Array.of(1), 1)) < 1e-12);
  assert.ok(Math.abs(psnr(new Uint8Array(99), new Uint8Array(99).fill(1)) - 48.1308) < 1e-4);
});

/** SSIM by its definition: every window separately, in two dimensions, with moments about the mean. */
function plainSsim(a: Uint8Array, b: Uint8Array, width: number, height: number, channels: number): number {
  const gauss = (i: number): number => Math.exp(-((i - 5) ** 2) / (2 * 1.5 * 1.5));
  let norm = 0;
  for (let i = 0; i < 121; i++) norm += gauss(i % 11) * gauss(Math.floor(i / 11));
  let sum = 0;
  let windows = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y + 11 <= height; y++) {
      for (let x = 0; x + 11 <= width; x++) {
        const taps = Array.from({ length: 121 }, (_, i) => {
          const at = ((y + Math.floor(i / 11)) * width + x + (i % 11)) * channels + c;
          return { weight: (gauss(i % 11) * gauss(Math.floor(i / 11))) / norm, a: a[at], b: b[at] };
        });
        const mean = (of: (t: { a: number; b: number }) => number): number =>
          taps.reduce((total, tap) => total + tap.weight * of(tap), 0);
        const [ma, mb] = [mean((t) => t.a), mean((t) => t.b)];
        const va = mean((t) => (t.a - ma) ** 2);
        const vb = mean((t) => (t.b - mb) ** 2);
        const cov = mean((t) => (t.a - ma) * (t.b - mb));
        const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
        sum += ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma ** 2 + mb ** 2 + c1) * (va + vb + c2));
        windows++;
      }
    }
  }
  return sum / windows;
}

test('ssim agrees with window-by-window computation and with the reference of the operation', () => {
  for (const [seed, width, height, channels, strength] of [
    [1, 11, 11, 1, 20],
    [2, 17, 13, 3, 5],
    [3, 12, 23, 2, 60],
    [4, 24, 28, 3, 15],
  ]) {
    const { a, b } = pair(seed, width, height, channels, strength);
    const got = pictureSsim(a, b, width, height, channels);
    assert.ok(Math.abs(got - plainSsim(a, b, width, height, channels)) < 1e-9);
    const array = (bytes: Uint8Array) => ({ shape: [1, height, width, channels], data: Float64Array.from(bytes) });
    const reference = referenceOps.ssim.forward([array(a), array(b)], { window: 11, sigma: 1.5, dataRange: 255 });
    assert.ok(Math.abs(got - reference.data[0]) < 1e-9);
  }
});

test('ssim is 1 for equal pictures, falls with noise, and can be negative', () => {
  const { a } = pair(5, 96, 112, 3, 0);
  assert.ok(Math.abs(pictureSsim(a, a, 96, 112, 3) - 1) < 1e-12);
  const values = [2, 8, 30, 100].map((strength) => pictureSsim(a, pair(5, 96, 112, 3, strength).b, 96, 112, 3));
  assert.ok(values.every((value, i) => value < (values[i - 1] ?? 1)));
  const stripes = Uint8Array.from({ length: 400 }, (_, i) => (i % 2) * 255);
  const opposite = stripes.map((v) => 255 - v);
  assert.ok(pictureSsim(stripes, opposite, 20, 20, 1) < -0.9);
});

test('errors of the metrics name the argument that does not fit', () => {
  const refuses = (run: () => unknown, message: RegExp): void => {
    assert.throws(run, (error: unknown) => error instanceof ShapeError && message.test(error.message));
  };
  refuses(() => psnr(new Uint8Array(3), new Uint8Array(4)), /3 and 4 samples/);
  refuses(() => psnr(new Uint8Array(0), new Uint8Array(0)), /0 and 0 samples/);
  refuses(() => pictureSsim(new Uint8Array(363), new Uint8Array(363), 11, 11, 1), /expected 11·11·1 = 121/);
  refuses(() => pictureSsim(new Uint8Array(110), new Uint8Array(110), 11, 10, 1), /11×10; expected 11×11 at least/);
});

test('resampling keeps positions: a ramp stays the ramp, and a round trip over half the size loses little', () => {
  const ramp = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => 20 + 4 * (Math.floor(i / 3) % 40));
  const large = resampleRgb(ramp, 40, 30, 80, 60);
  for (let x = 12; x < 68; x++) {
    const expected = 20 + 4 * ((x + 0.5) / 2 - 0.5);
    assert.ok(Math.abs(large[(30 * 80 + x) * 3 + 1] - expected) <= 1.5, `column ${x}`);
  }
  const flat = new Uint8Array(10 * 8 * 3).fill(77);
  assert.equal(resampleRgb(flat, 10, 8, 23, 5), new Uint8Array(23 * 5 * 3).fill(77));
  const { a } = pair(6, 96, 112, 3, 0);
  const back = resampleRgb(resampleRgb(a, 96, 112, 48, 56), 48, 56, 96, 112);
  assert.ok(psnr(a, back) > 40);
});

test.run();
