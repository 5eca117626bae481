import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import { batchStatistics } from '../../src/ops/batch-norm/reference.js';
import { type OpAttrs, type OpName, outputShape, referenceOps } from '../../src/ops/registry.js';
import { type NdArray, ndarray } from '../../src/reference/ndarray.js';
import { close, gradientCases, opOf, uniform } from './reference-cases.js';

/** Convolution by its definition, including padding. */
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

/** Transposed convolution by its definition: every input pixel adds its filter, and the padding is cut off. */
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

test('gradients at kinks are those that the documentation of the operations states', () => {
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

test('matmul is right for known matrices, with either one transposed', () => {
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

test('reductions, reshape, pad, slice and concat are right for known arrays', () => {
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

test('pools are right for a known picture: padding is neither maximum nor counted, and the first of a tie gets the gradient', () => {
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

test('upsampling is right for known rows', () => {
  const row = ndarray([1, 1, 2, 1], [0, 1]);
  close(referenceOps.upsampleBilinear.forward([row], { size: [1, 4] }).data, [0, 0.25, 0.75, 1]);
  close(referenceOps.upsampleBilinear.forward([row], { size: [1, 3] }).data, [0, 0.5, 1]);
  const four = ndarray([1, 1, 4, 1], [0, 1, 2, 3]);
  close(referenceOps.upsampleBilinear.forward([four], { size: [1, 2] }).data, [0.5, 2.5]);
  const picture = ndarray([1, 2, 2, 1], [1, 2, 3, 4]);
  const nearest = referenceOps.upsampleNearest.forward([picture], { scale: [2, 3] });
  assert.equal(nearest.shape, [1, 4, 6, 1]);
  close(nearest.data, [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4]);
  // A picture that is linear in both directions stays linear away from the edges.
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

test('l2Normalize gives rows of length 1, and keeps a row of zeros', () => {
  const y = referenceOps.l2Normalize.forward([ndarray([2, 2], [3, 4, 0, 0])], { eps: 1e-12 });
  close(y.data, [0.6, 0.8, 0, 0]);
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
