import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { argmax, argmin } from '../../src/ops/argmax.js';
import { Tape } from '../../src/ops/tape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('argmax');

const SPECIALS = [
  [1, 3, 3, 2],
  [-0, 0, -1, 0],
  [-Infinity, -Infinity, -Infinity, -Infinity],
  [1, Infinity, 5, Infinity],
  [Infinity, Number.NaN, 7, Number.NaN],
  [Number.NaN, 1, 2, 3],
  [-5, -4, -3, -2],
];

for (const op of ['argmax', 'argmin'] as const) {
  test(`${op} agrees with float64 along each axis`, async () => {
    for (const shape of [[1], [7], [3, 5], [65, 3], [2, 3, 33], [4, 1], [1, 4099]]) {
      for (const axis of shape.keys()) {
        const keepDims = axis % 2 === 0;
        await checkOp({ op, attrs: { axis, keepDims, last: false }, inputs: [shape] });
      }
    }
  });

  test(`${op} picks the first or the last of equal elements, and of NaN`, async () => {
    for (const last of [false, true]) {
      const values = () => Float32Array.from(SPECIALS.flat());
      await checkOp({ op, attrs: { axis: -1, keepDims: false, last }, inputs: [[7, 4]], values });
      const few = (_: number, size: number) => Float32Array.from({ length: size }, (_, i) => (i * 7) % 3);
      await checkOp({ op, attrs: { axis: 1, keepDims: true, last }, inputs: [[3, 10, 2]], values: few });
    }
  });
}

test('the indices are int32', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, SPECIALS.flat(), [7, 4]);
  const y = argmax(x);
  assert.equal([...y.shape], [7]);
  assert.equal(await y.read(), Int32Array.of(1, 0, 0, 1, 1, 0, 3));
  const kept = argmin(x, 1, { keepDims: true, last: true });
  assert.equal([...kept.shape], [7, 1]);
  assert.equal(await kept.read(), Int32Array.of(0, 2, 3, 0, 3, 0, 0));
  for (const tensor of [x, y, kept]) tensor.dispose();
});

test('integers are compared exactly', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [2 ** 24, 2 ** 24 + 1, -(2 ** 31), 2 ** 31 - 1], [4], 'int32');
  const [high, low] = [argmax(x), argmin(x, 0)];
  assert.equal([await high.item(), await low.item()], [3, 2]);
  for (const tensor of [x, high, low]) tensor.dispose();
});

test('argmax has no gradient', async () => {
  const x = Tensor.from(await testGpu(), [1, 2], [2]);
  const tape = new Tape();
  const y = tape.record(() => argmax(x));
  assert.equal([...y.shape], []);
  assert.throws(
    () => tape.gradients(y as unknown as Tensor, [x]),
    (error: Error) => error instanceof ArgumentError && /no gradient reaches/.test(error.message),
  );
  x.dispose();
  y.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  const [x, scalar] = [Tensor.zeros(gpu, [2, 3]), Tensor.scalar(gpu, 1)];
  const refuses = (body: () => unknown, type: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  refuses(() => argmax(scalar), ShapeError, /argmax: input has shape \[\]; expected rank 1 or more/);
  refuses(() => argmin(x, -3), ShapeError, /argmin: axis -3 is outside/);
  refuses(() => argmax(x, 0, { first: true } as never), ArgumentError, /argmax: there is no option "first"/);
  for (const tensor of [x, scalar]) tensor.dispose();
});

test.run();
