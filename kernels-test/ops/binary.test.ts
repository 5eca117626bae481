import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { broadcastKernel } from '../../src/kernels/broadcast.js';
import { naiveVectors } from '../../src/kernels/elementwise.js';
import { mergeAxes } from '../../src/kernels/merge-axes.js';
import { add, binaryOp, div, maximum, minimum, mod, mul, pow, sub } from '../../src/ops/binary.js';
import { Tape } from '../../src/ops/tape.js';
import { apply } from '../../src/tensor/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('binary');
/** Values away from 0, near which the error of a quotient is not bounded. */
const values = (k: number, size: number) => randomValues(size, 40 + k, [0.5, 2]);

/** Pairs of shapes, and the longest sum behind a gradient. */
const PAIRS: [a: number[], b: number[], sumLength: number][] = [
  [[], [], 1],
  [[7], [7], 1],
  [[3, 5, 7], [3, 5, 7], 1],
  [[2, 6, 8], [2, 6, 8], 1],
  [[3, 5, 8], [], 120],
  [[], [4099], 4099],
  [[2, 3, 5, 8], [8], 30],
  [[2, 3, 5, 7], [7], 30],
  [[1], [5, 3], 15],
  [[2, 3, 5, 7], [2, 3, 5, 1], 7],
  [[2, 3, 5, 8], [2, 3, 5, 1], 8],
  [[2, 1, 1, 12], [2, 9, 7, 12], 63],
  [[5, 1], [1, 9], 9],
  [[5, 1], [8], 8],
  [[3, 1, 5, 1, 4], [2, 1, 6, 1], 30],
  [[1, 3, 1], [1, 3, 1], 1],
  [[1, 3, 1], [3, 1], 1],
];

test('div agrees with float64 for every kind of broadcast, on either side', async () => {
  for (const [a, b, sumLength] of PAIRS) {
    await checkOp({ op: 'div', attrs: {}, inputs: [a, b], values, sumLength, scale: 8 });
    await checkOp({ op: 'div', attrs: {}, inputs: [b, a], values, sumLength, scale: 8 });
  }
});

test('add, sub and mul agree with float64', async () => {
  for (const [a, b, sumLength] of PAIRS.filter((_, k) => k % 3 === 1)) {
    for (const op of ['add', 'sub', 'mul'] as const) {
      await checkOp({ op, attrs: {}, inputs: [a, b], values, sumLength, scale: 8 });
    }
  }
});

test('pow, minimum and maximum agree with float64', async () => {
  for (const [a, b, sumLength] of PAIRS.filter((_, k) => k % 2 === 1)) {
    for (const op of ['minimum', 'maximum'] as const) {
      await checkOp({ op, attrs: {}, inputs: [a, b], values, sumLength, scale: 8 });
    }
    // WGSL rounds exp2 and log2 coarsely.
    await checkOp({ op: 'pow', attrs: {}, inputs: [a, b], values, sumLength, scale: 8, factor: 4 });
  }
});

/** Checks a binary operation on pairs of numbers, four times each, in vectors of four and in single elements. */
async function checkPairs(op: 'pow' | 'minimum' | 'maximum', pairs: readonly (readonly number[])[]): Promise<void> {
  const size = 4 * pairs.length;
  for (const implementation of [binaryOp(op), binaryOp(op, naiveVectors)]) {
    await checkOp({
      op,
      attrs: {},
      inputs: [[size], [size]],
      values: (k) => Float32Array.from({ length: size }, (_, i) => pairs[i >> 2][k]),
      dyValues: () => Float32Array.from({ length: size }, (_, i) => [1, 2, -1, 0.5][i % 4]),
      factor: 4, // as above
      implementation,
    });
  }
}

/** All pairs of an element of `as` and one of `bs`. */
const allPairs = (as: readonly number[], bs: readonly number[]) => as.flatMap((a) => bs.map((b) => [a, b]));

test('powers of negative numbers, of 0 and of large and small ones agree with float64', async () => {
  await checkPairs('pow', allPairs([-3, -1, -0.5, 0, 0.25, 1, 2.5], [-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3]));
  for (const [a, b] of [
    [1e10, 2.5],
    [1e-10, 2.5],
    [-1e15, 2],
    [-2, 31],
    [-1, 16777215],
  ]) {
    await checkPairs('pow', [[a, b]]);
  }
});

test('powers with whole exponents are exact where float32 holds them', async () => {
  const gpu = await testGpu();
  const pairs = allPairs([-5, -3, 2, 7, 255], [0, 1, 2, 3]).concat([
    [2, 16],
    [-2, 15],
    [10, 10],
  ]);
  const z = scope(gpu, () => {
    const [a, b] = [0, 1].map((k) =>
      Tensor.from(
        gpu,
        Float32Array.from(pairs, (pair) => pair[k]),
        [pairs.length],
      ),
    );
    return pow(a, b);
  });
  assert.equal(
    [...(await z.read())],
    pairs.map(([a, b]) => a ** b),
  );
  z.dispose();
});

test('powers of and with numbers that are not finite, with their gradients, are at the same places as in float64', async () => {
  const specials = [NaN, Infinity, -Infinity, -2, -1, -0.5, 0, 0.5, 1, 3];
  await checkPairs('pow', allPairs(specials, specials));
});

test('minimum and maximum of equal, infinite and NaN numbers, with their gradients, agree with float64', async () => {
  const specials = [NaN, Infinity, -Infinity, -2, 0, 3];
  await checkPairs('minimum', allPairs(specials, specials));
  await checkPairs('maximum', allPairs(specials, specials));
});

test('where operands are equal, each gets half of the gradient of minimum and maximum', async () => {
  const gpu = await testGpu();
  for (const apply of [minimum, maximum]) {
    const gradients = scope(gpu, () => {
      const [a, b] = [Tensor.from(gpu, [1, 2], [2]), Tensor.from(gpu, [1, 2], [2])];
      const tape = new Tape();
      const z = tape.record(() => apply(a, b));
      return [...tape.gradients(z, [a, b], Tensor.from(gpu, [1, 10], [2])).values()];
    });
    for (const gradient of gradients) {
      assert.equal([...(await gradient.read())], [0.5, 5]);
      gradient.dispose();
    }
  }
});

test('kernels of one element per invocation agree with float64', async () => {
  const implementation = binaryOp('div', naiveVectors);
  for (const [a, b, sumLength] of PAIRS.slice(2, 8)) {
    await checkOp({ op: 'div', attrs: {}, inputs: [a, b], values, sumLength, scale: 8, implementation });
  }
});

test('more elements than one row of workgroups holds are all computed', async () => {
  await checkOp({ op: 'mul', attrs: {}, inputs: [[65535 * 64 + 17], [1]], values, sumLength: 2000, scale: 4 });
});

test('an operand used twice gets both gradients', async () => {
  const gpu = await testGpu();
  const gradient = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, 2, 3], [3]);
    const tape = new Tape();
    const y = tape.record(() => add(x, x));
    return tape.gradients(y, [x], Tensor.from(gpu, [1, 10, 100], [3])).get(x) as Tensor;
  });
  assert.equal([...(await gradient.read())], [2, 20, 200]);
  gradient.dispose();
});

test('a number in place of either operand agrees with float64, and takes no pipeline of its own', async () => {
  for (const op of ['add', 'sub', 'mul', 'div', 'pow', 'mod', 'minimum', 'maximum'] as const) {
    for (const shape of [[], [7], [3, 8]]) {
      for (const attrs of [{ a: 1.3 }, { b: 1.3 }]) await checkOp({ op, attrs, inputs: [shape], values, factor: 4 });
    }
  }
  const gpu = await testGpu();
  const pairs = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, 2, 4], [3]);
    return [add(x, 1), sub(1, x), mul(x, -2), div(8, x), pow(2, x), minimum(x, Infinity), maximum(x, Number.NaN)];
  });
  const expected = [
    [2, 3, 5],
    [0, -1, -3],
    [-2, -4, -8],
    [8, 4, 2],
    [2, 4, 16],
    [1, 2, 4],
    [Number.NaN, Number.NaN, Number.NaN],
  ];
  for (const [k, tensor] of pairs.entries()) {
    assert.equal([...(await tensor.read())], expected[k]);
    tensor.dispose();
  }
  const kernel = (scale: number) => broadcastKernel('add', 'x0 + x1', [[3], null], [3], { scaled: Boolean(scale) });
  assert.is(kernel(1).wgsl, kernel(2).wgsl);
});

test('arithmetic of integers is exact, and rounds quotients towards 0', async () => {
  const gpu = await testGpu();
  const as = [7, -7, 7, -7, 6, 2 ** 24 + 1];
  const bs = [2, 2, -2, -2, 3, 1];
  const results = scope(gpu, () => {
    const [a, b] = [as, bs].map((list) => Tensor.from(gpu, list, [6], 'int32'));
    return [add(a, b), sub(a, b), mul(a, b), div(a, b), mod(a, b), minimum(a, b), maximum(a, b), add(a, 1), sub(1, a)];
  });
  const rest = (a: number, b: number) => a - b * Math.floor(a / b);
  const expected = [
    (a: number, b: number) => a + b,
    (a: number, b: number) => a - b,
    (a: number, b: number) => a * b,
    (a: number, b: number) => Math.trunc(a / b),
    rest,
    Math.min,
    Math.max,
    (a: number) => a + 1,
    (a: number) => 1 - a,
  ];
  for (const [k, tensor] of results.entries()) {
    assert.is(tensor.dtype, 'int32');
    assert.equal(
      [...(await tensor.read())],
      as.map((a, i) => expected[k](a, bs[i]) + 0),
    );
    tensor.dispose();
  }
});

test('the rest of a division has the sign of the divisor', async () => {
  const pairs = allPairs([-7.5, -6, -0.25, 0, 5.5, 6, 1e6], [-4, -2, 0.5, 3, Infinity, -Infinity]);
  const size = 4 * pairs.length;
  for (const implementation of [binaryOp('mod'), binaryOp('mod', naiveVectors)]) {
    await checkOp({
      op: 'mod',
      attrs: {},
      inputs: [[size], [size]],
      values: (k) => Float32Array.from({ length: size }, (_, i) => pairs[i >> 2][k]),
      dyValues: () => new Float32Array(size),
      implementation,
    });
  }
});

test('the rest of a division, and its gradients, are exact where the quotient is large or rounds up', async () => {
  const gpu = await testGpu();
  const tiny = 2 ** -149;
  const pairs = [
    ...allPairs([1e9, 123456792, -1e9, 1e30, -3.4e38, 1, 100.3], [3, 7, -7, 0.1, 1e-10, 2 ** -120, 3.3e38, Infinity]),
    [0.5, 3 * tiny],
    [2 ** -126, 5 * tiny],
    [-7 * tiny, -3 * tiny],
  ].map((pair) => pair.map(Math.fround));
  const size = 4 * pairs.length;
  const both = [0, 1].map((k) => Float32Array.from({ length: size }, (_, i) => pairs[i >> 2][k]));
  const expected = Float32Array.from(both[0], (a, i) => {
    const b = both[1][i];
    return a % b !== 0 && a % b < 0 !== b < 0 ? (a % b) + b : a % b;
  });
  for (const implementation of [binaryOp('mod'), binaryOp('mod', naiveVectors)]) {
    const z = scope(gpu, () => {
      const [a, b] = both.map((data) => Tensor.from(gpu, data, [size]));
      return apply('mod', implementation, [a, b], {}) as Tensor;
    });
    const actual = await z.read();
    z.dispose();
    // Bits, because a denormal number is within every tolerance; a zero counts as equal to −0.
    for (const [i, value] of actual.entries())
      assert.ok(value === expected[i], `${both[0][i]} mod ${both[1][i]}: ${value}, not ${expected[i]}`);
  }
  for (const [a, b] of [
    [1e9, 3],
    [1, 0.1],
    [-1, 0.1],
    [-1, Infinity],
    [123456792, -7],
  ]) {
    await checkOp({
      op: 'mod',
      attrs: {},
      inputs: [[1], [1]],
      values: (k) => Float32Array.of([a, b][k]),
      dyValues: () => Float32Array.of(1),
    });
  }
});

test('a rest of zero has the sign of the divisor', async () => {
  const gpu = await testGpu();
  const z = scope(gpu, () => mod(Tensor.from(gpu, [6, -6, 0, 6]), Tensor.from(gpu, [-3, 3, -3, 3])));
  assert.equal(
    [...(await z.read())].map((value) => Object.is(value, -0)),
    [true, false, true, false],
  );
  z.dispose();
});

test('two numbers, types that differ and numbers that a type does not hold are refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2], [2]);
  const i = Tensor.from(gpu, [1, 2], [2], 'int32');
  const b = Tensor.from(gpu, [true, false], [2], 'bool');
  for (const [body, message] of [
    [() => add(1, 2), /add: b is the number 2; expected a tensor, as a is a number/],
    [() => add(x, i as never), /add: the inputs are tensors of float32 and int32; expected one type/],
    [() => mul(b as never, b as never), /mul: input 1 is a tensor of "bool"; expected float32 or int32/],
    [() => pow(i as never, i as never), /pow: input 1 is a tensor of "int32"; expected float32/],
    [() => add(i, 0.5), /add: b is the number 0.5; expected a whole number up to 2\^24/],
    [() => add(x, 1e40), /add: b is .*1e\+40/],
    [() => add(x, '1' as never), /add: b is "1"; expected a tensor/],
  ] as const) {
    assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  }
  for (const tensor of [x, i, b]) tensor.dispose();
});

test('shapes that do not broadcast are refused', async () => {
  const gpu = await testGpu();
  const [a, b] = [Tensor.zeros(gpu, [2, 3]), Tensor.zeros(gpu, [2])];
  assert.throws(
    () => add(a, b),
    (error: Error) =>
      error instanceof ShapeError && /add: shapes \[2,3\] and \[2\] do not broadcast/.test(error.message),
  );
  a.dispose();
  b.dispose();
});

test('neighbouring axes are merged where both operands broadcast alike', () => {
  const axes = (shape: number[], flags: boolean[][]) => mergeAxes(shape, (axis) => flags[axis], [true]);
  const [yes, no] = [[true], [false]];
  assert.equal(axes([2, 3, 5], [yes, yes, no]), [
    { size: 6, flags: yes },
    { size: 5, flags: no },
  ]);
  assert.equal(axes([2, 1, 5], [yes, no, yes]), [{ size: 10, flags: yes }]);
  assert.equal(axes([1, 1], [no, no]), [{ size: 1, flags: yes }]);
});

test('one pipeline serves all pairs of operands of equal shape', () => {
  const kernel = (shape: number[]) => broadcastKernel('add', 'x0 + x1', [shape, shape], shape);
  assert.is(kernel([2, 6, 8]).wgsl, kernel([400]).wgsl);
  assert.equal(kernel([2, 6, 8]).workgroups, [1, 1, 1]);
  assert.ok(kernel([2, 6, 8]).wgsl.includes('vec4f'));
  assert.not.ok(kernel([3, 5, 7]).wgsl.includes('vec4f'));
});

test.run();
