import * as assert from 'uvu/assert';
import { exportOnnx } from '../../../src/onnx/export/export.js';
import { argmax, argmin } from '../../../src/ops/argmax.js';
import { add, div, maximum, mod, mul, sub } from '../../../src/ops/binary.js';
import {
  cast,
  equal,
  greater,
  greaterEqual,
  isInf,
  isNan,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  where,
} from '../../../src/ops/compare.js';
import { conv2d } from '../../../src/ops/conv/conv.js';
import { max, min, prod } from '../../../src/ops/fold.js';
import {
  embedding,
  gather,
  gatherElements,
  gatherND,
  oneHot,
  scatterElements,
  scatterND,
} from '../../../src/ops/indexing/indexing.js';
import { concat, pad, reshape, slice } from '../../../src/ops/layout.js';
import { matmul } from '../../../src/ops/matmul/matmul.js';
import { avgPool, avgPool2d, maxPool, maxPool2d } from '../../../src/ops/pool/pool.js';
import { depthToSpace, split, tile } from '../../../src/ops/rearrange.js';
import { logSumExp, norm, variance } from '../../../src/ops/reductions.js';
import { resize } from '../../../src/ops/resize.js';
import { cumsum } from '../../../src/ops/scan.js';
import { groupNorm, instanceNorm, layerNorm, rmsNorm } from '../../../src/ops/standardize.js';
import { expand, flip, stridedSlice } from '../../../src/ops/strided.js';
import { topK } from '../../../src/ops/top-k.js';
import { tril, triu } from '../../../src/ops/triangle.js';
import * as unary from '../../../src/ops/unary.js';
import { type AnyTensor, scope, Tensor } from '../../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../../helpers/harness.js';
import { runOnnx } from './onnxruntime.js';

const test = gpuSuite('operations in onnxruntime');

type Body = (x: Tensor, constants: { row: Tensor; image: Tensor; picks: Tensor<'int32'>; kernel: Tensor }) => AnyTensor;

/** Compares each function of x with onnxruntime. */
async function check(shape: readonly number[], bodies: Record<string, Body>, opset = 18): Promise<void> {
  const gpu = await testGpu();
  const values = randomValues(
    shape.reduce((a, b) => a * b),
    4,
  );
  const x = Tensor.from(gpu, values, shape);
  const last = shape[shape.length - 1];
  const constants = {
    row: Tensor.from(gpu, randomValues(last, 5), [last]),
    image: Tensor.from(gpu, randomValues(last * last, 6), [last, last]),
    picks: Tensor.from(gpu, [1, 0, 1], [3], 'int32'),
    kernel: Tensor.from(gpu, randomValues(9 * last * 2, 7), [3, 3, last, 2]),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const model = await exportOnnx((input: Tensor) => body(input, constants), x, { opset });
    const y = scope(gpu, () => body(x, constants));
    const expected = Array.from(await y.read());
    const { output } = await runOnnx(model, { input: { shape, data: values } });
    assert.equal([...output.shape], [...y.shape], name);
    const [wanted, found] = [expected.map(Number), Array.from(output.data)];
    const largest = wanted.reduce((a, b) => Math.max(a, Number.isFinite(b) ? Math.abs(b) : 0), 1e-6);
    const wrong = wanted.findIndex(
      (value, k) => !(Object.is(value, found[k]) || Math.abs(value - found[k]) <= 1e-5 * largest),
    );
    assert.is(wrong, -1, `${name}: element ${wrong} is ${found[wrong]}, not ${wanted[wrong]}`);
    y.dispose();
  }
  for (const tensor of [x, ...Object.values(constants)]) tensor.dispose();
}

test('comparisons, masks and integers', async () => {
  await check([2, 5], {
    compared: (x, { row }) =>
      concat(
        [less(x, row), lessEqual(x, 0.2), greater(0, x), greaterEqual(row, x), equal(x, x)].map((m) =>
          cast(m, 'float32'),
        ),
        0,
      ),
    masks: (x) => {
      const [a, b] = [greater(x, 0), less(x, 0.5)];
      return logicalXor(logicalAnd(a, logicalNot(b)), logicalOr(a, b));
    },
    odd: (x) => logicalOr(isNan(unary.sqrt(x)), isInf(div(1, unary.relu(x)))),
    chosen: (x, { row }) =>
      concat([where(greater(x, 0), x, 1), where(less(x, row), 2, x), where(less(x, 0), row, x)], 1),
    numbers: (x) => add(sub(1, mul(x, 2)), maximum(div(3, add(unary.square(x), 1)), x)),
    integers: (x) => {
      const i = cast(mul(x, 10), 'int32');
      return concat([mod(i, 3), div(i, 4), mul(i, i), cast(greater(i, 2), 'int32')], 1);
    },
    rest: (x) => concat([mod(x, 0.7), mod(x, -0.7), mod(mul(x, 1e9), 3)], 1),
    inverse: (x) => {
      const inside = unary.tanh(x);
      const all = [unary.tan, unary.asin, unary.acos, unary.atan, unary.sinh, unary.cosh, unary.asinh, unary.atanh];
      return concat([...all.map((f) => f(inside)), unary.acosh(add(unary.square(x), 1.5))], 1);
    },
  });
});

test('folds, scans and norms', async () => {
  await check([2, 3, 4], {
    folds: (x) =>
      concat([max(x, [1]), min(x, [1]), prod(x, [-2]), norm(x, { axes: [1] }), logSumExp(x, [1]), variance(x, [1])], 1),
    any: (x) => max(greater(x, 0.5), [2]),
    places: (x) => concat([argmax(x, 1), argmin(x, 1, { last: true })], 1),
    kept: (x) => argmax(x, -1, { keepDims: true }),
    scans: (x) => concat([cumsum(x, 1), cumsum(x, -1, { exclusive: true, reverse: true })], 0),
    layer: (x, { row }) => layerNorm(x, row, row),
    rms: (x, { row }) => rmsNorm(x, row, { epsilon: 1e-3 }),
    top: (x) => topK(x, 2, { axis: 1, largest: false }).values,
  });
});

test('slices, picks and products', async () => {
  await check([2, 3, 4], {
    stepped: (x) => stridedSlice(x, [0, 2, 3], [2, null, 0], [1, -2, -1]),
    flipped: (x) => flip(x, [1, 2]),
    parts: (x) => concat(split(x, 2, 2).reverse(), 2),
    expanded: (x) => expand(slice(x, [0, 1, 0], [2, 1, 4]), [2, 3, 4]),
    tiled: (x) => tile(x, [1, 2, 3]),
    triangles: (x) => add(triu(x, 1), tril(x, -1)),
    'padding modes': (x) =>
      pad(pad(x, [0, 1, 0], [0, 2, 0], { mode: 'reflect' }), [0, 0, 1], [0, 0, 1], { mode: 'edge' }),
    'padding integers': (x) => pad(cast(mul(x, 9), 'int32'), [0, 1, 0], [0, 0, 0], 7),
    picked: (x, { picks }) => gather(x, picks, 1),
    elements: (x) => gatherElements(x, argmax(x, 1, { keepDims: true }), 1),
    tuples: (x) => gatherND(x, reshape(argmax(x, 1), [2, 4, 1]), 1),
    scattered: (x) => scatterElements(x, argmax(x, 1, { keepDims: true }), max(x, [1], true), 1, 'add'),
    hot: (x) => oneHot(argmax(x, 1), 3, { axis: 1, on: 2, off: -1 }),
    embedded: (x, { image }) => embedding(image, argmax(x, 1)),
    batched: (x, { image }) => matmul(matmul(x, x, { transposeB: true }), matmul(x, image)),
  });
  await check([3, 4], { rows: (x, { picks }) => scatterND(x, reshape(picks, [3, 1]), x, 'max') });
});

test('pictures, lines and volumes', async () => {
  await check([1, 6, 5, 4], {
    dilated: (x) => maxPool2d(x, { kernel: 2, stride: 1, dilation: 2, ceilMode: true }),
    counted: (x) => avgPool2d(x, { kernel: 3, stride: 2, padding: 1, countIncludePad: true }),
    resized: (x) => resize(x, { sizes: [9, 3], axes: [1, 2], mode: 'cubic' }),
    channels: (x, { kernel }) => depthToSpace(conv2d(x, kernel, null, { padding: 1 }), 1),
    blocks: (x) => depthToSpace(x, 2),
    groups: (x, { kernel, row }) =>
      add(groupNorm(x, 2, row, row), slice(conv2d(x, kernel, null, { padding: 1 }), [0, 0, 0, 0], [1, 6, 5, 1])),
    instance: (x) => instanceNorm(x),
    'a fold of channels': (x, { kernel }) => max(conv2d(x, kernel, null), [3]),
    'rows of a picture': (x, { kernel }) =>
      stridedSlice(conv2d(x, kernel, null), [0, 3, 0, 1], [1, null, 3, 2], [1, -1, 2, 1]),
  });
  await check([2, 7, 3], { line: (x) => add(maxPool(x, { kernel: 2 }), avgPool(x, { kernel: 2 })) });
});

test.run();
