import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { Muon, orthogonalized } from '../../src/nn/muon.js';
import { multiplyReference } from '../../src/ops/matmul/matmul.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('muon');

const [A, B, C] = [3.4445, -4.775, 2.0315];

/** The iteration in float64, on rows × columns numbers. */
function orthogonalReference(values: Float64Array, rows: number, columns: number): Float64Array {
  const norm = Math.hypot(...values);
  let y = { shape: [rows, columns], data: values.map((value) => value / norm) };
  const tall = rows > columns;
  for (let round = 0; round < 5; round++) {
    const square = multiplyReference(y, y, tall, !tall);
    const fourth = multiplyReference(square, square);
    const sum = { shape: square.shape, data: Float64Array.from(square.data, (v, i) => B * v + C * fourth.data[i]) };
    const product = tall ? multiplyReference(y, sum) : multiplyReference(sum, y);
    const old = y.data;
    y = { shape: y.shape, data: Float64Array.from(product.data, (value, i) => A * old[i] + value) };
  }
  return y.data;
}

const SHAPES: [number[], number, number][] = [
  [[5, 3], 5, 3],
  [[3, 7], 3, 7],
  [[4, 4], 4, 4],
  [[3, 3, 2, 5], 18, 5],
  [[1, 1, 3, 17], 3, 17],
];

test('steps follow the formula in float64, over tall, wide and square matrices', async () => {
  const gpu = await testGpu();
  const [beta, weightDecay] = [0.9, 0.02];
  const params = SHAPES.map(([shape, rows, columns], k) =>
    keep(Tensor.from(gpu, randomValues(rows * columns, k), shape)),
  );
  const muon = new Muon(new Map(params.map((param, k) => [`p${k}`, param])), { momentum: beta, weightDecay });
  const expected = SHAPES.map(([, rows, columns], k) => Float64Array.from(randomValues(rows * columns, k)));
  const momenta = expected.map((values) => new Float64Array(values.length));
  for (let step = 0; step < 4; step++) {
    const rate = 0.03 / (1 + step);
    const clip = step % 2 === 0 ? 0.25 : 1;
    const gradients = params.map(({ size }, k) => randomValues(size, 100 + 10 * step + k));
    scope(gpu, () => {
      const grads = new Map(params.map((param, k) => [param, Tensor.from(gpu, gradients[k], param.shape)]));
      muon.step(grads, rate, clip === 1 ? undefined : Tensor.from(gpu, [clip], []));
    });
    await gpu.endStep();
    for (const [k, [, rows, columns]] of SHAPES.entries()) {
      const factor = 0.2 * Math.sqrt(Math.max(rows, columns));
      const ahead = momenta[k].map((old, i) => {
        momenta[k][i] = beta * old + clip * gradients[k][i];
        return clip * gradients[k][i] + beta * momenta[k][i];
      });
      const update = orthogonalReference(ahead, rows, columns);
      expected[k].forEach((value, i) => {
        expected[k][i] = value - rate * (factor * update[i] + weightDecay * value);
      });
    }
  }
  for (const [k, param] of params.entries()) {
    assertClose(`p${k}`, await param.read(), expected[k], { sumLength: 200 });
  }
  muon.dispose();
  for (const param of params) param.dispose();
});

test('an update has singular values near 1, whatever those of the gradient are', async () => {
  const gpu = await testGpu();
  // Columns of very different lengths, nearly orthogonal: singular values from 1 down to 1/20.
  const [rows, columns] = [40, 6];
  const x = randomValues(rows * columns, 5).map((value, i) => value / (1 + 4 * (i % columns)));
  const y = scope(gpu, () => orthogonalized(Tensor.from(gpu, x, [rows, columns])));
  const data = Float64Array.from(await y.read());
  const gram = multiplyReference({ shape: [rows, columns], data }, { shape: [rows, columns], data }, true);
  for (let k = 0; k < columns; k++) {
    const square = gram.data[k * columns + k];
    assert.ok(square > 0.3 && square < 1.6, `column ${k}: ${square}`);
  }
  y.dispose();
});

test('NaN comes through, and what does not fit is refused', async () => {
  const gpu = await testGpu();
  const [matrix, vector] = [[2, 3], [3]].map((shape) => keep(Tensor.zeros(gpu, shape)));
  const error = await rejection(async () => new Muon(new Map([['bias', vector]])), ArgumentError);
  assert.is(error.message, 'Muon: the parameter bias has shape [3]; expected two axes or more');
  assert.throws(() => new Muon(new Map([['m', matrix]]), { momentum: 1 }), /Muon: momentum is 1/);
  const muon = new Muon(new Map([['m', matrix]]), { learningRate: 0.1 });
  scope(gpu, () => muon.step(new Map([[matrix, Tensor.from(gpu, [1, 2, Number.NaN, 4, 5, 6], [2, 3])]])));
  await gpu.endStep();
  assert.ok((await matrix.read()).some(Number.isNaN));
  assert.equal([...(await muon.saveState()).keys()], ['momentum.m', 'step']);
  muon.dispose();
  for (const tensor of [matrix, vector]) tensor.dispose();
});

test.run();
