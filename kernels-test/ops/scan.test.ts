import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { cumprod, cumsum, scanOp } from '../../src/ops/scan.js';
import { Tape } from '../../src/ops/tape.js';
import { type AnyTensor, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('running sums and products');

const WAYS = [
  { exclusive: false, reverse: false },
  { exclusive: true, reverse: false },
  { exclusive: false, reverse: true },
  { exclusive: true, reverse: true },
];

/** Shape, axis; lengths around one block and around blocks of blocks. */
const CASES: [shape: number[], axis: number][] = [
  [[1], 0],
  [[7], 0],
  [[3, 5, 7], 0],
  [[3, 5, 7], 1],
  [[3, 5, 7], -1],
  [[2, 32, 3], 1],
  [[2, 33, 3], 1],
  [[3, 1025], 1],
  [[4099], 0],
];

test('cumsum agrees with float64 in each direction, in blocks and by the naive way', async () => {
  for (const [shape, axis] of CASES) {
    for (const way of WAYS) {
      const test = {
        op: 'cumsum',
        attrs: { axis, ...way },
        inputs: [shape],
        scale: 4,
        sumLength: shape[axis],
      } as const;
      await checkOp(test);
      if (shape.length < 3) await checkOp({ ...test, linear: true, implementation: scanOp('cumsum', Infinity) });
    }
  }
});

test('cumprod agrees with float64 in each direction, in blocks and by the naive way', async () => {
  for (const [shape, axis] of CASES.slice(0, -2)) {
    for (const way of WAYS) {
      const values = (k: number, size: number) => randomValues(size, k, [0.6, 1.4]);
      const sumLength = shape.at(axis);
      const test = {
        op: 'cumprod',
        attrs: { axis, ...way },
        inputs: [shape],
        values,
        sumLength,
        linear: true,
      } as const;
      await checkOp(test);
      await checkOp({ ...test, implementation: scanOp('cumprod', Infinity) });
    }
  }
});

test('the gradient of cumprod is right with zeros', async () => {
  for (const zeros of [[0], [3], [6], [2, 4]]) {
    for (const way of WAYS) {
      const values = (_: number, size: number) =>
        Float32Array.from({ length: size }, (_, i) => (zeros.includes(i % 7) ? 0 : 0.5 + (i % 5)));
      await checkOp({ op: 'cumprod', attrs: { axis: 1, ...way }, inputs: [[3, 7]], values, sumLength: 7 });
    }
  }
});

test('a long sum of equal numbers does not drift', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, new Float32Array(200_000).fill(0.1), [200_000]);
  const y = cumsum(x, 0);
  const sums = await y.read();
  const worst = sums.reduce((most, sum, k) => Math.max(most, Math.abs(sum / ((k + 1) * Math.fround(0.1)) - 1)), 0);
  assert.ok(worst < 3e-6, `relative error ${worst}`);
  x.dispose();
  y.dispose();
});

test('NaN and infinity reach the results from their place on, across blocks', async () => {
  const gpu = await testGpu();
  const values = new Float32Array(100).fill(1);
  values[40] = Infinity;
  values[70] = -Infinity;
  const x = Tensor.from(gpu, values, [100]);
  const y = cumsum(x, 0);
  const sums = await y.read();
  assert.equal([sums[39], sums[40], sums[69], sums[70], sums[99]], [40, Infinity, Infinity, Number.NaN, Number.NaN]);
  x.dispose();
  y.dispose();
});

test('integers are added and multiplied exactly, and wrap around', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [2 ** 24, 1, -3, 2 ** 31 - 1], [2, 2], 'int32');
  const results: AnyTensor[] = [
    cumsum(x, 1),
    cumsum(x, 0, { reverse: true }),
    cumprod(x, -1, { exclusive: true }),
    cumprod(x, 1),
  ];
  const expected = [
    [2 ** 24, 2 ** 24 + 1, -3, 2 ** 31 - 4],
    [2 ** 24 - 3, -(2 ** 31), -3, 2 ** 31 - 1],
    [1, 2 ** 24, 1, -3],
    [2 ** 24, 2 ** 24, -3, Math.imul(-3, 2 ** 31 - 1)],
  ];
  for (const [k, y] of results.entries()) {
    assert.is(y.dtype, 'int32');
    assert.equal([...(await y.read())], expected[k]);
    y.dispose();
  }
  x.dispose();
});

test('more lines than one row of workgroups holds are scanned', async () => {
  const gpu = await testGpu();
  const lines = 65535 * 64 + 3;
  const x = Tensor.from(gpu, new Float32Array(2 * lines).fill(1), [2, lines]);
  const y = cumsum(x, 0);
  assert.ok((await y.read()).every((value, i) => value === (i < lines ? 1 : 2)));
  x.dispose();
  y.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  const [x, scalar, mask] = [Tensor.zeros(gpu, [2, 3]), Tensor.scalar(gpu, 1), Tensor.from(gpu, [1], [1], 'bool')];
  const refuses = (body: () => unknown, type: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
  refuses(() => cumsum(x, 2), ShapeError, /cumsum: axis 2 is outside/);
  refuses(() => cumprod(scalar, 0), ShapeError, /cumprod: input has shape \[\]; expected rank 1 or more/);
  refuses(() => cumsum(x, 0, { backwards: true } as never), ArgumentError, /cumsum: there is no option "backwards"/);
  refuses(() => cumsum(mask as never, 0), ArgumentError, /cumsum: x is a tensor of "bool"; expected float32 or int32/);
  for (const tensor of [x, scalar, mask]) tensor.dispose();
});

test('tapes differentiate them', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3], [3]);
  const tape = new Tape();
  const y = tape.record(() => cumsum(x, 0));
  const seed = Tensor.from(gpu, [1, 10, 100], [3]);
  const dx = tape.gradients(y, [x], seed).get(x)!;
  assert.equal([...(await dx.read())], [111, 110, 100]);
  for (const tensor of [x, y, seed, dx]) tensor.dispose();
});

test.run();
