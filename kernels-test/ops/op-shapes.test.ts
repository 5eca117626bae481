import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import {
  broadcastShapes,
  broadcastStrides,
  normalizeAxes,
  normalizeAxis,
  type Shape,
  samePadding2d,
  sizeOf,
  stridesOf,
} from '../../src/common/shapes.js';
import { type OpAttrs, type OpName, outputShape } from '../../src/ops/registry.js';

function refused(run: () => unknown, type: typeof ShapeError | typeof ArgumentError, message: RegExp): void {
  assert.throws(run, (error: unknown) => {
    assert.instance(error, type);
    assert.match((error as Error).message, message);
    return true;
  });
}

const conv = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
const transposed = { ...conv, outputPadding: [0, 0] } as const;
const pool = { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] } as const;
const quantize = { mode: 'hard', scale: 1, min: 0, max: 255, seed: 0, stream: 0 } as const;
const ssim = { window: 3, sigma: 1.5, dataRange: 1 } as const;

test('helpers compute size, strides, broadcast shapes and axes', () => {
  assert.is(sizeOf([]), 1);
  assert.is(sizeOf([2, 3, 5]), 30);
  assert.equal(stridesOf([2, 3, 5]), [15, 5, 1]);
  assert.equal(broadcastShapes([4, 1, 3], [5, 1]), [4, 5, 3]);
  assert.equal(broadcastShapes([], [2]), [2]);
  assert.equal(broadcastStrides([5, 1], [4, 5, 3]), [0, 1, 0]);
  assert.equal(broadcastStrides([2, 3], [2, 3]), [3, 1]);
  refused(() => broadcastShapes([2, 3], [2, 4], 'add'), ShapeError, /add: shapes \[2,3\] and \[2,4\].*sizes 3 and 4/);
  assert.is(normalizeAxis(-1, 4), 3);
  refused(() => normalizeAxis(4, 4, 'sum'), ShapeError, /sum: axis 4 is outside \[-4, 3\]/);
  refused(() => normalizeAxis(0, 0, 'sum'), ShapeError, /scalar/);
  assert.equal(normalizeAxes([2, -3], 3), [0, 2]);
  assert.equal(normalizeAxes([], 3), [0, 1, 2]);
  refused(() => normalizeAxes([1, -2], 3, 'sum'), ShapeError, /axis 1 is given twice/);
});

test('same padding makes the output the input over the stride, rounded up', () => {
  assert.equal(samePadding2d([112, 96], [3, 3]), [1, 1, 1, 1]);
  // TensorFlow puts the odd row or column of padding at the bottom or right.
  assert.equal(samePadding2d([112, 96], [3, 4], [2, 1]), [0, 1, 1, 2]);
  assert.equal(samePadding2d([5, 5], [1, 1], [2, 2]), [0, 0, 0, 0]);
  for (const size of [1, 4, 7, 12]) {
    for (const kernel of [1, 2, 3, 5]) {
      for (const stride of [1, 2, 3]) {
        for (const dilation of [1, 2]) {
          const attrs = { stride: [stride, 1], dilation: [dilation, 1] } as const;
          const padding = samePadding2d([size, 9], [kernel, 4], attrs.stride, attrs.dilation);
          const shape = outputShape(
            'conv2d',
            [
              [1, size, 9, 1],
              [kernel, 4, 1, 1],
            ],
            { ...attrs, padding, groups: 1 },
          );
          assert.equal(shape, [1, Math.ceil(size / stride), 9, 1]);
        }
      }
    }
  }
  refused(() => samePadding2d([4, 4], [3, 3], [0, 1]), ArgumentError, /stride is \[0,1\]/);
});

test('the layers of our networks have the expected shapes', () => {
  const strided = { ...conv, stride: [2, 2], padding: [1, 1, 1, 1] } as const;
  assert.equal(outputShape('conv2d', [[2, 112, 96, 3], [3, 3, 3, 64], [64]], strided), [2, 56, 48, 64]);
  const up = { ...transposed, stride: [2, 2], padding: [1, 1, 1, 1] } as const;
  assert.equal(outputShape('convTranspose2d', [[2, 56, 48, 64], [4, 4, 3, 64], [3]], up), [2, 112, 96, 3]);
  const odd = { ...up, outputPadding: [1, 0] } as const;
  assert.equal(
    outputShape(
      'convTranspose2d',
      [
        [2, 7, 6, 8],
        [3, 3, 4, 8],
      ],
      odd,
    ),
    [2, 14, 11, 4],
  );
  assert.equal(
    outputShape(
      'convTranspose2d',
      [
        [1, 2, 2, 4],
        [1, 1, 3, 4],
      ],
      { ...transposed, groups: 2 },
    ),
    [1, 2, 2, 6],
  );
  assert.equal(outputShape('maxPool2d', [[1, 7, 6, 3]], { ...pool, padding: [1, 0, 0, 0] }), [1, 4, 3, 3]);
  assert.equal(outputShape('cosFace', [[8, 64], [100, 64], [8]], { scale: 30, margin: 0.35 }), []);
});

test('a transposed convolution undoes the shape of its convolution', () => {
  for (const size of [4, 5, 6, 7, 8]) {
    const attrs = { ...conv, stride: [3, 3], padding: [1, 0, 1, 0], dilation: [1, 1] } as const;
    const [, small] = outputShape(
      'conv2d',
      [
        [1, size, size, 1],
        [3, 3, 1, 1],
      ],
      attrs,
    );
    const sizes = [0, 1, 2].map((more) => {
      const back = { ...attrs, outputPadding: [more, more] } as const;
      return outputShape(
        'convTranspose2d',
        [
          [1, small, small, 1],
          [3, 3, 1, 1],
        ],
        back,
      )[1];
    });
    assert.ok(sizes.includes(size), `${size} not among ${sizes}`);
  }
});

interface Bad<K extends OpName> {
  op: K;
  inputs: Shape[];
  attrs: OpAttrs[K];
  error: typeof ShapeError | typeof ArgumentError;
  message: RegExp;
}

function bad<K extends OpName>(
  op: K,
  inputs: Shape[],
  attrs: OpAttrs[K],
  error: typeof ShapeError | typeof ArgumentError,
  message: RegExp,
): Bad<K> {
  return { op, inputs, attrs, error, message };
}

const image = [2, 7, 5, 6];
const badCalls = [
  bad('conv2d', [image], conv, ShapeError, /got 1 inputs; expected 2 to 3 \(input, weights, bias\)/),
  bad(
    'conv2d',
    [
      [7, 5, 6],
      [3, 3, 6, 4],
    ],
    conv,
    ShapeError,
    /input has shape \[7,5,6\]; expected rank 4, \[N,H,W,C\]/,
  ),
  bad('conv2d', [image, [3, 6, 4]], conv, ShapeError, /weights has shape \[3,6,4\]; expected rank 4/),
  bad(
    'conv2d',
    [image, [3, 3, 8, 16]],
    conv,
    ShapeError,
    /^conv2d: weights \[3,3,8,16\] expect 8 input channels per group, but the input \[2,7,5,6\] has 6 with groups 1$/,
  ),
  bad('conv2d', [image, [3, 3, 3, 5]], { ...conv, groups: 2 }, ShapeError, /5 output channels, which groups 2/),
  bad('conv2d', [image, [3, 3, 6, 4], [3]], conv, ShapeError, /bias has shape \[3\]; expected \[4\]/),
  bad('conv2d', [image, [3, 6, 6, 4]], conv, ShapeError, /kernel of 3x6.*does not fit the input \[2,7,5,6\]/),
  bad('conv2d', [image, [3, 3, 6, 4]], { ...conv, dilation: [1, 3] }, ShapeError, /dilation \[1,3\] does not fit/),
  bad(
    'conv2d',
    [
      [2, 0, 5, 6],
      [3, 3, 6, 4],
    ],
    conv,
    ShapeError,
    /input has shape \[2,0,5,6\]; every size must be/,
  ),
  bad(
    'conv2d',
    [
      [2, 7.5, 5, 6],
      [3, 3, 6, 4],
    ],
    conv,
    ShapeError,
    /every size must be an integer/,
  ),
  bad('conv2d', [image, [3, 3, 6, 4]], { ...conv, stride: [0, 1] }, ArgumentError, /stride is \[0,1\]; expected 2 int/),
  bad('conv2d', [image, [3, 3, 6, 4]], { ...conv, dilation: [1, 0.5] }, ArgumentError, /dilation is \[1,0.5\]/),
  bad('conv2d', [image, [3, 3, 6, 4]], { ...conv, padding: [0, -1, 0, 0] }, ArgumentError, /padding .*\[0,-1,0,0\]/),
  bad('conv2d', [image, [3, 3, 6, 4]], { ...conv, groups: 0 }, ArgumentError, /groups is \[0\]/),
  bad('convTranspose2d', [image, [3, 3, 4, 5]], transposed, ShapeError, /expect 5 input channels, but .* has 6/),
  bad('convTranspose2d', [image, [3, 3, 4, 6]], { ...transposed, groups: 4 }, ShapeError, /6 channels, which groups 4/),
  bad('convTranspose2d', [image, [3, 3, 4, 6], [6]], transposed, ShapeError, /bias has shape \[6\]; expected \[4\]/),
  bad(
    'convTranspose2d',
    [image, [3, 3, 4, 6]],
    { ...transposed, stride: [2, 2], outputPadding: [1, 2] },
    ShapeError,
    /outputPadding \[1,2\] must be below the stride \[2,2\]/,
  ),
  bad(
    'convTranspose2d',
    [
      [1, 1, 1, 6],
      [3, 3, 4, 6],
    ],
    { ...transposed, padding: [2, 1, 0, 0] },
    ShapeError,
    /padding \[2,1,0,0\] leaves an output of 0x3/,
  ),
  bad('batchNormTraining', [image, [6], [5]], { eps: 1e-5 }, ShapeError, /beta has shape \[5\]; expected \[6\]/),
  bad('batchNormTraining', [[6], [6], [6]], { eps: 1e-5 }, ShapeError, /expected rank 2 or more/),
  bad('batchNormTraining', [image, [6], [6]], { eps: 0 }, ArgumentError, /eps is 0; expected a finite number above 0/),
  bad('batchNormInference', [image, [6], [6], [6], [1]], { eps: 1e-5 }, ShapeError, /running variance has shape \[1\]/),
  bad(
    'batchNormPreluTraining',
    [image, [6], [6]],
    { eps: 1 },
    ShapeError,
    /got 3 inputs; expected 4 \(.*beta, slope\)/,
  ),
  bad(
    'batchNormPreluTraining',
    [image, [6], [6], [5]],
    { eps: 1 },
    ShapeError,
    /slope has shape \[5\]; .*\[1\] or \[6\]/,
  ),
  bad(
    'batchNormPreluTraining',
    [image, [6], [5], [6]],
    { eps: 1 },
    ShapeError,
    /^batchNormPreluTraining: beta has shape/,
  ),
  bad(
    'batchNormPreluTraining',
    [image, [6], [6], [1]],
    { eps: 0 },
    ArgumentError,
    /eps is 0; expected a finite number/,
  ),
  bad(
    'batchNormPreluInference',
    [image, [6], [6], [6], [6], [2]],
    { eps: 1 },
    ShapeError,
    /^batchNormPreluInference: slope has shape \[2\]; expected \[1\] or \[6\]/,
  ),
  bad(
    'batchNormPreluInference',
    [image, [6], [6], [6], [1], [6]],
    { eps: 1 },
    ShapeError,
    /running variance has shape/,
  ),
  bad('prelu', [image, [5]], {}, ShapeError, /slope has shape \[5\]; expected \[1\] or \[6\]/),
  bad('prelu', [[], [1]], {}, ShapeError, /expected rank 1 or more/),
  bad(
    'matmul',
    [
      [3, 5],
      [3, 5],
    ],
    { transposeA: true, transposeB: true },
    ShapeError,
    /3 in a \[3,5\] transposed, 5 in b \[3,5\] transposed/,
  ),
  bad('matmul', [[3], [3, 5]], { transposeA: false, transposeB: false }, ShapeError, /a has shape \[3\].*\[M,K\]/),
  bad(
    'add',
    [
      [2, 3],
      [3, 2],
    ],
    {},
    ShapeError,
    /add: shapes \[2,3\] and \[3,2\] do not broadcast/,
  ),
  bad('add', [[2, 3]], {}, ShapeError, /got 1 inputs; expected 2 \(a, b\)/),
  bad('exp', [], {}, ShapeError, /got 0 inputs; expected 1 \(input\)/),
  bad('clamp', [[2]], { min: 1, max: 0 }, ArgumentError, /min 1 is above max 0/),
  bad('clamp', [[2]], { min: Number.NaN, max: 0 }, ArgumentError, /min is NaN/),
  bad('affine', [[2]], { scale: Number.POSITIVE_INFINITY, offset: 0 }, ArgumentError, /scale is Infinity/),
  bad('leakyRelu', [[2]], { slope: Number.NaN }, ArgumentError, /slope is NaN; expected a finite number/),
  bad('elu', [[2]], { alpha: -1 }, ArgumentError, /alpha is -1; expected a finite number of at least 0/),
  bad('hardSigmoid', [[2]], { alpha: 0, beta: 0.5 }, ArgumentError, /alpha is 0; expected a finite number above 0/),
  bad('hardSigmoid', [[2]], { alpha: 0.2, beta: Infinity }, ArgumentError, /beta is Infinity/),
  bad(
    'gelu',
    [[2]],
    { approximate: 'erf' as 'none' },
    ArgumentError,
    /approximate is "erf"; expected "none" or "tanh"/,
  ),
  bad('sum', [[2, 3]], { axes: [2], keepDims: false }, ShapeError, /sum: axis 2 is outside/),
  bad('mean', [[2, 3]], { axes: [0, 0], keepDims: false }, ShapeError, /mean: axis 0 is given twice/),
  bad('reshape', [[2, 3]], { shape: [4] }, ShapeError, /\[2,3\] has 6 elements, but \[4\] needs 4/),
  bad('reshape', [[2, 3]], { shape: [-1, 3] }, ShapeError, /every size must be an integer of at least 1/),
  bad('transpose', [[2, 3]], { axes: [0] }, ShapeError, /axes is \[0\]; expected 2 entries/),
  bad('transpose', [[2, 3]], { axes: [1, -1] }, ShapeError, /transpose: axis 1 is given twice/),
  bad('transpose', [[2, 3]], { axes: [0, 2] }, ShapeError, /transpose: axis 2 is outside/),
  bad('pad', [[2, 3]], { before: [1], after: [0, 0], value: 0 }, ShapeError, /before is \[1\]; expected 2 entries/),
  bad('pad', [[2, 3]], { before: [0, -1], after: [0, 0], value: 0 }, ArgumentError, /before is \[0,-1\]/),
  bad('pad', [[2]], { before: [0], after: [0], value: 1e40 }, ArgumentError, /value is .*1e\+40/),
  bad('slice', [[2, 3]], { begin: [0, 1], size: [2, 3] }, ShapeError, /axis 1 of input \[2,3\] has 3.*reach to 4/),
  bad('slice', [[2, 3]], { begin: [0, 0], size: [0, 1] }, ArgumentError, /size is \[0,1\]/),
  bad('concat', [], { axis: 0 }, ShapeError, /got no inputs/),
  bad(
    'concat',
    [
      [2, 3],
      [2, 4],
    ],
    { axis: 0 },
    ShapeError,
    /input 1 has shape \[2,4\].*\[2,3\]/,
  ),
  bad(
    'concat',
    [
      [2, 3],
      [2, 3, 1],
    ],
    { axis: 0 },
    ShapeError,
    /input 1 has shape \[2,3,1\]/,
  ),
  bad('concat', [[2, 3]], { axis: 2 }, ShapeError, /concat: axis 2/),
  bad('maxPool2d', [image], { ...pool, padding: [2, 0, 0, 0] }, ShapeError, /padding \[2,0,0,0\] must be below/),
  bad('avgPool2d', [image], { ...pool, kernel: [8, 1] }, ShapeError, /kernel of 8x1 does not fit/),
  bad('avgPool2d', [image], { ...pool, kernel: [0, 1] }, ArgumentError, /kernel is \[0,1\]/),
  bad('upsampleNearest', [image], { scale: [2, 1.5] }, ArgumentError, /scale is \[2,1.5\]/),
  bad('upsampleBilinear', [image], { size: [0, 4] }, ArgumentError, /size is \[0,4\]/),
  bad('l2Normalize', [[3, 4]], { eps: -1 }, ArgumentError, /eps is -1/),
  bad('softmaxCrossEntropy', [[3, 4], [4]], {}, ShapeError, /labels have shape \[4\]; expected \[3\]/),
  bad('softmaxCrossEntropy', [[3, 4, 1], [3]], {}, ShapeError, /logits has shape \[3,4,1\]/),
  bad('quantize', [[2]], { ...quantize, scale: 0 }, ArgumentError, /scale is 0/),
  bad('quantize', [[2]], { ...quantize, max: -1 }, ArgumentError, /min 0 is above max -1/),
  bad('quantize', [[2]], { ...quantize, min: 0.5 }, ArgumentError, /\[0.5, 255\] must have integer ends/),
  bad('quantize', [[2]], { ...quantize, seed: 2 ** 32 }, ArgumentError, /seed is 4294967296; expected 32 bits/),
  bad('quantize', [[2]], { ...quantize, mode: 'soft' as 'hard' }, ArgumentError, /mode is soft/),
  bad('cosFace', [[2, 4], [9, 5], [2]], { scale: 1, margin: 0 }, ShapeError, /4 dimensions, weights \[9,5\] 5/),
  bad('cosFace', [[2, 4], [9, 4], [9]], { scale: 1, margin: 0 }, ShapeError, /labels have shape \[9\]; expected \[2\]/),
  bad('cosFace', [[2, 4], [9, 4], [2]], { scale: 1, margin: -0.1 }, ArgumentError, /margin is -0.1/),
  bad(
    'mse',
    [
      [2, 3],
      [3, 2],
    ],
    {},
    ShapeError,
    /shapes \[2,3\] and \[3,2\]; expected one shape/,
  ),
  bad('ssim', [image, image], { ...ssim, window: 4 }, ArgumentError, /window is 4; expected an odd size/),
  bad('ssim', [image, image], { ...ssim, window: 7 }, ShapeError, /window of 7x7 does not fit the input \[2,7,5,6\]/),
  bad('ssim', [image, [2, 7, 5, 1]], ssim, ShapeError, /expected one shape/),
  bad('ssim', [image, image], { ...ssim, sigma: 0 }, ArgumentError, /sigma is 0/),
  bad('logisticBits', [image, [1]], {}, ShapeError, /logScale has shape \[1\]; expected \[6\]/),
];

for (const { op, inputs, attrs, error, message } of badCalls) {
  test(`${op} refuses: ${message.source}`, () => {
    const named = new RegExp(`^${op}: `);
    const run = (): unknown => outputShape(op, inputs, attrs);
    refused(run, error, named);
    refused(run, error, message);
  });
}

test.run();
