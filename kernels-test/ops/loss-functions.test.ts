import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import {
  bceWithLogits,
  crossEntropy,
  huberLoss,
  l1Loss,
  type NllLossAttrs,
  nllLoss,
  smoothL1Loss,
} from '../../src/ops/losses.js';
import { labelsTensor, softmaxCrossEntropy } from '../../src/ops/softmax.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('loss functions');

test('the negative log-likelihood agrees with float64, for labels of both types', async () => {
  for (const reduction of ['mean', 'sum', 'none'] as const) {
    for (const [shape, weighted, ignoreIndex] of [
      [[1, 1], false, null],
      [[7, 5], true, null],
      [[2, 3, 4, 3], false, 1],
      [[2100, 3], true, 2],
    ] as const) {
      const attrs: NllLossAttrs = { reduction, ignoreIndex };
      const classes = shape[shape.length - 1];
      const inputs = [shape, shape.slice(0, -1), ...(weighted ? [[classes]] : [])];
      const values = (k: number, size: number) =>
        k === 1 ? randomValues(size, 5, [0, classes]).map(Math.floor) : randomValues(size, k, [0.5, 2]);
      const sumLength = shape[0];
      await checkOp({ op: 'nllLoss', attrs, inputs, values, sumLength });
      const dtypes = (['float32', 'int32', 'float32'] as const).slice(0, inputs.length);
      await checkOp({ op: 'nllLoss', attrs, inputs, values, dtypes, sumLength });
    }
  }
});

test('a label that is no class gives NaN, and nothing else does', async () => {
  const values = (k: number, size: number) => (k === 1 ? Float32Array.of(0, 3, -1, 2) : randomValues(size, 1));
  for (const reduction of ['none', 'mean'] as const) {
    const attrs: NllLossAttrs = { reduction, ignoreIndex: null };
    await checkOp({ op: 'nllLoss', attrs, inputs: [[4, 3], [4]], dtypes: ['float32', 'int32'], values });
  }
});

/** Value and gradient by the first of two tensors. */
async function valueAndGradient(
  [a, b]: readonly number[][],
  loss: (a: Tensor, b: Tensor) => Tensor,
): Promise<[Float32Array, Float32Array]> {
  const gpu = await testGpu();
  const kept = scope(gpu, () => {
    const [x, y] = [a, b].map((values) => Tensor.from(gpu, values, [values.length]));
    const tape = new Tape();
    const value = tape.record(() => loss(x, y));
    return [
      value,
      tape.gradients(value, [x], Tensor.from(gpu, new Float32Array(value.size).fill(1), value.shape)).get(x)!,
    ];
  });
  const read = await Promise.all(kept.map((tensor) => tensor.read()));
  for (const tensor of kept) tensor.dispose();
  return read as [Float32Array, Float32Array];
}

test('losses of differences', async () => {
  const pair = [
    [1, -2, 0.5, 3],
    [0.75, 1, 0.5, -1],
  ];
  const check = async (
    loss: (a: Tensor, b: Tensor) => Tensor,
    each: number[],
    slopes: number[],
    count: number,
  ): Promise<void> => {
    const [value, gradient] = await valueAndGradient(pair, loss);
    assertClose('value', value, count === 1 ? each : [each.reduce((a, b) => a + b) / count], { sumLength: 4 });
    assertClose(
      'gradient',
      gradient,
      slopes.map((slope) => slope / count),
    );
  };
  // The differences are 0.25, −3, 0 and 4.
  await check(l1Loss, [0.25, 3, 0, 4], [1, -1, 0, 1], 4);
  await check((a, b) => l1Loss(a, b, { reduction: 'none' }), [0.25, 3, 0, 4], [1, -1, 0, 1], 1);
  await check((a, b) => huberLoss(a, b, { delta: 2 }), [0.03125, 4, 0, 6], [0.25, -2, 0, 2], 4);
  await check((a, b) => smoothL1Loss(a, b, { beta: 2 }), [0.015625, 2, 0, 3], [0.125, -1, 0, 1], 4);
  await check((a, b) => smoothL1Loss(a, b, { beta: 0 }), [0.25, 3, 0, 4], [1, -1, 0, 1], 4);
  const [value] = await valueAndGradient(pair, (a, b) => huberLoss(a, b, { reduction: 'sum' }));
  assertClose('sum', value, [0.03125 + 2.5 + 3.5]);
});

test('binary cross-entropy of logits is exact for large ones, with a weight of the positive', async () => {
  const gpu = await testGpu();
  const x = [0, 2, -3, 60, -60, 20, -20];
  const y = [1, 0.25, 0, 1, 0, 1, 1];
  for (const weight of [1, 2.5]) {
    const posWeight = Tensor.scalar(gpu, weight);
    const expected = x.map((v, i) => weight * y[i] * Math.log1p(Math.exp(-v)) + (1 - y[i]) * Math.log1p(Math.exp(v)));
    const slopes = x.map((v, i) => {
      const p = 1 / (1 + Math.exp(-v));
      return weight * y[i] * (p - 1) + (1 - y[i]) * p;
    });
    const [value, gradient] = await valueAndGradient([x, y], (a, b) =>
      bceWithLogits(a, b, { reduction: 'none', ...(weight === 1 ? {} : { posWeight }) }),
    );
    assertClose('value', value, expected, { factor: 4 });
    assertClose('gradient', gradient, slopes, { factor: 4 });
    assert.ok(Math.abs(value[5] / expected[5] - 1) < 1e-5, `${value[5]}, expected ${expected[5]}`);
    posWeight.dispose();
  }
});

test('cross-entropy is that of the softmax, and frees what it made', async () => {
  const gpu = await testGpu();
  const values = randomValues(30, 7);
  const [floats, ints] = [labelsTensor(gpu, [1, 0, 4, 4, 2, 3], 5), Tensor.from(gpu, [1, 0, 4, 4, 2, 3], [6], 'int32')];
  const logits = Tensor.from(gpu, values, [6, 5]);
  const softmax = scope(gpu, () => softmaxCrossEntropy(logits, floats));
  const losses = [softmax, crossEntropy(logits, floats), crossEntropy(logits, ints)];
  const read = await Promise.all(losses.map((loss) => loss.item()));
  assertClose('losses', read.slice(1), [read[0], read[0]], { factor: 4 });
  for (const tensor of [floats, ints, logits, ...losses]) tensor.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const zeros = (...shape: number[]) => Tensor.zeros(gpu, shape);
    const refuses = (body: () => unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof kind && message.test(error.message));
    refuses(() => l1Loss(zeros(2), zeros(1)), ShapeError, /l1Loss: inputs have shapes \[2\] and \[1\]/);
    refuses(() => huberLoss(zeros(2), zeros(2), { delta: 0 }), ArgumentError, /huberLoss: delta is 0/);
    refuses(() => smoothL1Loss(zeros(2), zeros(2), { delta: 1 } as never), ArgumentError, /no option "delta"/);
    refuses(() => bceWithLogits(zeros(2), zeros(3)), ShapeError, /bceWithLogits: inputs have shapes/);
    refuses(() => bceWithLogits(zeros(2), zeros(2), { posWeight: zeros(3, 1) }), ShapeError, /posWeight does not/);
    refuses(() => nllLoss(zeros(2, 3), zeros(3)), ShapeError, /nllLoss: labels have shape \[3\]; expected \[2\]/);
    refuses(() => nllLoss(zeros(2, 3), zeros(2), { weight: zeros(2) }), ShapeError, /weight has shape \[2\]/);
    refuses(() => nllLoss(zeros(2, 3), zeros(2), { reduction: 'sums' as never }), ArgumentError, /reduction is "sums"/);
    refuses(
      () => crossEntropy(zeros(2, 3), zeros(2), { ignoreIndex: 0.5 }),
      ArgumentError,
      /ignoreIndex is the number/,
    );
    const bools = Tensor.from(gpu, [true, false], [2], 'bool');
    refuses(() => nllLoss(zeros(2, 3), bools as never), ArgumentError, /labels is a tensor of "bool"/);
  });
});

test.run();
