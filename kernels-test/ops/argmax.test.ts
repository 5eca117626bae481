import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { argmax, argmaxShape } from '../../src/ops/argmax.js';
import { Tape } from '../../src/tensor/tape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('argmax');

test('argmax gives the index of the largest element, in rows of odd sizes', async () => {
  for (const shape of [[1], [7], [3, 5], [65, 3], [2, 3, 33], [4, 1], [1, 4099]]) {
    await checkOp({ op: 'argmax', attrs: {}, inputs: [shape] });
  }
});

test('argmax gives the first of equal elements, and the first NaN', async () => {
  const gpu = await testGpu();
  const rows = [
    [1, 3, 3, 2],
    [-0, 0, -1, 0],
    [-Infinity, -Infinity, -Infinity, -Infinity],
    [1, Infinity, 5, Infinity],
    [Infinity, Number.NaN, 7, Number.NaN],
    [Number.NaN, 1, 2, 3],
    [-5, -4, -3, -2],
  ];
  const x = Tensor.from(gpu, rows.flat(), [7, 4]);
  const y = argmax(x);
  assert.equal([...y.shape], [7]);
  assert.equal([...(await y.read())], [1, 0, 0, 1, 1, 0, 3]);
  x.dispose();
  y.dispose();
});

test('argmax has no gradient', async () => {
  const x = Tensor.from(await testGpu(), [1, 2], [2]);
  const tape = new Tape();
  const y = tape.record(() => argmax(x));
  assert.equal([...y.shape], []);
  assert.throws(
    () => tape.gradients(y, [x]),
    (error: Error) => error instanceof ArgumentError && /no gradient reaches/.test(error.message),
  );
  x.dispose();
  y.dispose();
});

test('an array without a last axis, or with too long a one, is refused', () => {
  for (const [shape, message] of [
    [[], /argmax: input has shape \[\]; expected rank 1 or more/],
    [[2, 2 ** 24 + 1], /at most 2\^24/],
  ] as const) {
    assert.throws(
      () => argmaxShape([shape]),
      (error: Error) => error instanceof ShapeError && message.test(error.message),
    );
  }
});

test.run();
