import * as assert from 'uvu/assert';
import { cosFace, cosFaceOp } from '../../src/ops/cosface.js';
import type { MarginLossKernels } from '../../src/ops/margin-loss.js';
import { chooseRows, l2NormalizeOp, naiveRows, type RowChoice } from '../../src/ops/normalize.js';
import { chooseSoftmax, labelsTensor, naiveSoftmax, softmaxCrossEntropy } from '../../src/ops/softmax.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('cosface');

const ROWS: Record<string, RowChoice> = {
  naive: naiveRows,
  chosen: chooseRows,
  hardware: (rows, size, limits) => chooseRows(rows, size, { ...limits, software: false }),
};

for (const [name, choose] of Object.entries(ROWS)) {
  test(`l2 normalize, ${name} plan`, async () => {
    const implementation = l2NormalizeOp(choose);
    for (const shape of [[1], [6], [3, 5], [2, 3, 7, 4], [5, 130], [67, 512]]) {
      const sumLength = shape[shape.length - 1] ** 0.5;
      // For a row of one element the gradient is the difference of equal terms, so 0.
      await checkOp({ op: 'l2Normalize', attrs: { eps: 1e-12 }, inputs: [shape], implementation, sumLength, scale: 1 });
    }
    // There are rows of zeros, and rows whose length is below eps.
    const values = (_: number, size: number) =>
      randomValues(size, 80).map((v, i) => v * [0, 1e-3, 1][Math.floor(i / 4) % 3]);
    await checkOp({ op: 'l2Normalize', attrs: { eps: 0.1 }, inputs: [[9, 4]], values, implementation, sumLength: 4 });
    await checkOp({
      op: 'l2Normalize',
      attrs: { eps: 1e-12 },
      inputs: [[3, 8]],
      values: (_, size) => new Float32Array(size),
      implementation,
    });
  });
}

/** Labels that include the first and the last class. */
const labelled = (classes: number) => (k: number, size: number) =>
  k === 2
    ? randomValues(size, 90, [0, classes]).map((value, row) => (row < 2 ? row * (classes - 1) : Math.floor(value)))
    : undefined;

const KERNELS: Record<string, MarginLossKernels> = {
  naive: { rows: naiveRows, softmax: naiveSoftmax, matmul: { variant: 'naive' } },
  chosen: {},
  hardware: {
    rows: ROWS.hardware,
    softmax: (rows, classes, limits) => chooseSoftmax(rows, classes, { ...limits, software: false }),
    matmul: { limits: { software: false, subgroupSize: 0 } },
  },
};

/** Batch, classes, dimensions, scale, margin. Software adapters take seconds to compile a workgroup tile, so only one case has it. */
const CASES: Record<string, number[][]> = {
  all: [
    [1, 1, 3, 64, 0.35],
    [3, 2, 5, 30, 0.4],
    [17, 33, 20, 64, 0.35],
    [9, 130, 64, 10, 0],
  ],
  hardware: [[17, 33, 20, 64, 0.35]],
};

for (const [name, kernels] of Object.entries(KERNELS)) {
  test(`cosFace, ${name} kernels`, async () => {
    const implementation = cosFaceOp(kernels);
    for (const [batch, classes, size, s, m] of CASES[name] ?? CASES.all) {
      await checkOp({
        op: 'cosFace',
        attrs: { scale: s, margin: m },
        inputs: [[batch, size], [classes, size], [batch]],
        values: labelled(classes),
        implementation,
        // Logits as large as the scale are rounded before their exponentials are taken.
        factor: s / 4,
        scale: 1 / batch,
      });
    }
  });
}

test('cosFace agrees with float64 for 10,000 classes of 512 dimensions', async () => {
  await checkOp({
    op: 'cosFace',
    attrs: { scale: 64, margin: 0.35 },
    inputs: [[3, 512], [10000, 512], [3]],
    values: labelled(10000),
    factor: 16,
    sumLength: 16,
  });
});

test('cosFace does not depend on the lengths of embeddings and weights, and the margin increases the loss', async () => {
  const gpu = await testGpu();
  const [embeddings, weights] = [randomValues(5 * 16, 1), randomValues(7 * 16, 2)];
  const results = scope(gpu, () => {
    const labels = labelsTensor(gpu, [0, 6, 3, 3, 1], 7);
    const x = Tensor.from(gpu, embeddings, [5, 16]);
    const longer = Tensor.from(
      gpu,
      embeddings.map((v, i) => v * (1 + Math.floor(i / 16))),
      [5, 16],
    );
    const w = Tensor.from(gpu, weights, [7, 16]);
    const uniform = softmaxCrossEntropy(Tensor.zeros(gpu, [5, 7]), labels);
    return [
      cosFace(x, w, labels),
      cosFace(longer, w, labels),
      cosFace(x, w, labels, { margin: 0 }),
      // With a vanishing scale all classes are equally likely.
      cosFace(x, w, labels, { scale: 1e-20 }),
      uniform,
    ];
  });
  const [loss, ofLonger, withoutMargin, unscaled, uniform] = await Promise.all(results.map((tensor) => tensor.item()));
  assert.ok(Math.abs(loss - ofLonger) < 1e-4 * loss, `${loss}, ${ofLonger}`);
  assert.ok(loss > withoutMargin + 1, `${loss}, ${withoutMargin}`);
  assert.ok(Math.abs(uniform - Math.log(7)) < 1e-6 && Math.abs(unscaled - uniform) < 1e-6, `${unscaled}, ${uniform}`);
  for (const tensor of results) tensor.dispose();
});

test.run();
