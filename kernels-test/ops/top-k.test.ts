import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { Tape } from '../../src/ops/tape.js';
import { topK } from '../../src/ops/top-k.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('top k');

test('values and their gradient agree with float64 along each axis, for the largest and the smallest', async () => {
  for (const [shape, axis, k] of [
    [[1], 0, 1],
    [[7], 0, 3],
    [[3, 5, 7], 0, 2],
    [[3, 5, 7], 1, 5],
    [[3, 5, 7], -1, 4],
    [[2, 4096], 1, 65],
  ] as const) {
    for (const largest of [true, false]) {
      await checkOp({ op: 'topK', attrs: { k, axis, largest }, inputs: [shape] });
      const few = (_: number, size: number) => Float32Array.from({ length: size }, (_, i) => ((i * 7) % 5) - 2);
      await checkOp({ op: 'topK', attrs: { k, axis, largest }, inputs: [shape], values: few });
    }
  }
});

test('of equal elements the lower index comes first, and NaN counts as the largest', async () => {
  const gpu = await testGpu();
  const rows = [
    [1, 3, 3, 2, 3],
    [0, -0, 0, -1, 1e-40],
    [Number.NaN, Infinity, -Infinity, Number.NaN, 5],
  ];
  const x = Tensor.from(gpu, rows.flat(), [3, 5]);
  for (const [largest, expected] of [
    [true, [1, 2, 4, 3, 0, 4, 0, 1, 2, 3, 0, 3, 1, 4, 2]],
    [false, [0, 3, 1, 2, 4, 3, 0, 1, 2, 4, 2, 4, 1, 0, 3]],
  ] as const) {
    const { values, indices } = topK(x, 5, { largest, sorted: false });
    const places = await indices.read();
    assert.equal(places, Int32Array.from(expected));
    const read = await values.read();
    read.forEach((value, i) => {
      assert.ok(Object.is(value, Math.fround(rows[Math.floor(i / 5)][places[i]])), `${i}`);
    });
    values.dispose();
    indices.dispose();
  }
  x.dispose();
});

test('a whole axis of 4096 is sorted', async () => {
  const gpu = await testGpu();
  const numbers = randomValues(4096, 5);
  const x = Tensor.from(gpu, numbers, [4096]);
  const { values, indices } = topK(x, 4096);
  assert.equal(await values.read(), Float32Array.from(numbers).sort().reverse());
  assert.is(new Set(await indices.read()).size, 4096);
  for (const tensor of [x, values, indices]) tensor.dispose();
});

test('the gradient goes to what was chosen', async () => {
  const gpu = await testGpu();
  const dx = scope(gpu, () => {
    const x = Tensor.from(gpu, [5, 1, 4, 4, 2, 9], [2, 3]);
    const tape = new Tape();
    const { values } = tape.record(() => topK(x, 2, { axis: 0 }));
    const seed = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [2, 3]);
    return tape.gradients(values, [x], seed).get(x)!;
  });
  assert.equal([...(await dx.read())], [1, 5, 6, 4, 2, 3]);
  dx.dispose();
});

test('integers are compared exactly', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [2 ** 24, 2 ** 24 + 1, -(2 ** 31), 2 ** 31 - 1], [4], 'int32');
  const { values, indices } = topK(x, 3);
  assert.equal(await values.read(), Int32Array.of(2 ** 31 - 1, 2 ** 24 + 1, 2 ** 24));
  assert.equal(await indices.read(), Int32Array.of(3, 1, 0));
  for (const tensor of [x, values, indices]) tensor.dispose();
});

test('more elements than one row of workgroups holds are ranked', async () => {
  const gpu = await testGpu();
  const lines = 65535 * 32 + 3;
  const numbers = Float32Array.from({ length: 2 * lines }, (_, i) => i % 5);
  const x = Tensor.from(gpu, numbers, [lines, 2]);
  const { values, indices } = topK(x, 1);
  assert.ok((await values.read()).every((value, i) => value === Math.max(numbers[2 * i], numbers[2 * i + 1])));
  for (const tensor of [x, values, indices]) tensor.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  const [x, scalar] = [Tensor.zeros(gpu, [2, 3]), Tensor.scalar(gpu, 1)];
  const refuses = (body: () => unknown, type: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  refuses(
    () => topK(x, 4),
    ShapeError,
    /topK: k is 4; expected an integer from 1 to 3, the size of axis 1 of input \[2,3\]/,
  );
  refuses(() => topK(x, 1, { axis: 2 }), ShapeError, /topK: axis 2 is outside/);
  refuses(() => topK(scalar, 1), ShapeError, /expected rank 1 or more/);
  refuses(() => topK(x, 1, { smallest: true } as never), ArgumentError, /topK: there is no option "smallest"/);
  for (const tensor of [x, scalar]) tensor.dispose();
});

test.run();
