import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { type PadOptions, pad } from '../../src/ops/layout.js';
import { sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { square } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('pad by modes');

const MODES = ['reflect', 'edge', 'wrap'] as const;

test('each mode agrees with float64, and moves other types to the last bit', async () => {
  for (const mode of MODES) {
    for (const [shape, axis, before, after] of [
      [[1], 0, 3, 4],
      [[2], 0, 5, 4],
      [[3, 5, 7], 1, 2, 4],
      [[3, 5, 7], -1, 0, 29],
      [[5, 3], 0, 23, 0],
    ] as const) {
      const attrs = { axis, before, after, mode };
      await checkOp({ op: 'padAxis', attrs, inputs: [shape], sumLength: before + after + 1 });
      await checkTyped('padAxis', attrs, [shape]);
    }
  }
});

test('a long edge is added in blocks', async () => {
  const attrs = { axis: 0, before: 3000, after: 1, mode: 'edge' } as const;
  await checkOp({
    op: 'padAxis',
    attrs,
    inputs: [[2]],
    dyValues: (size) => new Float32Array(size).fill(0.1),
    sumLength: 3000,
  });
});

async function padded(
  values: readonly number[],
  shape: readonly number[],
  before: readonly number[],
  after: readonly number[],
  options?: number | PadOptions,
): Promise<[number[], number[]]> {
  const gpu = await testGpu();
  const y = scope(gpu, () => pad(Tensor.from(gpu, values, shape, 'int32'), before, after, options));
  const result: [number[], number[]] = [[...y.shape], [...(await y.read())]];
  y.dispose();
  return result;
}

test('the values are those of NumPy', async () => {
  const x = [1, 2, 3];
  assert.equal(await padded(x, [3], [5], [4], { mode: 'reflect' }), [[12], [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]]);
  assert.equal(await padded(x, [3], [2], [1], { mode: 'edge' }), [[6], [1, 1, 1, 2, 3, 3]]);
  assert.equal(await padded(x, [3], [4], [2], { mode: 'wrap' }), [[9], [3, 1, 2, 3, 1, 2, 3, 1, 2]]);
  assert.equal(await padded(x, [3], [1], [0], { value: 7 }), [[4], [7, 1, 2, 3]]);
  assert.equal(await padded(x, [3], [1], [1], 7), [[5], [7, 1, 2, 3, 7]]);
  assert.equal(await padded(x, [3], [0], [1]), [[4], [1, 2, 3, 0]]);
  assert.equal(await padded([1, 2, 3, 4], [2, 2], [1, 0], [0, 1], { mode: 'reflect' }), [
    [3, 3],
    [3, 4, 3, 1, 2, 1, 3, 4, 3],
  ]);
});

test('amounts below 0 cut elements off, before others are added', async () => {
  const x = [1, 2, 3, 4, 5, 6];
  assert.equal(await padded(x, [2, 3], [0, -1], [-1, 0]), [
    [1, 2],
    [2, 3],
  ]);
  assert.equal(await padded(x, [6], [-2], [2], 9), [[6], [3, 4, 5, 6, 9, 9]]);
  assert.equal(await padded(x, [6], [2], [-3], { mode: 'wrap' }), [[5], [2, 3, 1, 2, 3]]);
});

test('gradients add what came from one element, the same each time', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [2, 3]);
  for (const [mode, times] of [
    // How often each element stands in the result: 1 more row before, 1 column cut before and 2 more after.
    ['reflect', [0, 2, 2, 0, 4, 4]],
    ['edge', [0, 2, 6, 0, 1, 3]],
    ['wrap', [0, 2, 2, 0, 4, 4]],
  ] as const) {
    const gradient = scope(gpu, () => {
      const tape = new Tape();
      const loss = tape.record(() => sum(square(pad(x, [1, -1], [0, 2], { mode }))));
      return tape.gradients(loss, [x]).get(x)!;
    });
    const expected = times.map((count, i) => count * 2 * (i + 1));
    assert.equal([...(await gradient.read())], expected, mode);
    gradient.dispose();
  }
  x.dispose();
});

test('no amounts at all give a tensor of its own', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2], [2]);
  const y = pad(x, [0], [0], { mode: 'wrap' });
  x.dispose();
  assert.equal([...(await y.read())], [1, 2]);
  y.dispose();
});

test('what does not fit is refused', async () => {
  const x = Tensor.zeros(await testGpu(), [2, 3]);
  for (const [body, type, message] of [
    [
      () => pad(x, [-1, 0], [-1, 0]),
      ShapeError,
      /pad: before \[-1,0\] and after \[-1,0\] leave nothing of input \[2,3\]/,
    ],
    [() => pad(x, [0.5, 0], [0, 0], { mode: 'edge' }), ArgumentError, /pad: before is \[0.5,0\]; expected 2 integers$/],
    [() => pad(x, [0], [0, 0], { mode: 'edge' }), ShapeError, /pad: before is \[0\]; expected 2 entries/],
    [() => pad(x, 1 as never, [0, 0]), ArgumentError, /pad: before is the number 1/],
    [
      () => pad(x, [0, 0], [0, 0], { mode: 'symmetric' as never }),
      ArgumentError,
      /mode is "symmetric"; expected "constant"/,
    ],
    [() => pad(x, [0, 0], [0, 0], { mode: 'edge', value: 1 }), ArgumentError, /expected none with the mode edge/],
    [() => pad(x, [0, 0], [0, 0], { fill: 1 } as never), ArgumentError, /pad: there is no option "fill"/],
    [() => pad(x, [0, 0], [0, 0], 1e40), ArgumentError, /pad: value is 1e\+40/],
  ] as const) {
    assert.throws(body, (error: Error) => error instanceof type && message.test(error.message), `${message}`);
  }
  x.dispose();
});

test.run();
