import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import type { KernelLimits } from '../../src/gpu/kernel.js';
import { convGradients } from '../../src/ops/conv/gradient.js';
import { sum } from '../../src/ops/reduce.js';
import {
  chooseRowSoftmax,
  logSoftmax,
  naiveRowSoftmax,
  type RowSoftmaxChoice,
  rowSoftmaxOp,
  rowSoftmaxOps,
  softmax,
} from '../../src/ops/row-softmax.js';
import { labelsTensor, softmaxCrossEntropy } from '../../src/ops/softmax.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('softmax of rows');

const CHOICES: Record<string, RowSoftmaxChoice> = {
  chosen: chooseRowSoftmax,
  naive: naiveRowSoftmax,
  'a workgroup a row': (rows, size) => ({ rows, size, lanes: 64 }),
};

for (const [name, choose] of Object.entries(CHOICES)) {
  for (const op of ['softmax', 'logSoftmax'] as const) {
    test(`${op} agrees with float64, ${name}`, async () => {
      for (const shape of [[1], [7], [3, 5], [65, 3], [2, 3, 33], [4, 1], [3, 300], [1, 4099]]) {
        const size = shape[shape.length - 1];
        // WGSL allows exp and log a coarser error.
        await checkOp({
          ...{ op, attrs: {}, inputs: [shape], implementation: rowSoftmaxOp(op, choose) },
          ...{ sumLength: size, factor: 4 },
        });
      }
    });
  }

  test(`numbers that are large, masked or not finite, ${name}`, async () => {
    const gpu = await testGpu();
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    const rows = [
      [1000, 1000, -1000],
      [3e38, -3e38, 0],
      [-inf, 0, 0],
      [-inf, -inf, -inf],
      [nan, 0, 1],
      [inf, 0, 1],
      [-3e38, -3e38, -inf],
    ];
    const half = Math.log(0.5);
    const expected = {
      softmax: [[0.5, 0.5, 0], [1, 0, 0], [0, 0.5, 0.5], null, null, null, [0.5, 0.5, 0]],
      logSoftmax: [
        [half, half, -2000 + half],
        [0, -inf, -3e38],
        [-inf, half, half],
        null,
        null,
        null,
        [half, half, -inf],
      ],
    };
    const x = Tensor.from(gpu, rows);
    for (const op of ['softmax', 'logSoftmax'] as const) {
      const { output } = rowSoftmaxOp(op, choose).forward([x], {}, x.shape);
      const values = await output.read();
      for (const [r, row] of expected[op].entries()) {
        for (let c = 0; c < 3; c++) {
          const [actual, wanted] = [values[3 * r + c], row?.[c]];
          const label = `${op} of [${rows[r]}], number ${c}: ${actual}, expected ${wanted ?? nan}`;
          if (wanted === undefined) assert.ok(Number.isNaN(actual), label);
          else if (Number.isFinite(wanted))
            assert.ok(Math.abs(actual - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted)), label);
          // The difference of the largest numbers of opposite sign is below all of float32.
          else assert.ok(actual === wanted || actual < -3.4e38, label);
        }
      }
      output.dispose();
    }
    x.dispose();
  });
}

test('a masked number gets no gradient, and passes none on', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [-Infinity, 1, 2]);
  const weights = Tensor.from(gpu, [5, 1, -1]);
  for (const op of ['softmax', 'logSoftmax'] as const) {
    const { output } = rowSoftmaxOps[op].forward([x], {}, x.shape);
    const dy = op === 'softmax' ? weights : Tensor.from(gpu, [0, 1, -1]);
    const needs = [true];
    const [dx] = rowSoftmaxOps[op].backward({
      inputs: [x],
      output,
      saved: [],
      attrs: {},
      dy,
      needs,
      gradients: convGradients,
    });
    const [masked, ...others] = await dx!.read();
    assert.is(Math.abs(masked), 0, op);
    assert.ok(
      others.every((value) => Number.isFinite(value) && value !== 0),
      `${op}: ${others}`,
    );
    for (const tensor of [output, dx!]) tensor.dispose();
    if (dy !== weights) dy.dispose();
  }
  for (const tensor of [x, weights]) tensor.dispose();
});

test('the mean of −logSoftmax at the labels is the cross-entropy, with its gradient', async () => {
  const gpu = await testGpu();
  const logits = Tensor.from(gpu, randomValues(20, 4, [-3, 3]), [4, 5]);
  const labels = labelsTensor(gpu, [0, 4, 2, 2], 5);
  const picked = Float32Array.from({ length: 20 }, (_, i) => ([0, 9, 12, 17].includes(i) ? -0.25 : 0));
  const run = (loss: () => Tensor): [Tensor, Tensor] =>
    scope(gpu, () => {
      const tape = new Tape();
      const value = tape.record(loss);
      return [value, tape.gradients(value, [logits]).get(logits)!];
    });
  const [expected, expectedGradient] = run(() => softmaxCrossEntropy(logits, labels));
  const seed = Tensor.from(gpu, picked, [4, 5]);
  const [all, gradient] = scope(gpu, () => {
    const tape = new Tape();
    const y = tape.record(() => logSoftmax(logits));
    return [y, tape.gradients(y, [logits], seed).get(logits)!];
  });
  const mean = (await all.read()).reduce((total, value, i) => total + value * picked[i], 0);
  assert.ok(Math.abs(mean - (await expected.item())) < 1e-5);
  assertClose('gradient', await gradient.read(), await expectedGradient.read(), { sumLength: 5, factor: 4 });
  for (const tensor of [logits, labels, expected, expectedGradient, seed, all, gradient]) tensor.dispose();
});

test('probabilities of a row add up to 1', async () => {
  const gpu = await testGpu();
  const totals = scope(gpu, () => sum(softmax(Tensor.from(gpu, randomValues(5000, 9, [-20, 20]), [5, 1000])), [1]));
  for (const total of await totals.read()) assert.ok(Math.abs(total - 1) < 1e-5, `${total}`);
  totals.dispose();
});

test('the choice takes a workgroup for long rows on a GPU only, and a scalar has no last axis', () => {
  const limits = (software: boolean) => ({ software }) as KernelLimits;
  assert.is(chooseRowSoftmax(8, 1000, limits(true)).lanes, 1);
  assert.is(chooseRowSoftmax(8, 1000, limits(false)).lanes, 64);
  assert.is(chooseRowSoftmax(8, 100, limits(false)).lanes, 1);
  assert.throws(
    () => rowSoftmaxOps.softmax.shape([[]], {}),
    (error: Error) => error instanceof ShapeError && /softmax: input has shape \[\]/.test(error.message),
  );
});

test.run();
