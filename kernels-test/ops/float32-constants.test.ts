import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { f32Literal } from '../../shaders/common/literal.js';
import { ArgumentError } from '../../src/common/errors.js';
import { checkHyperparameter } from '../../src/nn/optimizer.js';
import { constant, cosine, stepDecay } from '../../src/nn/schedule.js';
import { type OpAttrs, type OpName, outputShape } from '../../src/ops/registry.js';

/*
 * Constants are checked in the precision that kernels use. A constant must be finite in float32, and one that rounds to 0 there is
 * not the number that was given.
 */

/** Numbers that are finite as doubles but not as float32, and numbers that are above 0 as doubles but may be 0 as float32. */
const [TOO_LARGE, TOO_SMALL] = [
  [1e39, 3.5e38, 1e300],
  [1e-39, 1e-50, 5e-324],
];

function refused(run: () => unknown, name: string, value: number): void {
  assert.throws(run, (error: Error) => {
    assert.instance(error, ArgumentError);
    assert.ok(error.message.includes(`${name} is ${value}`), `${name}, ${value}: ${error.message}`);
    assert.match(error.message, /float32/);
    return true;
  });
}

const quantize = { mode: 'hard', scale: 1, min: 0, max: 255, seed: 0, stream: 0 } as const;
const loss = { loss: 'cosface', scale: 64, margin: 0.35, lambda: 0 } as const;
const labelled = [[4, 8], [10, 8], [4]];
const [x, c] = [[2, 4, 4, 3], [3]];

/** An operation, its inputs, its attributes, and which of these are constants of kernels; `signed` means that they may be below 0. */
const constants: [OpName, number[][], object, string[], signed?: boolean][] = [
  ['batchNormTraining', [x, c, c], { eps: 1e-5 }, ['eps']],
  ['batchNormInference', [x, c, c, c, c], { eps: 1e-5 }, ['eps']],
  ['batchNormPreluTraining', [x, c, c, c], { eps: 1e-5 }, ['eps']],
  ['batchNormPreluInference', [x, c, c, c, c, c], { eps: 1e-5 }, ['eps']],
  ['l2Normalize', [x], { eps: 1e-12 }, ['eps']],
  ['affine', [x], { scale: 1, offset: 0 }, ['scale', 'offset'], true],
  ['leakyRelu', [x], { slope: 0.1 }, ['slope'], true],
  ['elu', [x], { alpha: 1 }, ['alpha']],
  ['hardSigmoid', [x], { alpha: 0.2, beta: 0.5 }, ['alpha']],
  ['hardSigmoid', [x], { alpha: 0.2, beta: 0.5 }, ['beta'], true],
  ['pad', [[2]], { before: [1], after: [0], value: 0 }, ['value'], true],
  ['clamp', [x], { min: -Infinity, max: Infinity }, ['min', 'max'], true],
  ['quantize', [x], quantize, ['scale']],
  ['cosFace', labelled, { scale: 64, margin: 0.35 }, ['scale', 'margin']],
  ['marginLoss', labelled, loss, ['scale', 'margin', 'lambda']],
  ['ssim', [x, x], { window: 3, sigma: 1.5, dataRange: 1 }, ['sigma', 'dataRange']],
];

for (const [op, inputs, attrs, names, signed] of constants) {
  test(`${op} refuses values of ${names.join(', ')} that float32 does not hold`, () => {
    const shapeOf = (changed: object) => outputShape(op, inputs, { ...attrs, ...changed } as OpAttrs[typeof op]);
    shapeOf({});
    for (const name of names) {
      for (const value of [...TOO_LARGE, ...TOO_SMALL]) {
        refused(() => shapeOf({ [name]: value }), name, value);
        if (signed) refused(() => shapeOf({ [name]: -value }), name, -value);
      }
      // A tensor may be padded with NaN.
      for (const value of [...(op === 'pad' ? [] : [Number.NaN]), '1', null]) {
        assert.throws(
          () => shapeOf({ [name]: value }),
          (error: Error) => error.message.includes(`${name} is ${value}`),
        );
      }
    }
  });
}

test('ends of ranges must be integers that float32 holds, or infinite for no bound', () => {
  const shapeOf = (min: number, max: number) => outputShape('quantize', [x], { ...quantize, min, max });
  shapeOf(-(2 ** 24), 2 ** 24);
  assert.throws(() => shapeOf(0, 2 ** 24 + 1), /the range \[0, 16777217\] must lie within ±2\^24/);
  outputShape('clamp', [x], { min: 0, max: Infinity });
  assert.throws(() => outputShape('clamp', [x], { min: Infinity, max: 0 }), /min is Infinity/);
});

test('numbers that are computed from a constant must be float32, too', () => {
  const shapeOf = (dataRange: number) => outputShape('ssim', [x, x], { window: 3, sigma: 1.5, dataRange });
  shapeOf(255);
  for (const dataRange of [1e-18, 1e21])
    assert.throws(() => shapeOf(dataRange), /\(0\.0[13]·dataRange\)² is .*float32/);
});

test('hyperparameters of optimisers and rates of schedules must be float32', () => {
  for (const value of [1e39, 1e-50]) {
    refused(() => constant(value), 'lr', value);
    refused(() => stepDecay(value, [1]), 'lr', value);
    refused(() => cosine(0.1, 10, value), 'final', value);
    refused(() => checkHyperparameter('SGD', 'weightDecay', value, 0, Infinity), 'weightDecay', value);
  }
  checkHyperparameter('Adam', 'beta 2', 0.9999, 0, 1);
  refused(() => checkHyperparameter('Adam', 'beta 2', 1 - 1e-9, 0, 1), 'beta 2', 1 - 1e-9);
});

test('a literal that float32 does not hold is refused', () => {
  assert.is(f32Literal(1e38), 'f32(9.999999680285692e+37)');
  for (const value of [1e39, -1e300, Infinity, Number.NaN]) assert.throws(() => f32Literal(value), /no literal for/);
});

test.run();
