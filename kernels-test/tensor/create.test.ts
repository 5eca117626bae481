import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { arange, eye, full, ones, randn } from '../../src/tensor/create.js';
import { formatTensor } from '../../src/tensor/format.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('creating tensors');

/** Shape and values; the tensor is freed. */
async function contents(tensor: Tensor): Promise<[number[], number[]]> {
  const values = [...(await tensor.read())];
  tensor.dispose();
  return [[...tensor.shape], values];
}

test('lists of lists give the shape', async () => {
  const gpu = await testGpu();
  assert.equal(await contents(Tensor.from(gpu, [1, 2, 3])), [[3], [1, 2, 3]]);
  assert.equal(await contents(Tensor.from(gpu, Float64Array.of(1, 2))), [[2], [1, 2]]);
  const nested = [
    [[1], [2], [3]],
    [[4], [5], [6]],
  ];
  assert.equal(await contents(Tensor.from(gpu, nested)), [
    [2, 3, 1],
    [1, 2, 3, 4, 5, 6],
  ]);
  assert.equal(await contents(Tensor.from(gpu, [Uint8Array.of(1, 2), [3, 4]])), [
    [2, 2],
    [1, 2, 3, 4],
  ]);
});

test('lists of different lengths or depths are refused, with the place', async () => {
  const gpu = await testGpu();
  for (const [values, message] of [
    [[[1, 2], [3]], /values\[1\] has 1 values; expected 2/],
    [[[1, 2], 3], /values\[1\] is the number 3; expected a list of 2 values/],
    [
      [
        [1, 2],
        [3, [4]],
      ],
      /values\[1\]\[1\] is a list; expected a number/,
    ],
    [[[[1]], [[2, 3]]], /values\[1\]\[0\] has 2 values; expected 1/],
  ] as const) {
    assert.match((await rejection(() => Tensor.from(gpu, values as never), ShapeError)).message, message);
  }
  assert.match(
    (await rejection(() => Tensor.from(gpu, [1, [2]]), ArgumentError)).message,
    /value 1 is the array \[2\]/,
  );
  for (const nothing of [undefined, 'text', 3, null])
    await rejection(() => Tensor.from(gpu, nothing as never), ArgumentError);
  await rejection(() => Tensor.from(gpu, []), ShapeError);
});

test('ones, full, eye and arange make what their names say', async () => {
  const gpu = await testGpu();
  assert.equal(await contents(ones(gpu, [2, 3])), [
    [2, 3],
    [1, 1, 1, 1, 1, 1],
  ]);
  assert.equal(await contents(full(gpu, [], -2.5)), [[], [-2.5]]);
  assert.equal(await contents(full(gpu, [2], Number.NaN)), [[2], [Number.NaN, Number.NaN]]);
  assert.equal(await contents(eye(gpu, 2, 3)), [
    [2, 3],
    [1, 0, 0, 0, 1, 0],
  ]);
  assert.equal(await contents(eye(gpu, 2)), [
    [2, 2],
    [1, 0, 0, 1],
  ]);
  assert.equal(await contents(arange(gpu, 0, 5)), [[5], [0, 1, 2, 3, 4]]);
  assert.equal(await contents(arange(gpu, 1, -1, -0.5)), [[4], [1, 0.5, 0, -0.5]]);
  // Sums of 0.1 would drift; products do not.
  const [shape, values] = await contents(arange(gpu, 0, 1000, 0.1));
  assert.equal(shape, [10000]);
  assert.is(values[9999], Math.fround(999.9));
});

test('arguments that make no tensor are refused by name', async () => {
  const gpu = await testGpu();
  for (const [attempt, message] of [
    [() => full(gpu, [2], 1e39), /full: value is the number 1e\+39/],
    [() => full(gpu, [2], '1' as never), /full: value is "1"/],
    [() => arange(gpu, 0, 5, 0), /arange: step is the number 0/],
    [() => arange(gpu, 0, Number.NaN), /arange: end is the number NaN/],
    [() => arange(gpu, 3, 1), /from 3 to 1 by 1 makes 0 values/],
    [() => arange(gpu, 0, 2 ** 25), /expected 1 to 16777216/],
    [() => randn(gpu, [2], -1), /seed/],
    [() => randn(gpu, [2], undefined as never), /seed/],
  ] as const) {
    assert.match((await rejection(attempt, ArgumentError)).message, message);
  }
  await rejection(() => ones(gpu, [2, -1]), ShapeError);
  await rejection(() => eye(gpu, 1.5), ShapeError);
});

test('randn is normal, the same for a seed, and goes on with a generator', async () => {
  const gpu = await testGpu();
  const [, values] = await contents(randn(gpu, [100, 100], 7));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  // Four standard errors of 10,000 values.
  assert.ok(Math.abs(mean) < 0.04, `${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.057, `${variance}`);
  assert.equal((await contents(randn(gpu, [100, 100], 7)))[1], values);
  const random = new CounterRandom(7);
  const halves = [randn(gpu, [5000], random), randn(gpu, [5000], random)];
  assert.equal([...(await contents(halves[0]))[1], ...(await contents(halves[1]))[1]], values);
});

test('a tensor as text has its shape, and formatTensor shows the values', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [
    [1, 2.5],
    [-1 / 3, 1e9],
  ]);
  assert.is(`${x}`, 'Tensor [2,2]');
  // Node's console.log calls this method.
  const inspected = x as unknown as Record<symbol, () => string>;
  assert.is(inspected[Symbol.for('nodejs.util.inspect.custom')](), 'Tensor [2,2]');
  assert.is(await formatTensor(x), 'Tensor [2,2]\n[[1, 2.5],\n [-0.33333, 1000000000]]');
  x.dispose();
  assert.is(`${x}`, 'Tensor [2,2], disposed');
  const long = arange(gpu, 0, 100);
  assert.is(await formatTensor(long), 'Tensor [100]\n[0, 1, 2, …, 97, 98, 99]');
  assert.is(await formatTensor(long, 1), 'Tensor [100]\n[0, …]');
  assert.match((await rejection(() => formatTensor(long, 0), ArgumentError)).message, /most is the number 0/);
  long.dispose();
  const scalar = Tensor.scalar(gpu, 4);
  assert.is(await formatTensor(scalar), 'Tensor []\n4');
  scalar.dispose();
});

test.run();
