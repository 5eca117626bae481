import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { quantizationNoise } from '../../src/common/random.js';
import { type OpAttrs, referenceOps } from '../../src/ops/registry.js';
import { gaussianWindow } from '../../src/reference/gaussian-window.js';
import { map, type NdArray, ndarray } from '../../src/reference/ndarray.js';
import { close, uniform } from './reference-cases.js';

test('cross-entropy is right for uniform and for known logits', () => {
  const uniformLogits = ndarray([2, 7], new Float64Array(14).fill(-3.5));
  close(referenceOps.softmaxCrossEntropy.forward([uniformLogits, ndarray([2], [0, 6])], {}).data, [Math.log(7)]);
  const logits = ndarray([1, 2], [Math.log(3), 0]);
  close(referenceOps.softmaxCrossEntropy.forward([logits, ndarray([1], [0])], {}).data, [Math.log(4 / 3)]);
  const far = ndarray([1, 2], [5000, -5000]);
  close(referenceOps.softmaxCrossEntropy.forward([far, ndarray([1], [1])], {}).data, [10000]);
});

test('labels that are not classes are refused', () => {
  const logits = uniform([1, 3]);
  for (const label of [3, -1, 0.5, Number.NaN]) {
    const labels = ndarray([1], [label]);
    const refused = (error: unknown): boolean => error instanceof ArgumentError && /label 0/.test(error.message);
    assert.throws(() => referenceOps.softmaxCrossEntropy.forward([logits, labels], {}), refused);
    assert.throws(
      () => referenceOps.cosFace.forward([logits, uniform([3, 3]), labels], { scale: 1, margin: 0 }),
      refused,
    );
  }
});

test('CosFace is cross-entropy of scaled cosines, with the margin on the target', () => {
  const [x, w, labels] = [uniform([3, 4]), uniform([5, 4]), ndarray([3], [2, 0, 4])];
  const cosine = (row: number, column: number): number => {
    let [dot, xx, ww] = [0, 0, 0];
    for (let d = 0; d < 4; d++) {
      const [a, b] = [x.data[row * 4 + d], w.data[column * 4 + d]];
      dot += a * b;
      xx += a * a;
      ww += b * b;
    }
    return dot / Math.sqrt(xx * ww);
  };
  for (const [s, m] of [
    [16, 0],
    [30, 0.4],
  ]) {
    const logits = Array.from({ length: 15 }, (_, i) => {
      const [row, column] = [Math.floor(i / 5), i % 5];
      return s * (cosine(row, column) - (labels.data[row] === column ? m : 0));
    });
    const expected = referenceOps.softmaxCrossEntropy.forward([ndarray([3, 5], logits), labels], {});
    close(referenceOps.cosFace.forward([x, w, labels], { scale: s, margin: m }).data, expected.data);
  }
});

test('mean squared error is right for known arrays', () => {
  close(referenceOps.mse.forward([ndarray([2, 2], [1, 2, 3, 4]), ndarray([2, 2], [1, 0, 3, 8])], {}).data, [5]);
});

/** SSIM by its definition, with a two-dimensional window at each position. */
function naiveSsim(a: NdArray, b: NdArray, { window, sigma, dataRange }: OpAttrs['ssim']): number {
  const [batch, h, w, channels] = a.shape;
  const half = (window - 1) / 2;
  let total = 0;
  let count = 0;
  for (let n = 0; n < batch; n++)
    for (let c = 0; c < channels; c++)
      for (let y = half; y < h - half; y++)
        for (let x = half; x < w - half; x++) {
          const samples: { weight: number; a: number; b: number }[] = [];
          for (let dy = -half; dy <= half; dy++)
            for (let dx = -half; dx <= half; dx++) {
              const at = ((n * h + y + dy) * w + x + dx) * channels + c;
              const weight = Math.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
              samples.push({ weight, a: a.data[at], b: b.data[at] });
            }
          const sum = samples.reduce((s, v) => s + v.weight, 0);
          const expect = (f: (v: { a: number; b: number }) => number): number =>
            samples.reduce((s, v) => s + (v.weight / sum) * f(v), 0);
          const [ma, mb] = [expect((v) => v.a), expect((v) => v.b)];
          const varA = expect((v) => (v.a - ma) ** 2);
          const varB = expect((v) => (v.b - mb) ** 2);
          const covariance = expect((v) => (v.a - ma) * (v.b - mb));
          const c1 = (0.01 * dataRange) ** 2;
          const c2 = (0.03 * dataRange) ** 2;
          total += ((2 * ma * mb + c1) * (2 * covariance + c2)) / ((ma * ma + mb * mb + c1) * (varA + varB + c2));
          count++;
        }
  return total / count;
}

test('SSIM is 1 for identical pictures, is symmetric, and agrees with its definition', () => {
  const attrs = { window: 5, sigma: 1.5, dataRange: 1 };
  const [a, b] = [uniform([2, 8, 7, 3], 0, 1), uniform([2, 8, 7, 3], 0, 1)];
  close(referenceOps.ssim.forward([a, a], attrs).data, [1]);
  close(referenceOps.ssim.forward([a, b], attrs).data, referenceOps.ssim.forward([b, a], attrs).data);
  close(referenceOps.ssim.forward([a, b], attrs).data, [naiveSsim(a, b, attrs)]);
  const near = map(a, (v, i) => v + 0.1 * (b.data[i] - 0.5));
  const wide = { window: 7, sigma: 1.2, dataRange: 2 };
  close(referenceOps.ssim.forward([a, near], wide).data, [naiveSsim(a, near, wide)]);
  close([gaussianWindow(11, 1.5).reduce((sum, v) => sum + v, 0)], [1]);
});

const QUANTIZE = { mode: 'hard', scale: 1, min: -4, max: 3, seed: 1, stream: 0 } as const;

test('quantize rounds half to even and clamps', () => {
  const x = ndarray([11], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49, -0.51, 2.51, 9, -9]);
  for (const mode of ['hard', 'straightThrough'] as const) {
    const y = referenceOps.quantize.forward([x], { ...QUANTIZE, mode });
    close(y.data, [-2, -2, 0, 0, 2, 2, 0, -1, 3, 3, -4]);
  }
  close(referenceOps.quantize.forward([ndarray([2], [0.3, -0.7])], { ...QUANTIZE, scale: 5 }).data, [2, -4]);
});

test('the gradient of quantize is dy·scale inside the range in straight-through mode, and 0 in hard mode', () => {
  const x = ndarray([6], [-9, -4.2, -1, 0, 3.2, 3.8]);
  const dy = ndarray([6], [1, 2, 3, 4, 5, 6]);
  const attrs = { ...QUANTIZE, mode: 'straightThrough' } as const;
  const y = referenceOps.quantize.forward([x], attrs);
  assert.equal(Array.from(referenceOps.quantize.backward([x], y, dy, attrs)[0]!.data), [0, 2, 3, 4, 5, 0]);
  const scaled = { ...attrs, scale: 0.5 };
  const half = referenceOps.quantize.forward([x], scaled);
  // −9 · 0.5 rounds to −4, which is inside the range; the rounded value decides.
  assert.equal(Array.from(referenceOps.quantize.backward([x], half, dy, scaled)[0]!.data), [0.5, 1, 1.5, 2, 2.5, 3]);
  assert.equal(referenceOps.quantize.backward([x], y, dy, QUANTIZE), [null]);
});

test('quantize adds the noise of its seed and stream', () => {
  const x = uniform([3, 4, 5], -1, 1);
  const attrs = { ...QUANTIZE, mode: 'noise', scale: 2, seed: 77, stream: 9 } as const;
  const y = referenceOps.quantize.forward([x], attrs);
  const noise = y.data.map((v, i) => v - 2 * x.data[i]);
  close(
    noise,
    noise.map((_, i) => quantizationNoise(77, 9, i)),
  );
  assert.ok(noise.every((u) => u >= -0.5 && u < 0.5));
  const other = referenceOps.quantize.forward([x], { ...attrs, stream: 10 });
  assert.ok(other.data.every((v, i) => v !== y.data[i]));
});

test('masses of logisticBits sum to 1, tails keep their precision, and bits are at most 40', () => {
  const integers = Float64Array.from({ length: 161 }, (_, i) => i - 80);
  for (const logScale of [-1, 0, 1.3]) {
    const bits = referenceOps.logisticBits.forward([ndarray([161, 1], integers), ndarray([1], [logScale])], {});
    close([bits.data.reduce((sum, v) => sum + 2 ** -v, 0)], [1], 1e-9);
  }
  const at = (y: number, logScale: number): number =>
    referenceOps.logisticBits.forward([ndarray([1], [y]), ndarray([1], [logScale])], {}).data[0];
  const cdf = (x: number): number => 1 / (1 + Math.exp(-x));
  close([at(0, 0)], [-Math.log2(cdf(0.5) - cdf(-0.5))]);
  close([at(1.3, Math.log(0.8))], [-Math.log2(cdf(1.8 / 0.8) - cdf(0.8 / 0.8))]);
  // Far from 0 the mass is e^−(y − ½) − e^−(y + ½), with a relative error of e^−y.
  close([at(25, 0), at(-25, 0)], new Array(2).fill((24.5 - Math.log(1 - Math.exp(-1))) / Math.LN2), 1e-10);
  // A wide distribution has the density 1 / (4 s) in the middle.
  close([at(3, 18)], [(Math.log(4) + 18) / Math.LN2], 1e-12);
  assert.is(at(29, 0), 40);
  assert.is(at(1e6, -3), 40);
  close([at(0, -9)], [0]);
});

test.run();
