import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../src/common/errors.js';
import type { OpAttrs, OpName } from '../src/common/op-attrs.js';
import { outputShape } from '../src/common/op-shapes.js';
import { quantizationNoise } from '../src/common/random.js';
import { batchStatistics, map, type NdArray, ndarray, type ReferenceOp, referenceOps } from '../src/reference/index.js';
import { gaussianWindow } from '../src/reference/ssim.js';
import { type GradientCase, gradientCases, uniform } from './reference-cases.js';

const TOLERANCE = 1e-6;
const STEP = 1e-5;

/** Inputs that have no gradient: labels and running statistics. */
const WITHOUT_GRADIENT: { [K in OpName]?: number[] } = {
  softmaxCrossEntropy: [1],
  cosFace: [2],
  marginLoss: [2],
  batchNormInference: [3, 4],
  batchNormPreluInference: [3, 4],
};

function opOf(op: OpName): ReferenceOp<unknown> {
  return referenceOps[op] as ReferenceOp<unknown>;
}

function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((max, v) => Math.max(max, Math.abs(v)), 0);
}

/** d(Σ dy·forward) / d(each element of one input), by central differences. */
function numericGradient(op: ReferenceOp<unknown>, c: GradientCase, input: number, dy: NdArray): Float64Array {
  const x = c.inputs[input];
  return x.data.map((value, i) => {
    const at = (moved: number): Float64Array => {
      const inputs = c.inputs.map((a, j) => (j === input ? map(a, (v, k) => (k === i ? moved : v)) : a));
      return op.forward(inputs, c.attrs).data;
    };
    const [high, low] = [value + STEP, value - STEP];
    const [above, below] = [at(high), at(low)];
    // Differences first: the outputs that the element does not reach then add no rounding error.
    return above.reduce((sum, v, k) => sum + dy.data[k] * (v - below[k]), 0) / (high - low);
  });
}

/** The largest difference between backward and finite differences, relative to the largest gradient of each input. */
function gradientError(op: ReferenceOp<unknown>, c: GradientCase): number {
  const output = op.forward(c.inputs, c.attrs);
  const dy = uniform(output.shape, 0.5, 1.5);
  const gradients = op.backward(c.inputs, output, dy, c.attrs);
  assert.is(gradients.length, c.inputs.length);
  let worst = 0;
  gradients.forEach((gradient, input) => {
    assert.is(gradient === null, WITHOUT_GRADIENT[c.op]?.includes(input) ?? false, `input ${input}: null or not`);
    if (!gradient) return;
    assert.equal(gradient.shape, c.inputs[input].shape);
    const numeric = numericGradient(op, c, input, dy);
    const scale = largest(numeric);
    assert.ok(scale > 1e-6, `input ${input}: the gradient of this case is zero everywhere`);
    worst = Math.max(worst, largest(gradient.data.map((v, i) => v - numeric[i])) / scale);
  });
  return worst;
}

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-12): void {
  assert.is(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const bound = tolerance * Math.max(1, Math.abs(expected[i]));
    assert.ok(error <= bound, `element ${i}: ${actual[i]}, expected ${expected[i]}`);
  }
}

for (const c of gradientCases) {
  test(`gradient of ${c.op}: ${c.name}`, () => {
    const op = opOf(c.op);
    const shapes = c.inputs.map((x) => x.shape);
    assert.equal(op.forward(c.inputs, c.attrs).shape, outputShape(c.op, shapes, c.attrs));
    const error = gradientError(op, c);
    assert.ok(error <= TOLERANCE, `relative error ${error}`);
  });
}

test('every operation has a gradient case', () => {
  const covered = new Set(gradientCases.map((c) => c.op));
  assert.equal(
    (Object.keys(referenceOps) as OpName[]).filter((op) => !covered.has(op)),
    [],
  );
});

test('the gradient check notices an error of 1e-5', () => {
  for (const name of ['conv2d', 'batchNormTraining', 'batchNormPreluTraining', 'ssim', 'cosFace'] as const) {
    const right = opOf(name);
    const wrong: ReferenceOp<unknown> = {
      forward: right.forward,
      backward: (...args) => right.backward(...args).map((g) => g && map(g, (v) => v * (1 + 1e-5))),
    };
    const c = gradientCases.find(({ op }) => op === name)!;
    assert.ok(gradientError(wrong, c) > TOLERANCE, name);
  }
});

test('gradients are linear in dy', () => {
  for (const c of gradientCases) {
    const op = opOf(c.op);
    const output = op.forward(c.inputs, c.attrs);
    const dy = uniform(output.shape);
    const once = op.backward(c.inputs, output, dy, c.attrs);
    const thrice = op.backward(
      c.inputs,
      output,
      map(dy, (v) => -3 * v),
      c.attrs,
    );
    once.forEach((gradient, i) => {
      if (gradient) {
        close(
          thrice[i]!.data,
          gradient.data.map((v) => -3 * v),
        );
      }
    });
  }
});

/** Convolution straight from its definition, padding and all. */
function naiveConv([x, w, bias]: NdArray[], attrs: OpAttrs['conv2d']): Float64Array {
  const [batch, ho, wo, outputs] = outputShape('conv2d', [x.shape, w.shape], attrs);
  const [, h, width, inputs] = x.shape;
  const [kh, kw, groupInputs] = w.shape;
  const out: number[] = [];
  for (let n = 0; n < batch; n++)
    for (let oy = 0; oy < ho; oy++)
      for (let ox = 0; ox < wo; ox++)
        for (let co = 0; co < outputs; co++) {
          const group = Math.floor(co / (outputs / attrs.groups));
          let sum = bias ? bias.data[co] : 0;
          for (let ky = 0; ky < kh; ky++)
            for (let kx = 0; kx < kw; kx++)
              for (let ci = 0; ci < groupInputs; ci++) {
                const y = oy * attrs.stride[0] + ky * attrs.dilation[0] - attrs.padding[0];
                const column = ox * attrs.stride[1] + kx * attrs.dilation[1] - attrs.padding[2];
                const inside = y >= 0 && y < h && column >= 0 && column < width;
                const value = inside ? x.data[((n * h + y) * width + column) * inputs + group * groupInputs + ci] : 0;
                sum += value * w.data[((ky * kw + kx) * groupInputs + ci) * outputs + co];
              }
          out.push(sum);
        }
  return Float64Array.from(out);
}

/** Transposed convolution straight from its definition: every input pixel adds its kernel, and the padding is cut off. */
function naiveDeconv([x, w, bias]: NdArray[], attrs: OpAttrs['convTranspose2d']): Float64Array {
  const [batch, ho, wo, outputs] = outputShape('convTranspose2d', [x.shape, w.shape], attrs);
  const [, h, width, inputs] = x.shape;
  const [kh, kw, groupOutputs] = w.shape;
  const out = new Float64Array(batch * ho * wo * outputs).map((_, i) => (bias ? bias.data[i % outputs] : 0));
  for (let n = 0; n < batch; n++)
    for (let y = 0; y < h; y++)
      for (let column = 0; column < width; column++)
        for (let ci = 0; ci < inputs; ci++)
          for (let ky = 0; ky < kh; ky++)
            for (let kx = 0; kx < kw; kx++)
              for (let k = 0; k < groupOutputs; k++) {
                const co = Math.floor(ci / (inputs / attrs.groups)) * groupOutputs + k;
                const oy = y * attrs.stride[0] + ky * attrs.dilation[0] - attrs.padding[0];
                const ox = column * attrs.stride[1] + kx * attrs.dilation[1] - attrs.padding[2];
                if (oy < 0 || oy >= ho || ox < 0 || ox >= wo) continue;
                out[((n * ho + oy) * wo + ox) * outputs + co] +=
                  x.data[((n * h + y) * width + column) * inputs + ci] *
                  w.data[((ky * kw + kx) * groupOutputs + k) * inputs + ci];
              }
  return out;
}

test('convolutions agree with their definitions', () => {
  for (const c of gradientCases) {
    const actual = opOf(c.op).forward(c.inputs, c.attrs).data;
    if (c.op === 'conv2d') close(actual, naiveConv(c.inputs, c.attrs as OpAttrs['conv2d']));
    if (c.op === 'convTranspose2d') close(actual, naiveDeconv(c.inputs, c.attrs as OpAttrs['convTranspose2d']));
  }
});

test('a transposed convolution is the adjoint of the convolution with the same weights', () => {
  const attrs = { stride: [2, 3], padding: [1, 0, 2, 1], dilation: [1, 2], groups: 2, outputPadding: [0, 1] } as const;
  const [x, w] = [uniform([2, 4, 3, 6]), uniform([3, 2, 2, 6])];
  const y = referenceOps.convTranspose2d.forward([x, w], attrs);
  const probe = uniform(y.shape);
  const forward = referenceOps.conv2d.forward([probe, w], attrs);
  assert.equal(forward.shape, x.shape);
  const dot = (a: NdArray, b: NdArray): number => a.data.reduce((sum, v, i) => sum + v * b.data[i], 0);
  close([dot(y, probe)], [dot(x, forward)]);
});

test('batch norm in training standardises each channel', () => {
  const x = uniform([3, 4, 5, 2], 3, 9);
  const y = referenceOps.batchNormTraining.forward([x, ndarray([2], [2, -0.5]), ndarray([2], [7, -1])], { eps: 1e-14 });
  const { mean, variance } = batchStatistics(y);
  close(mean.data, [7, -1], 1e-10);
  close(variance.data, [4, 0.25], 1e-10);
  const known = batchStatistics(ndarray([4, 1], [1, 2, 3, 6]));
  close(known.mean.data, [3]);
  close(known.variance.data, [3.5]);
  const statistics = batchStatistics(x);
  const inference = referenceOps.batchNormInference.forward(
    [x, ndarray([2], [2, -0.5]), ndarray([2], [7, -1]), statistics.mean, statistics.variance],
    { eps: 1e-14 },
  );
  close(inference.data, y.data);
});

test('elementwise operations have their known values', () => {
  const x = ndarray([5], [-2, -0.5, 0, 0.5, 2]);
  const of = <K extends OpName>(op: K, attrs: OpAttrs[K], ...more: NdArray[]): Float64Array =>
    opOf(op).forward([x, ...more], attrs).data;
  close(of('exp', {}), [Math.E ** -2, Math.E ** -0.5, 1, Math.E ** 0.5, Math.E ** 2]);
  close(of('abs', {}), [2, 0.5, 0, 0.5, 2]);
  close(of('square', {}), [4, 0.25, 0, 0.25, 4]);
  close(of('sigmoid', {}), [0.11920292202211755, 0.3775406687981454, 0.5, 0.6224593312018546, 0.8807970779778823]);
  close(of('clamp', { min: -1, max: 0.5 }), [-1, -0.5, 0, 0.5, 0.5]);
  close(of('affine', { scale: 3, offset: -1 }), [-7, -2.5, -1, 0.5, 5]);
  close(of('prelu', {}, ndarray([1], [0.25])), [-0.5, -0.125, 0, 0.5, 2]);
  close(of('prelu', {}, ndarray([5], [1, 2, 3, 4, 5])), [-2, -1, 0, 0.5, 2]);
  close(referenceOps.log.forward([ndarray([2], [1, 8])], {}).data, [0, 2.0794415416798357]);
  close(referenceOps.sqrt.forward([ndarray([2], [0, 2])], {}).data, [0, Math.SQRT2]);
  const extreme = referenceOps.sigmoid.forward([ndarray([2], [-2000, 2000])], {});
  assert.equal(Array.from(extreme.data), [0, 1]);
});

test('binary operations broadcast', () => {
  const a = ndarray([2, 1, 3], [1, 2, 3, 4, 5, 6]);
  const b = ndarray([2, 1], [10, 20]);
  const sums = referenceOps.add.forward([a, b], {});
  assert.equal(sums.shape, [2, 2, 3]);
  close(sums.data, [11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26]);
  close(referenceOps.sub.forward([a, b], {}).data, [-9, -8, -7, -19, -18, -17, -6, -5, -4, -16, -15, -14]);
  close(referenceOps.mul.forward([b, ndarray([], [3])], {}).data, [30, 60]);
  close(referenceOps.div.forward([ndarray([1], [1]), b], {}).data, [0.1, 0.05]);
});

test('gradients at kinks are as the table of operations states', () => {
  const one = (op: OpName, x: number, attrs: unknown): number => {
    const input = ndarray([1], [x]);
    return opOf(op).backward([input], opOf(op).forward([input], attrs), ndarray([1], [1]), attrs)[0]!.data[0];
  };
  assert.is(one('clamp', 0.5, { min: -1, max: 0.5 }), 1);
  assert.is(one('clamp', -1, { min: -1, max: 0.5 }), 1);
  assert.is(one('clamp', 0.75, { min: -1, max: 0.5 }), 0);
  const inputs = [ndarray([1], [0]), ndarray([1], [0.25])];
  const gradients = referenceOps.prelu.backward(inputs, ndarray([1], [0]), ndarray([1], [1]), {});
  assert.is(gradients[0]!.data[0], 0.25);
});

test('matmul of known matrices, with either transposed', () => {
  const a = ndarray([2, 3], [1, 2, 3, 4, 5, 6]);
  const at = ndarray([3, 2], [1, 4, 2, 5, 3, 6]);
  const b = ndarray([3, 2], [7, 8, 9, 10, 11, 12]);
  const bt = ndarray([2, 3], [7, 9, 11, 8, 10, 12]);
  for (const [transposeA, transposeB] of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ]) {
    const y = referenceOps.matmul.forward([transposeA ? at : a, transposeB ? bt : b], { transposeA, transposeB });
    close(y.data, [58, 64, 139, 154]);
  }
});

test('reductions, reshape, pad, slice and concat of known arrays', () => {
  const x = ndarray([2, 3], [1, 2, 3, 4, 5, 6]);
  const reduce = (axes: number[], keepDims = false) => referenceOps.sum.forward([x], { axes, keepDims });
  close(reduce([]).data, [21]);
  assert.equal(reduce([]).shape, []);
  close(reduce([0]).data, [5, 7, 9]);
  close(reduce([-1]).data, [6, 15]);
  assert.equal(reduce([1], true).shape, [2, 1]);
  close(referenceOps.mean.forward([x], { axes: [1], keepDims: false }).data, [2, 5]);
  close(referenceOps.mean.forward([x], { axes: [], keepDims: true }).data, [3.5]);
  close(referenceOps.reshape.forward([x], { shape: [3, 2] }).data, [1, 2, 3, 4, 5, 6]);
  const padded = referenceOps.pad.forward([x], { before: [1, 0], after: [0, 2], value: 9 });
  assert.equal(padded.shape, [3, 5]);
  close(padded.data, [9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 4, 5, 6, 9, 9]);
  close(referenceOps.slice.forward([x], { begin: [0, 1], size: [2, 2] }).data, [2, 3, 5, 6]);
  const wide = referenceOps.concat.forward([x, ndarray([2, 1], [7, 8])], { axis: 1 });
  close(wide.data, [1, 2, 3, 7, 4, 5, 6, 8]);
  close(referenceOps.concat.forward([x, ndarray([1, 3], [7, 8, 9])], { axis: 0 }).data, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('pools of a known picture: padding neither wins nor counts, the first of a tie gets the gradient', () => {
  const x = ndarray([1, 3, 3, 1], [-1, -2, -3, -4, -5, -6, -7, -8, -9]);
  const attrs = { kernel: [2, 2], stride: [2, 2], padding: [1, 0, 1, 0] } as const;
  close(referenceOps.maxPool2d.forward([x], attrs).data, [-1, -2, -4, -5]);
  close(referenceOps.avgPool2d.forward([x], attrs).data, [-1, -2.5, -5.5, -7]);
  const flat = ndarray([1, 2, 2, 1], [3, 3, 3, 3]);
  const window = { kernel: [2, 2], stride: [1, 1], padding: [0, 0, 0, 0] } as const;
  const y = referenceOps.maxPool2d.forward([flat], window);
  const [dx] = referenceOps.maxPool2d.backward([flat], y, ndarray([1, 1, 1, 1], [5]), window);
  assert.equal(Array.from(dx!.data), [5, 0, 0, 0]);
});

test('upsampling of known rows', () => {
  const row = ndarray([1, 1, 2, 1], [0, 1]);
  close(referenceOps.upsampleBilinear.forward([row], { size: [1, 4] }).data, [0, 0.25, 0.75, 1]);
  close(referenceOps.upsampleBilinear.forward([row], { size: [1, 3] }).data, [0, 0.5, 1]);
  const four = ndarray([1, 1, 4, 1], [0, 1, 2, 3]);
  close(referenceOps.upsampleBilinear.forward([four], { size: [1, 2] }).data, [0.5, 2.5]);
  const picture = ndarray([1, 2, 2, 1], [1, 2, 3, 4]);
  const nearest = referenceOps.upsampleNearest.forward([picture], { scale: [2, 3] });
  assert.equal(nearest.shape, [1, 4, 6, 1]);
  close(nearest.data, [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4]);
  // A bilinear picture that is linear in both directions stays linear away from the edges.
  const plane = ndarray(
    [1, 4, 5, 1],
    Array.from({ length: 20 }, (_, i) => 2 * Math.floor(i / 5) - (i % 5)),
  );
  const up = referenceOps.upsampleBilinear.forward([plane], { size: [8, 10] });
  for (let y = 1; y < 7; y++) {
    for (let x = 1; x < 9; x++) {
      const expected = 2 * ((y + 0.5) / 2 - 0.5) - ((x + 0.5) / 2 - 0.5);
      close([up.data[y * 10 + x]], [expected]);
    }
  }
});

test('l2Normalize gives unit rows, and keeps a zero row at zero', () => {
  const y = referenceOps.l2Normalize.forward([ndarray([2, 2], [3, 4, 0, 0])], { eps: 1e-12 });
  close(y.data, [0.6, 0.8, 0, 0]);
});

test('cross-entropy of uniform and of known logits', () => {
  const uniformLogits = ndarray([2, 7], new Float64Array(14).fill(-3.5));
  close(referenceOps.softmaxCrossEntropy.forward([uniformLogits, ndarray([2], [0, 6])], {}).data, [Math.log(7)]);
  const logits = ndarray([1, 2], [Math.log(3), 0]);
  close(referenceOps.softmaxCrossEntropy.forward([logits, ndarray([1], [0])], {}).data, [Math.log(4 / 3)]);
  const far = ndarray([1, 2], [5000, -5000]);
  close(referenceOps.softmaxCrossEntropy.forward([far, ndarray([1], [1])], {}).data, [10000]);
});

test('labels that are no class are refused', () => {
  const logits = uniform([1, 3]);
  for (const label of [3, -1, 0.5, Number.NaN]) {
    const labels = ndarray([1], [label]);
    const refused = (error: unknown): boolean => error instanceof ArgumentError && /label 0/.test(error.message);
    assert.throws(() => referenceOps.softmaxCrossEntropy.forward([logits, labels], {}), refused);
    assert.throws(() => referenceOps.cosFace.forward([logits, uniform([3, 3]), labels], { s: 1, m: 0 }), refused);
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
    close(referenceOps.cosFace.forward([x, w, labels], { s, m }).data, expected.data);
  }
});

test('mean squared error of known arrays', () => {
  close(referenceOps.mse.forward([ndarray([2, 2], [1, 2, 3, 4]), ndarray([2, 2], [1, 0, 3, 8])], {}).data, [5]);
});

/** SSIM straight from its definition, with a two-dimensional window at each position. */
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

test('SSIM: 1 for identical pictures, symmetric, and as its definition says', () => {
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

test('quantize: straight-through passes dy·scale inside the range, hard passes nothing', () => {
  const x = ndarray([6], [-9, -4.2, -1, 0, 3.2, 3.8]);
  const dy = ndarray([6], [1, 2, 3, 4, 5, 6]);
  const attrs = { ...QUANTIZE, mode: 'straightThrough' } as const;
  const y = referenceOps.quantize.forward([x], attrs);
  assert.equal(Array.from(referenceOps.quantize.backward([x], y, dy, attrs)[0]!.data), [0, 2, 3, 4, 5, 0]);
  const scaled = { ...attrs, scale: 0.5 };
  const half = referenceOps.quantize.forward([x], scaled);
  // −9 · 0.5 rounds to −4, which is inside: what counts is the rounded value.
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

test('logisticBits: masses sum to 1, tails keep their precision, the floor is 40 bits', () => {
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
  // Far out the mass is e^−(y − ½) − e^−(y + ½), up to relative e^−y.
  close([at(25, 0), at(-25, 0)], new Array(2).fill((24.5 - Math.log(1 - Math.exp(-1))) / Math.LN2), 1e-10);
  // A wide distribution has density 1 / (4 s) in its middle.
  close([at(3, 18)], [(Math.log(4) + 18) / Math.LN2], 1e-12);
  assert.is(at(29, 0), 40);
  assert.is(at(1e6, -3), 40);
  close([at(0, -9)], [0]);
});

test('inputs and dy of wrong shapes are refused', () => {
  const x = uniform([1, 3, 3, 2]);
  assert.throws(
    () => referenceOps.conv2d.forward([x, uniform([3, 3, 4, 1])], { ...(gradientCases[0].attrs as OpAttrs['conv2d']) }),
    (error: unknown) => error instanceof ShapeError && /conv2d: weights \[3,3,4,1\]/.test(error.message),
  );
  assert.throws(
    () => referenceOps.exp.backward([x], x, uniform([3]), {}),
    (error: unknown) => error instanceof ShapeError && /exp: dy has shape \[3\]/.test(error.message),
  );
  assert.throws(
    () => ndarray([2, 3], [1]),
    (error: unknown) => error instanceof ShapeError && /1 values/.test(error.message),
  );
});

test.run();
