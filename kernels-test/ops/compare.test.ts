import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { cast, equal, greater, isInf, isNan, less, logicalAnd, logicalNot, where } from '../../src/ops/compare.js';
import { Tape } from '../../src/ops/tape.js';
import { type AnyTensor, scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('compare');

/** Small integers, so that many are equal. */
const few = (k: number, size: number) => randomValues(size, 60 + k).map(Math.round);
const masks = (k: number, size: number) => randomValues(size, 70 + k).map((value) => Number(value > 0));

const PAIRS = [
  [[], []],
  [[7], [7]],
  [[3, 5, 8], [8]],
  [
    [2, 3, 7],
    [3, 1],
  ],
  [
    [1, 4],
    [5, 1],
  ],
] as const;

test('comparisons agree with float64, of float32 and of int32', async () => {
  for (const op of ['equal', 'less', 'lessEqual', 'greater', 'greaterEqual'] as const) {
    for (const inputs of PAIRS) {
      await checkOp({ op, attrs: {}, inputs, values: few });
      await checkOp({ op, attrs: {}, inputs, values: few, dtypes: ['int32', 'int32'] });
    }
    await checkOp({ op, attrs: { a: 1 }, inputs: [[9]], values: few });
    await checkOp({ op, attrs: { b: 1 }, inputs: [[8]], values: few, dtypes: ['int32'] });
  }
});

test('a comparison with NaN is false, one with infinity is right', async () => {
  const numbers = [NaN, Infinity, -Infinity, 0, -0, 1];
  const pairs = numbers.flatMap((a) => numbers.map((b) => [a, b]));
  const values = (k: number) => Float32Array.from(pairs, (pair) => pair[k]);
  for (const op of ['equal', 'less', 'lessEqual', 'greater', 'greaterEqual'] as const) {
    await checkOp({ op, attrs: {}, inputs: [[36], [36]], values });
  }
  for (const op of ['isNan', 'isInf'] as const) await checkOp({ op, attrs: {}, inputs: [[36]], values });
});

test('logic of masks agrees with float64', async () => {
  for (const op of ['logicalAnd', 'logicalOr', 'logicalXor', 'equal'] as const) {
    for (const inputs of PAIRS) await checkOp({ op, attrs: {}, inputs, values: masks, dtypes: ['bool', 'bool'] });
  }
  await checkOp({ op: 'logicalNot', attrs: {}, inputs: [[3, 8]], values: masks, dtypes: ['bool'] });
});

test('where and its gradients agree with float64 for every kind of broadcast', async () => {
  const values = (k: number, size: number) => (k === 0 ? masks(k, size) : undefined);
  for (const inputs of [
    [[7], [7], [7]],
    [[3, 1], [3, 8], [8]],
    [[], [5], [2, 5]],
    [[2, 3, 4], [], [4]],
  ]) {
    await checkOp({ op: 'where', attrs: {}, inputs, values, dtypes: ['bool'], sumLength: 24 });
  }
  for (const attrs of [{ a: 2 }, { b: -Infinity }]) {
    await checkOp({
      op: 'where',
      attrs,
      inputs: [
        [3, 1],
        [3, 4],
      ],
      values,
      dtypes: ['bool'],
      sumLength: 4,
    });
  }
  for (const dtype of ['int32', 'bool'] as const) {
    const inputs = [[5], [5], [5]];
    await checkOp({ op: 'where', attrs: {}, inputs, values: masks, dtypes: ['bool', dtype, dtype] });
  }
});

test('where hides NaN and infinity, forward and backward', async () => {
  const gpu = await testGpu();
  const [y, gradient] = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, NaN, Infinity, 4], [4]);
    const tape = new Tape();
    const y = tape.record(() => where(less(x, 3), x, 0));
    return [y, tape.gradients(y, [x], Tensor.from(gpu, [5, NaN, Infinity, 7], [4])).get(x)!];
  });
  assert.equal([...(await y.read())], [1, 0, 0, 0]);
  assert.equal([...(await gradient.read())], [5, 0, 0, 0]);
  for (const tensor of [y, gradient]) tensor.dispose();
});

/** Reads and frees. */
async function read(make: (gpu: Tensor['gpu']) => AnyTensor): Promise<number[]> {
  const gpu = await testGpu();
  const tensor = scope(gpu, () => make(gpu));
  const values = [...(await tensor.read())];
  tensor.dispose();
  return values;
}

test('cast converts between all types', async () => {
  const floats = [0, -0, 1.9, -1.9, NaN, Infinity, -Infinity, 3e9, -3e9, 1e-40];
  assert.equal(
    await read((gpu) => cast(Tensor.from(gpu, floats, [10]), 'int32')),
    [0, 0, 1, -1, 0, 2147483520, -2147483648, 2147483520, -2147483648, 0],
  );
  // A number this small is 0 on adapters that flush what float32 holds imprecisely.
  assert.equal(
    (await read((gpu) => cast(Tensor.from(gpu, floats, [10]), 'bool'))).slice(0, 9),
    [0, 0, 1, 1, 1, 1, 1, 1, 1],
  );
  assert.equal(await read((gpu) => cast(Tensor.from(gpu, [-5, 0, 7], [3], 'int32'), 'float32')), [-5, 0, 7]);
  assert.equal(await read((gpu) => cast(Tensor.from(gpu, [-5, 0, 7], [3], 'int32'), 'bool')), [1, 0, 1]);
  assert.equal(await read((gpu) => cast(Tensor.from(gpu, [true, false], [2], 'bool'), 'float32')), [1, 0]);
  assert.equal(await read((gpu) => cast(Tensor.from(gpu, [true, false], [2], 'bool'), 'int32')), [1, 0]);
});

test('masks of numbers count what holds', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [-1, 0, 2, 5], [4]);
  assert.equal(await read(() => logicalAnd(greater(x, 0), logicalNot(equal(x, 5)))), [0, 0, 1, 0]);
  assert.equal(await read(() => isNan(x)), [0, 0, 0, 0]);
  assert.equal(await read(() => isInf(x)), [0, 0, 0, 0]);
  x.dispose();
});

test('types that do not fit are refused by the operation and the input', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2], [2]);
  const mask = Tensor.from(gpu, [true, false], [2], 'bool');
  const refused: [() => unknown, RegExp, typeof ArgumentError | typeof ShapeError][] = [
    [() => where(x as never, x, x), /where: condition is a tensor of "float32"; expected bool/, ArgumentError],
    [() => where(mask, x, mask as never), /where: the inputs are tensors of float32 and bool/, ArgumentError],
    [() => where(mask, 1, 2), /where: got 1 inputs; expected 2/, ShapeError],
    [() => less(mask as never, mask as never), /less: input 1 is a tensor of "bool"/, ArgumentError],
    [() => logicalAnd(x as never, mask), /logicalAnd: input 1 is a tensor of "float32"; expected bool/, ArgumentError],
    [() => equal(x, Tensor.zeros(gpu, [3])), /equal: shapes \[2\] and \[3\] do not broadcast/, ShapeError],
    [() => cast(x, 'int64' as never), /cast: dtype is "int64"/, ArgumentError],
  ];
  scope(gpu, () => {
    for (const [body, message, type] of refused) {
      assert.throws(body, (error: Error) => error instanceof type && message.test(error.message));
    }
  });
  for (const tensor of [x, mask]) tensor.dispose();
});

test.run();
