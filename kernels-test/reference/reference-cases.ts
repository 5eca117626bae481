import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { type Shape, sizeOf } from '../../src/common/shapes.js';
import { type OpAttrs, type OpName, referenceOps } from '../../src/ops/registry.js';
import { map, type NdArray, ndarray } from '../../src/reference/ndarray.js';
import type { ReferenceOp } from '../../src/reference/reference-op.js';
import type { DType } from '../../src/tensor/dtype.js';

/** An operation with inputs at which it is differentiable, so that finite differences are defined. */
export interface GradientCase<K extends OpName = OpName> {
  op: K;
  name: string;
  inputs: NdArray[];
  attrs: OpAttrs[K];
  /** Types of the inputs' elements; default: all float32. */
  dtypes?: readonly DType[];
}

let stream = 0;

/** Uniform values in [low, high), different at each call. */
export function uniform(shape: Shape, low = -1, high = 1): NdArray {
  const random = new CounterRandom(20, stream++);
  return ndarray(
    shape,
    Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random.uniform()),
  );
}

/** Uniform values in [−1, 1) that keep at least `gap` from each of the points. */
function awayFrom(shape: Shape, points: number[], gap = 0.01): NdArray {
  const random = new CounterRandom(21, stream++);
  return map(uniform(shape), (value) => {
    while (points.some((p) => Math.abs(value - p) < gap)) value = 2 * random.uniform() - 1;
    return value;
  });
}

/** Distinct values with gaps of 0.05, in random order. */
function distinct(shape: Shape): NdArray {
  const order = Float64Array.from({ length: sizeOf(shape) }, (_, i) => i);
  return ndarray(
    shape,
    new CounterRandom(22, stream++).shuffle(order).map((v) => v * 0.05 - 1),
  );
}

/** Values of which none of the one array is near one of the other. */
function apart(a: Shape, b: Shape): NdArray[] {
  const values = distinct([sizeOf(a) + sizeOf(b)]).data;
  return [ndarray(a, values.slice(0, sizeOf(a))), ndarray(b, values.slice(sizeOf(a)))];
}

function make<K extends OpName>(
  op: K,
  name: string,
  inputs: NdArray[],
  attrs: OpAttrs[K],
  dtypes?: readonly DType[],
): GradientCase {
  return { op, name, inputs, attrs, dtypes } as unknown as GradientCase;
}

type ConvOptions = Partial<OpAttrs['convTranspose2d']>;

function conv(name: string, x: Shape, w: Shape, bias: boolean, options: ConvOptions = {}): GradientCase {
  const attrs: OpAttrs['conv2d'] = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1, ...options };
  const inputs = [uniform(x), uniform(w)];
  return make('conv2d', name, bias ? [...inputs, uniform([w[3]])] : inputs, attrs);
}

function transposed(name: string, x: Shape, w: Shape, bias: boolean, options: ConvOptions = {}): GradientCase {
  const attrs: OpAttrs['convTranspose2d'] = {
    stride: [1, 1],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    outputPadding: [0, 0],
    ...options,
  };
  const inputs = [uniform(x), uniform(w)];
  return make('convTranspose2d', name, bias ? [...inputs, uniform([w[2] * attrs.groups])] : inputs, attrs);
}

const none = {};
const noise = { mode: 'noise', seed: 5, stream: 2 } as const;

export const gradientCases: readonly GradientCase[] = [
  conv('1x1', [2, 3, 4, 3], [1, 1, 3, 5], true),
  conv('3x3, same', [1, 5, 4, 2], [3, 3, 2, 3], false, { padding: [1, 1, 1, 1] }),
  conv('stride 2, asymmetric padding', [2, 7, 6, 3], [3, 3, 3, 4], true, { stride: [2, 2], padding: [0, 1, 2, 1] }),
  conv('unequal strides, kernel and dilation', [1, 9, 8, 2], [2, 3, 2, 3], true, {
    stride: [3, 2],
    dilation: [2, 1],
    padding: [1, 0, 0, 1],
  }),
  conv('dilation 2, padding 2', [1, 6, 5, 2], [3, 3, 2, 2], false, { dilation: [2, 2], padding: [2, 2, 2, 2] }),
  conv('groups 2', [2, 5, 5, 4], [3, 3, 2, 6], true, { groups: 2, padding: [1, 1, 1, 1] }),
  conv('depthwise, stride 2', [1, 6, 7, 3], [3, 3, 1, 3], true, { groups: 3, stride: [2, 2], padding: [1, 1, 1, 1] }),
  conv('depthwise with multiplier 2', [1, 4, 4, 3], [2, 2, 1, 6], false, { groups: 3 }),
  conv('padding beyond the kernel', [1, 2, 2, 1], [2, 2, 1, 2], true, { padding: [3, 0, 0, 3] }),
  conv('stride above the kernel', [1, 7, 7, 2], [2, 2, 2, 2], false, { stride: [4, 3] }),

  transposed('stride 1', [1, 3, 4, 2], [3, 3, 3, 2], true),
  transposed('stride 2, output padding', [2, 3, 4, 3], [3, 3, 2, 3], true, {
    stride: [2, 2],
    padding: [1, 1, 1, 1],
    outputPadding: [1, 1],
  }),
  transposed('4x4, stride 2', [1, 3, 3, 2], [4, 4, 3, 2], false, { stride: [2, 2], padding: [1, 1, 1, 1] }),
  transposed('asymmetric padding, unequal strides', [1, 4, 3, 2], [5, 3, 2, 2], true, {
    stride: [3, 2],
    padding: [2, 1, 0, 1],
    outputPadding: [2, 0],
  }),
  transposed('dilation 2', [1, 3, 4, 2], [3, 2, 2, 2], false, {
    stride: [2, 1],
    dilation: [2, 2],
    padding: [0, 1, 1, 0],
  }),
  transposed('groups 2', [2, 3, 3, 4], [3, 3, 3, 4], true, { groups: 2, stride: [2, 2] }),
  transposed('depthwise', [1, 3, 4, 3], [4, 4, 1, 3], true, { groups: 3, stride: [2, 2], padding: [1, 1, 1, 1] }),

  make('batchNormTraining', 'NHWC', [uniform([2, 3, 5, 4]), uniform([4]), uniform([4])], { eps: 1e-5 }),
  make('batchNormTraining', 'rows', [uniform([7, 3], 2, 5), uniform([3]), uniform([3])], { eps: 1e-2 }),
  make(
    'batchNormInference',
    'NHWC',
    [uniform([2, 3, 2, 5]), uniform([5]), uniform([5]), uniform([5]), uniform([5], 0.5, 2)],
    { eps: 1e-3 },
  ),

  ...[[1], [4]].flatMap((slopes) => [
    // With these values, no pre-activation is within a step of the kink.
    make(
      'batchNormPreluTraining',
      `[${slopes}] slopes`,
      [uniform([2, 3, 5, 4]), uniform([4]), uniform([4]), uniform(slopes)],
      { eps: 1e-5 },
    ),
    make(
      'batchNormPreluInference',
      `[${slopes}] slopes`,
      [uniform([2, 3, 2, 4]), uniform([4]), uniform([4]), uniform([4]), uniform([4], 0.5, 2), uniform(slopes)],
      { eps: 1e-3 },
    ),
  ]),

  make('prelu', 'shared slope', [awayFrom([2, 3, 2, 3], [0]), uniform([1])], none),
  make('prelu', 'slope a channel', [awayFrom([2, 3, 2, 5], [0]), uniform([5])], none),
  make('prelu', 'slope a channel, rank 1', [awayFrom([7], [0]), uniform([7])], none),

  ...[false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) =>
      make(
        'matmul',
        `transposeA ${transposeA}, transposeB ${transposeB}`,
        [uniform(transposeA ? [5, 3] : [3, 5]), uniform(transposeB ? [7, 5] : [5, 7])],
        { transposeA, transposeB },
      ),
    ),
  ),

  ...(['add', 'sub', 'mul', 'div'] as const).flatMap((op) =>
    (
      [
        [
          [2, 3, 5],
          [2, 3, 5],
        ],
        [[2, 3, 4, 5], [5]],
        [[], [3, 4]],
        [
          [4, 1, 3],
          [5, 1],
        ],
        [
          [3, 1, 2, 1],
          [1, 5, 1, 7],
        ],
        [[1, 1], [3]],
      ] as const
    ).map(([a, b]) => make(op, `[${a}] with [${b}]`, [uniform(a), uniform(b, 0.5, 2)], none)),
  ),
  make('div', 'negative divisors', [uniform([3, 5]), uniform([3, 1], -2, -0.5)], none),

  make('pow', '[2,3,4] with [2,3,4]', [uniform([2, 3, 4], 0.3, 2), uniform([2, 3, 4], -2, 2)], none),
  make('pow', '[5,1] with [3]', [uniform([5, 1], 0.3, 2), uniform([3], -2, 2)], none),
  make('pow', '[3,7] with a scalar', [uniform([3, 7], 0.3, 2), uniform([], 2, 3)], none),
  ...(['minimum', 'maximum'] as const).flatMap((op) => [
    make(op, '[3,4] with [3,4]', apart([3, 4], [3, 4]), none),
    make(op, '[5,1] with [3]', apart([5, 1], [3]), none),
    make(op, 'a scalar with [7]', apart([], [7]), none),
  ]),

  ...(['add', 'sub', 'mul', 'div', 'pow'] as const).flatMap((op) => [
    make(op, 'a tensor with a number', [uniform([3, 5], 0.5, 2)], { b: 1.5 }),
    make(op, 'a number with a tensor', [uniform([3, 5], 0.5, 2)], { a: 1.5 }),
  ]),
  make(
    'mod',
    '[3,5] with [5]',
    [map(uniform([3, 5]), (v) => v * 0.3 + 2), map(uniform([5]), (v) => 1.6 + 0.03 * v)],
    none,
  ),

  make('where', 'broadcast', [ndarray([3, 1], [1, 0, 1]), uniform([3, 5]), uniform([5])], none, ['bool']),
  make('where', 'a number', [ndarray([2, 2], [1, 0, 1, 0]), uniform([2, 2])], { b: -1 }, ['bool']),
  ...(['equal', 'less', 'lessEqual', 'greater', 'greaterEqual'] as const).map((op) =>
    make(op, '[3,4] with [4]', apart([3, 4], [4]), none),
  ),
  ...(['logicalAnd', 'logicalOr', 'logicalXor'] as const).map((op) =>
    make(op, 'all pairs', [ndarray([4], [0, 0, 1, 1]), ndarray([4], [0, 1, 0, 1])], none, ['bool', 'bool']),
  ),
  make('logicalNot', 'both', [ndarray([2], [0, 1])], none, ['bool']),
  make('isNan', 'rank 1', [uniform([5])], none),
  make('isInf', 'rank 1', [uniform([5])], none),
  make('cast', 'to itself', [uniform([3, 5])], { dtype: 'float32' }),

  make('exp', 'rank 2', [uniform([3, 7], -4, 3)], none),
  make('exp', 'scalar', [uniform([])], none),
  make('log', 'rank 3', [uniform([2, 3, 5], 0.1, 9)], none),
  make('sqrt', 'rank 1', [uniform([13], 0.1, 9)], none),
  make('abs', 'rank 2', [awayFrom([5, 3], [0])], none),
  make('square', 'rank 2', [uniform([5, 3])], none),
  make('sigmoid', 'rank 2', [uniform([5, 5], -8, 8)], none),
  make('relu', 'rank 2', [awayFrom([5, 3], [0])], none),
  make('clamp', 'both ends', [awayFrom([9, 5], [-0.4, 0.3])], { min: -0.4, max: 0.3 }),
  make('affine', 'rank 2', [uniform([3, 4])], { scale: -2.5, offset: 0.7 }),
  make('neg', 'rank 2', [uniform([3, 5])], none),
  make('reciprocal', 'below 0', [uniform([3, 5], -2, -0.5)], none),
  make('reciprocal', 'above 0', [uniform([7], 0.5, 2)], none),
  make('sin', 'rank 2', [uniform([5, 5], -9, 9)], none),
  make('cos', 'rank 2', [uniform([5, 5], -9, 9)], none),
  make('tanh', 'rank 2', [uniform([5, 5], -4, 4)], none),
  make('erf', 'rank 2', [uniform([5, 5], -3, 3)], none),
  make('tan', 'rank 2', [uniform([5, 5], -1.4, 1.4)], none),
  ...(['asin', 'acos', 'atanh'] as const).map((op) => make(op, 'rank 2', [uniform([5, 5], -0.9, 0.9)], none)),
  ...(['atan', 'sinh', 'cosh', 'asinh'] as const).map((op) => make(op, 'rank 2', [uniform([5, 5], -4, 4)], none)),
  make('acosh', 'rank 2', [uniform([5, 5], 1.1, 4)], none),
  make('leakyRelu', 'slope above 0', [awayFrom([5, 3], [0])], { slope: 0.1 }),
  make('leakyRelu', 'slope below 0', [awayFrom([5, 3], [0])], { slope: -0.3 }),
  make('leakyRelu', 'slope 0', [awayFrom([5, 3], [0])], { slope: 0 }),
  make('elu', 'alpha 0.7', [awayFrom([5, 3], [0])], { alpha: 0.7 }),
  make('elu', 'alpha 0', [awayFrom([5, 3], [0])], { alpha: 0 }),
  make('selu', 'rank 2', [awayFrom([5, 3], [0])], none),
  make('gelu', 'by erf', [uniform([5, 5], -5, 5)], { approximate: 'none' }),
  make('gelu', 'by tanh', [uniform([5, 5], -5, 5)], { approximate: 'tanh' }),
  make('silu', 'rank 2', [uniform([5, 5], -8, 8)], none),
  make('softplus', 'rank 2', [uniform([5, 5], -8, 8)], none),
  make('hardSigmoid', 'both ends', [awayFrom([9, 5], [-0.6, 0.65])], { alpha: 0.8, beta: 0.48 }),
  make('hardSwish', 'both ends', [map(awayFrom([9, 5], [-0.6, 0.6]), (value) => 5 * value)], none),
  ...(['floor', 'ceil', 'round', 'sign'] as const).map((op) => make(op, 'rank 2', [uniform([5, 5], -4, 4)], none)),

  ...(['sum', 'mean'] as const).flatMap((op) =>
    (
      [
        [[3, 4, 5], [], false],
        [[3, 4, 5], [], true],
        [[3, 4, 5], [1], false],
        [[3, 4, 5], [-1, 0], true],
        [[2, 3, 1, 5], [2, 1], false],
        [[], [], false],
      ] as const
    ).map(([shape, axes, keepDims]) =>
      make(op, `[${shape}] over [${axes}], keepDims ${keepDims}`, [uniform(shape)], { axes, keepDims }),
    ),
  ),

  make('reshape', 'rank 3 to 2', [uniform([2, 3, 5])], { shape: [5, 6] }),
  make('reshape', 'to a scalar', [uniform([1, 1])], { shape: [] }),
  make('transpose', 'rank 3', [uniform([2, 3, 5])], { axes: [2, 0, -2] }),
  make('pad', 'rank 4, uneven', [uniform([2, 3, 4, 1])], { before: [0, 1, 2, 1], after: [1, 0, 3, 0], value: -0.5 }),
  make('slice', 'rank 3', [uniform([4, 5, 3])], { begin: [1, 0, 2], size: [2, 5, 1] }),
  make('padAxis', 'reflect', [uniform([2, 4, 3])], { axis: 1, before: 2, after: 9, mode: 'reflect' }),
  make('padAxis', 'edge', [uniform([3, 2])], { axis: 0, before: 3, after: 2, mode: 'edge' }),
  make('padAxis', 'wrap', [uniform([2, 3])], { axis: -1, before: 4, after: 5, mode: 'wrap' }),
  make('triu', 'k 1', [uniform([2, 4, 3])], { k: 1 }),
  make('tril', 'k 0', [uniform([3, 5])], { k: 0 }),
  make('stridedSlice', 'rank 3, both directions', [uniform([5, 7, 2])], {
    begin: [null, 1, 0],
    end: [-6, 5, null],
    step: [-2, 3, 1],
  }),
  make('stridedSlice', 'flipped', [uniform([3, 2])], { begin: [2, null], end: [null, null], step: [-1, -1] }),
  make('expand', 'rank 2 to 4', [uniform([3, 1])], { shape: [2, 1, 1, 5] }),
  make('expand', 'a scalar', [uniform([])], { shape: [2, 3] }),
  make('concat', 'last axis, three inputs', [uniform([2, 3, 1]), uniform([2, 3, 4]), uniform([2, 3, 2])], { axis: -1 }),
  make('concat', 'first axis', [uniform([2, 3]), uniform([1, 3])], { axis: 0 }),
  make('concat', 'one input', [uniform([3])], { axis: 0 }),

  make('gather', 'middle axis, repeated and from the end', [uniform([2, 3, 2]), ndarray([2, 2], [2, 0, -1, 2])], {
    axis: 1,
  }),
  make('gatherElements', 'repeated', [uniform([3, 2]), ndarray([4, 2], [0, 2, 0, -1, 1, 1, 2, 0])], { axis: 0 }),
  make(
    'gatherND',
    'with a batch axis',
    [uniform([2, 3, 2, 2]), ndarray([2, 3, 2], [0, 1, 2, 0, 0, 1, 1, 1, -1, -1, 0, 0])],
    {
      batchDims: 1,
    },
  ),
  ...(['none', 'add'] as const).flatMap((reduction) => [
    make('scatterElements', reduction, [uniform([2, 4]), ndarray([2, 3], [0, 3, 0, 1, -1, -1]), uniform([2, 3])], {
      axis: 1,
      reduction,
    }),
    make('scatterND', reduction, [uniform([2, 3, 2]), ndarray([3, 2], [0, 1, 1, 2, 0, 1]), uniform([3, 2])], {
      reduction,
    }),
  ]),
  make('oneHot', 'first axis', [ndarray([2, 3], [0, 1, -1, 3, 2, 9])], { depth: 4, axis: 0, on: 1, off: 0 }),

  ...(['maxPool2d', 'avgPool2d'] as const).flatMap((op) => [
    make(op, '2x2, stride 2', [distinct([2, 5, 4, 3])], { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }),
    make(op, 'overlapping, padded', [distinct([1, 7, 6, 2])], {
      kernel: [3, 3],
      stride: [2, 2],
      padding: [1, 1, 1, 1],
    }),
    make(op, 'uneven', [distinct([1, 6, 7, 3])], { kernel: [3, 2], stride: [1, 3], padding: [0, 2, 1, 0] }),
    make(op, 'stride above the kernel', [distinct([1, 7, 7, 1])], {
      kernel: [2, 2],
      stride: [3, 4],
      padding: [0, 0, 0, 0],
    }),
  ]),

  make('upsampleNearest', '2x3', [uniform([2, 3, 2, 3])], { scale: [2, 3] }),
  make('upsampleNearest', '1x1', [uniform([1, 2, 3, 1])], { scale: [1, 1] }),
  make('upsampleBilinear', 'up', [uniform([2, 3, 4, 2])], { size: [7, 8] }),
  make('upsampleBilinear', 'down', [uniform([1, 7, 5, 2])], { size: [3, 4] }),
  make('upsampleBilinear', 'from one pixel', [uniform([1, 1, 1, 2])], { size: [3, 2] }),
  make('upsampleBilinear', 'same size', [uniform([1, 3, 4, 1])], { size: [3, 4] }),

  make('l2Normalize', 'rank 3', [uniform([2, 3, 5])], { eps: 1e-12 }),
  make('dropout', 'rank 2', [uniform([5, 7])], { rate: 0.4, seed: 3, stream: 1 }),
  make('softmax', 'rank 3', [uniform([2, 3, 5])], none),
  make('logSoftmax', 'rank 2', [uniform([4, 3])], none),
  make('l2Normalize', 'below eps', [uniform([3, 4])], { eps: 10 }),

  make('softmaxCrossEntropy', '5 classes', [uniform([3, 5], -3, 3), ndarray([3], [4, 0, 2])], none),
  make('softmaxCrossEntropy', 'large logits', [uniform([2, 3], 1000, 1003), ndarray([2], [1, 1])], none),
  make('cosFace', 's 8, m 0.35', [uniform([4, 5]), uniform([7, 5]), ndarray([4], [0, 6, 3, 3])], {
    scale: 8,
    margin: 0.35,
  }),
  make('cosFace', 's 2, m 0', [uniform([2, 3]), uniform([3, 3]), ndarray([2], [2, 0])], { scale: 2, margin: 0 }),
  ...(
    [
      { loss: 'cosface', scale: 8, margin: 0.35, lambda: 0 },
      { loss: 'arcface', scale: 8, margin: 0.5, lambda: 0 },
      { loss: 'arcface', scale: 4, margin: 1.5, lambda: 0 },
      { loss: 'sphereface', scale: 1, margin: 1, lambda: 0 },
      { loss: 'sphereface', scale: 1, margin: 2, lambda: 0.5 },
      { loss: 'sphereface', scale: 1, margin: 3, lambda: 0 },
      { loss: 'sphereface', scale: 1, margin: 4, lambda: 5 },
      { loss: 'normface', scale: 8, margin: 0, lambda: 0 },
      { loss: 'softmax', scale: 1, margin: 0, lambda: 0 },
    ] as const
  ).map((attrs) =>
    make(
      'marginLoss',
      `${attrs.loss} ${attrs.margin}`,
      [uniform([4, 5]), uniform([7, 5]), ndarray([4], [0, 6, 3, 3])],
      attrs,
    ),
  ),
  make('argmax', 'rank 3', [uniform([2, 3, 5])], { axis: -1, keepDims: false, last: false }),
  make('mse', 'rank 4', [uniform([2, 3, 2, 3]), uniform([2, 3, 2, 3])], none),

  make('ssim', 'window 5', [uniform([2, 7, 6, 2], 0, 1), uniform([2, 7, 6, 2], 0, 1)], {
    window: 5,
    sigma: 1.5,
    dataRange: 1,
  }),
  make('ssim', 'window as large as the picture', [uniform([1, 3, 3, 1], 0, 255), uniform([1, 3, 3, 1], 0, 255)], {
    window: 3,
    sigma: 0.8,
    dataRange: 255,
  }),
  make('ssim', 'window 1', [uniform([1, 2, 3, 2], 0.2, 1), uniform([1, 2, 3, 2], 0.2, 1)], {
    window: 1,
    sigma: 1,
    dataRange: 1,
  }),

  make('quantize', 'noise inside the range', [uniform([3, 5, 7])], { ...noise, scale: 3, min: -128, max: 127 }),
  make('quantize', 'noise across the range', [uniform([3, 5, 7])], { ...noise, scale: 4, min: -2, max: 1 }),
  make('logisticBits', 'common scales', [uniform([3, 2, 4], -6, 6), uniform([4], -1.5, 2)], none),
  make('logisticBits', 'narrow and wide', [uniform([5, 2], -3, 3), ndarray([2], [-0.7, 6])], none),
  make('logisticBits', 'partly floored', [uniform([9, 2], -12, 12), ndarray([2], [-1.5, -0.5])], none),

  // Each case draws values of its own, so new ones go to the end.
  ...(['max', 'min', 'prod'] as const).flatMap((op) =>
    (
      [
        [[3, 4, 5], [1], false],
        [[3, 4, 2], [-1, 0], true],
        [[2, 3, 4], [], false],
        [[], [], false],
      ] as const
    ).map(([shape, axes, keepDims]) =>
      make(op, `[${shape}] over [${axes}]`, [op === 'prod' ? uniform(shape, 0.5, 1.5) : distinct(shape)], {
        axes,
        keepDims,
      }),
    ),
  ),
  make('argmin', 'rank 3', [uniform([2, 3, 5])], { axis: 1, keepDims: true, last: true }),
  ...(['norm', 'logSumExp'] as const).flatMap((op) => [
    make(op, 'a middle axis', [uniform([3, 4, 5], 0.2, 2)], { axes: [1], keepDims: false }),
    make(op, 'outer axes', [uniform([3, 4, 5], -2, -0.2)], { axes: [0, -1], keepDims: true }),
    make(op, 'all', [uniform([2, 7])], { axes: [], keepDims: false }),
  ]),
  make('topK', 'largest of a middle axis', [distinct([2, 5, 3])], { k: 3, axis: 1, largest: true }),
  make('topK', 'smallest', [distinct([4, 7])], { k: 2, axis: -1, largest: false }),
  ...(['cumsum', 'cumprod'] as const).flatMap((op) =>
    (
      [
        [1, false, false],
        [-1, true, false],
        [0, true, true],
      ] as const
    ).map(([axis, exclusive, reverse]) =>
      make(op, `axis ${axis}, exclusive ${exclusive}, reverse ${reverse}`, [uniform([4, 5, 3], 0.5, 1.5)], {
        axis,
        exclusive,
        reverse,
      }),
    ),
  ),
  make('batchedMatmul', 'stretched batches', [uniform([2, 1, 3, 5]), uniform([3, 5, 4])], {
    transposeA: false,
    transposeB: false,
  }),
  make('batchedMatmul', 'both transposed', [uniform([2, 5, 3]), uniform([7, 5])], {
    transposeA: true,
    transposeB: true,
  }),
  ...(['maxPool', 'avgPool'] as const).flatMap((op) => [
    make(op, 'a line, rounded up', [distinct([2, 7, 3])], {
      kernel: [3],
      stride: [2],
      padding: [1, 1],
      dilation: [2],
      ceilMode: true,
    }),
    make(op, 'a volume', [distinct([1, 3, 4, 3, 2])], {
      kernel: [2, 2, 3],
      stride: [1, 2, 2],
      padding: [0, 1, 1, 0, 1, 1],
    }),
    make(op, 'a dilated picture', [distinct([1, 5, 6, 4])], {
      kernel: [2, 3],
      stride: [2, 1],
      padding: [1, 0, 1, 2],
      dilation: [2, 2],
    }),
  ]),
  make('avgPool', 'with padding', [uniform([2, 6, 2])], {
    kernel: [3],
    stride: [2],
    padding: [1, 1],
    ceilMode: true,
    countIncludePad: true,
  }),
  make('constantPower', 'a square root', [uniform([3, 5], 0.3, 2)], { exponent: 0.5 }),
  make('constantPower', 'a cube', [uniform([3, 5], 0.3, 2)], { exponent: 3 }),
  make('huber', 'both parts', [awayFrom([5, 7], [-0.4, 0.4])], { delta: 0.4 }),
  make('nllLoss', 'mean', [uniform([4, 5]), ndarray([4], [4, 0, 2, 2])], { reduction: 'mean', ignoreIndex: null }),
  make('nllLoss', 'none, one ignored', [uniform([2, 3, 3]), ndarray([2, 3], [0, 2, 1, -1, 1, 0])], {
    reduction: 'none',
    ignoreIndex: -1,
  }),
  make('nllLoss', 'weighted', [uniform([3, 4]), ndarray([3], [3, 0, 1]), uniform([4], 0.5, 2)], {
    reduction: 'mean',
    ignoreIndex: 0,
  }),
  make('standardize', 'rows', [uniform([3, 7])], { axes: [1], epsilon: 1e-5, centred: true }),
  make('standardize', 'groups', [uniform([2, 3, 2, 4])], { axes: [1, 3], epsilon: 1e-3, centred: true }),
  make('standardize', 'without the centre', [uniform([2, 3, 5])], { axes: [-1, 1], epsilon: 0.1, centred: false }),
  make('resample', 'the middle axis', [uniform([2, 4, 3])], {
    axis: 1,
    table: { starts: [0, 2, 2, 5], indices: [0, 1, 3, 2, 1], weights: [0.5, -0.25, 1, 2, 0.125] },
    fill: 3,
  }),
  make('resample', 'in vectors', [uniform([3, 4])], {
    axis: -2,
    table: { starts: [0, 1, 3, 4, 6], indices: [2, 0, 1, 1, 2, 0], weights: [1, 0.5, 0.5, 1, 0.75, 0.25] },
    fill: 0,
  }),
];

/** Types of the inputs of operations that take others than float32. */
export const DTYPES: { [K in OpName]?: readonly DType[] } = {
  gather: ['float32', 'int32'],
  gatherElements: ['float32', 'int32'],
  gatherND: ['float32', 'int32'],
  scatterElements: ['float32', 'int32', 'float32'],
  scatterND: ['float32', 'int32', 'float32'],
  oneHot: ['int32'],
};

/** Inputs that have no gradient: labels, indices and running statistics. */
export const WITHOUT_GRADIENT: { [K in OpName]?: number[] } = {
  softmaxCrossEntropy: [1],
  argmax: [0],
  equal: [0, 1],
  less: [0, 1],
  lessEqual: [0, 1],
  greater: [0, 1],
  greaterEqual: [0, 1],
  logicalAnd: [0, 1],
  logicalOr: [0, 1],
  logicalXor: [0, 1],
  logicalNot: [0],
  isNan: [0],
  isInf: [0],
  where: [0],
  argmin: [0],
  gather: [1],
  gatherElements: [1],
  gatherND: [1],
  scatterElements: [1],
  scatterND: [1],
  oneHot: [0],
  nllLoss: [1, 2],
  floor: [0],
  ceil: [0],
  round: [0],
  sign: [0],
  cosFace: [2],
  marginLoss: [2],
  batchNormInference: [3, 4],
  batchNormPreluInference: [3, 4],
};

/** @throws Error if a value is off by more than the tolerance, which is relative for values above 1 */
export function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-12): void {
  assert.is(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const bound = tolerance * Math.max(1, Math.abs(expected[i]));
    assert.ok(error <= bound, `element ${i}: ${actual[i]}, expected ${expected[i]}`);
  }
}

export const opOf = (op: OpName): ReferenceOp<unknown> => referenceOps[op] as ReferenceOp<unknown>;
