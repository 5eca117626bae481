import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { naiveChannels } from '../../src/kernels/channel-walk.js';
import {
  type AvgPoolAttrs,
  avgPool,
  avgPool2d,
  avgPoolOp,
  globalAvgPool2d,
  globalMaxPool2d,
  lpPool2d,
  maxPool,
  maxPool2d,
  maxPoolOp,
  type Pool2dAttrs,
  sumPool1d,
} from '../../src/ops/pool/pool.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('pool');

/** Cases with overlapping windows, gaps between windows, uneven padding, and rows and columns that no window reaches. */
const CASES: [shape: number[], attrs: Pool2dAttrs][] = [
  [[1, 1, 1, 1], { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] }],
  [[2, 6, 8, 4], { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }],
  [[2, 7, 5, 3], { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[3, 9, 11, 6], { kernel: [3, 2], stride: [1, 3], padding: [2, 0, 0, 1] }],
  [[1, 13, 10, 8], { kernel: [2, 3], stride: [4, 5], padding: [1, 1, 2, 0] }],
  [[1, 4, 5, 2], { kernel: [4, 5], stride: [1, 1], padding: [3, 3, 4, 4] }],
  [[2, 7, 6, 512], { kernel: [7, 6], stride: [7, 6], padding: [0, 0, 0, 0] }],
];

for (const [name, choose] of Object.entries({ chosen: undefined, naive: naiveChannels })) {
  test(`max pool agrees with float64, ${name} width`, async () => {
    for (const [shape, attrs] of CASES) {
      await checkOp({
        op: 'maxPool2d',
        attrs,
        inputs: [shape],
        implementation: maxPoolOp('maxPool2d', choose),
        sumLength: 9,
      });
    }
  });

  test(`average pool agrees with float64, ${name} width`, async () => {
    for (const [shape, attrs] of CASES) {
      await checkOp({
        op: 'avgPool2d',
        attrs,
        inputs: [shape],
        implementation: avgPoolOp('avgPool2d', choose),
        sumLength: 20,
      });
    }
  });
}

test('in max pool the first of equal pixels gets the gradient, and padding is never the maximum', async () => {
  const attrs: Pool2dAttrs = { kernel: [3, 3], stride: [2, 1], padding: [1, 1, 1, 1] };
  // There are only a few distinct values, all below zero.
  const values = (_: number, size: number) => randomValues(size, 9, [0, 3]).map((value) => Math.floor(value) - 5);
  await checkOp({ op: 'maxPool2d', attrs, inputs: [[2, 9, 8, 5]], values });
  await checkOp({ op: 'maxPool2d', attrs, inputs: [[2, 9, 8, 4]], values: (_, size) => new Float32Array(size) });
});

test('places in windows of more than 2²⁴ pixels are told apart', async () => {
  const gpu = await testGpu();
  const gradient = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, 9, 2, 3], [1, 1, 4, 1]);
    const tape = new Tape();
    const y = tape.record(() => maxPool2d(x, { kernel: 5000, stride: 1, padding: [4999, 0, 4999, 0] }));
    return tape.gradients(y, [x], Tensor.from(gpu, [1, 1, 1, 1], y.shape)).get(x)!;
  });
  assert.equal([...(await gradient.read())], [1, 3, 0, 0]);
  gradient.dispose();
});

test('the stride is the kernel by default; windows wholly in the padding are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [1, 8, 9, 2]);
    assert.equal([...maxPool2d(x, { kernel: [2, 3] }).shape], [1, 4, 3, 2]);
    assert.equal([...avgPool2d(x, { kernel: [2, 3], stride: [1, 1] }).shape], [1, 7, 7, 2]);
    assert.throws(
      () => maxPool2d(x, { kernel: [2, 2], padding: [2, 0, 0, 0] }),
      (error: Error) => error instanceof ShapeError && /must be below the kernel of 2x2/.test(error.message),
    );
    assert.throws(
      () => avgPool2d(x, { kernel: [9, 9] }),
      (error: Error) => error instanceof ShapeError && /does not fit the input/.test(error.message),
    );
  });
});

/** Dilated windows, windows that reach beyond the padding, lines and volumes. */
const WIDE: [shape: number[], attrs: AvgPoolAttrs][] = [
  [[2, 9, 8, 4], { kernel: [3, 2], stride: [2, 1], padding: [2, 1, 0, 2], dilation: [2, 3] }],
  [[1, 6, 5, 3], { kernel: [3, 3], stride: [2, 2], padding: [1, 0, 0, 1], ceilMode: true }],
  [[1, 8, 7, 2], { kernel: [2, 3], stride: [3, 2], padding: [1, 1, 1, 1], dilation: [3, 1], ceilMode: true }],
  [[3, 11, 3], { kernel: [4], stride: [3], padding: [1, 2], ceilMode: true }],
  [[2, 7, 4], { kernel: [3], stride: [2], padding: [0, 1], dilation: [2] }],
  [[2, 4, 5, 3, 2], { kernel: [2, 3, 2], stride: [1, 2, 2], padding: [1, 0, 1, 1, 0, 1] }],
  [
    [1, 5, 6, 5, 4],
    { kernel: [2, 2, 3], stride: [2, 2, 1], padding: [0, 0, 1, 0, 0, 2], dilation: [2, 1, 2], ceilMode: true },
  ],
];

test('dilation, ceil mode, lines and volumes agree with float64', async () => {
  for (const [shape, attrs] of WIDE) {
    await checkOp({ op: 'maxPool', attrs, inputs: [shape], sumLength: 9 });
    await checkOp({ op: 'avgPool', attrs, inputs: [shape], sumLength: 20 });
    await checkOp({ op: 'avgPool', attrs: { ...attrs, countIncludePad: true }, inputs: [shape], sumLength: 20 });
  }
  const [shape, attrs] = WIDE[0];
  await checkOp({ op: 'avgPool', attrs: { ...attrs, sum: true }, inputs: [shape], sumLength: 20 });
});

/** Runs a pool on values of a shape, and reads the result. */
async function pooled(values: number[], shape: number[], run: (x: Tensor) => Tensor): Promise<[number[], number[]]> {
  const gpu = await testGpu();
  const y = scope(gpu, () => run(Tensor.from(gpu, values, shape)));
  const result: [number[], number[]] = [[...y.shape], [...(await y.read())]];
  y.dispose();
  return result;
}

test('windows are those of PyTorch and ONNX', async () => {
  const line = [1, 2, 3, 4, 5];
  const ceil = { kernel: 2, stride: 2, ceilMode: true };
  assert.equal(await pooled(line, [1, 5, 1], (x) => maxPool(x, ceil)), [
    [1, 3, 1],
    [2, 4, 5],
  ]);
  assert.equal(await pooled(line, [1, 5, 1], (x) => avgPool(x, ceil)), [
    [1, 3, 1],
    [1.5, 3.5, 5],
  ]);
  // The fourth window would begin in the padding behind the line, and is left out.
  const padded = { ...ceil, padding: [1, 1] };
  assert.equal(await pooled(line, [1, 5, 1], (x) => maxPool(x, padded)), [
    [1, 3, 1],
    [1, 3, 5],
  ]);
  // Zeros of the padding count, but not what lies beyond it.
  const counted = { kernel: 3, stride: 2, padding: 1, ceilMode: true, countIncludePad: true };
  assert.equal(await pooled([1, 2, 3, 4], [1, 4, 1], (x) => avgPool(x, counted)), [
    [1, 3, 1],
    [1, 3, 2],
  ]);
  const picture = Array.from({ length: 16 }, (_, i) => i + 1);
  const dilated = { kernel: 2, stride: 1, dilation: 2 };
  assert.equal(await pooled(picture, [1, 4, 4, 1], (x) => maxPool2d(x, dilated)), [
    [1, 2, 2, 1],
    [11, 12, 15, 16],
  ]);
  assert.equal(await pooled(line, [1, 5, 1], (x) => sumPool1d(x, 3, [1, 1])), [
    [1, 5, 1],
    [3, 6, 9, 12, 9],
  ]);
});

test('global pools and the p-norm of windows', async () => {
  const values = [3, -1, 4, 1, -5, 9];
  assert.equal(await pooled(values, [1, 3, 1, 2], globalAvgPool2d), [
    [1, 1, 1, 2],
    [Math.fround(2 / 3), 3],
  ]);
  assert.equal(await pooled(values, [1, 3, 1, 2], globalMaxPool2d), [
    [1, 1, 1, 2],
    [4, 9],
  ]);
  const norm = (p: number) => pooled([3, -4, 0, 0, 1, 1], [1, 3, 2, 1], (x) => lpPool2d(x, { kernel: [1, 2], p }));
  assertClose('p = 1', (await norm(1))[1], [7, 0, 2]);
  assertClose('p = 2', (await norm(2))[1], [5, 0, Math.SQRT2], { factor: 4 });
  assertClose('p = 3', (await norm(3))[1], [91 ** (1 / 3), 0, 2 ** (1 / 3)], { factor: 4 });

  const gpu = await testGpu();
  const gradient = scope(gpu, () => {
    const x = Tensor.from(gpu, [3, -4, 0, 0], [1, 2, 2, 1]);
    const tape = new Tape();
    const y = tape.record(() => lpPool2d(x, { kernel: [1, 2] }));
    return tape.gradients(y, [x], Tensor.from(gpu, [1, 1], y.shape)).get(x)!;
  });
  assertClose('gradient', await gradient.read(), [0.6, -0.8, 0, 0], { factor: 4 });
  gradient.dispose();
});

test('options that do not fit are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [1, 4, 5, 2]);
    const refuses = (body: () => unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof kind && message.test(error.message));
    refuses(
      () => maxPool2d(x, { kernel: 2, countIncludePad: true } as never),
      ArgumentError,
      /no option "countIncludePad"/,
    );
    refuses(
      () => maxPool2d(x, { kernel: 2, ceilMode: 1 } as never),
      ArgumentError,
      /maxPool2d: ceilMode is the number 1/,
    );
    refuses(() => maxPool(x, { kernel: [2] }), ArgumentError, /maxPool: kernel is \[2\]; expected 2 integers/);
    refuses(() => avgPool(x, { kernel: 2, padding: [1, 1, 1] }), ArgumentError, /avgPool: padding .* is \[1,1,1\]/);
    refuses(() => maxPool(Tensor.zeros(gpu, [2, 2]), { kernel: 1 }), ShapeError, /maxPool: input has shape \[2,2\]/);
    refuses(() => lpPool2d(x, { kernel: 2, p: 0 }), ArgumentError, /lpPool2d: p is 0/);
    refuses(() => globalAvgPool2d(Tensor.zeros(gpu, [2, 2])), ShapeError, /globalAvgPool2d: input has shape/);
    const hole = Tensor.zeros(gpu, [1, 1, 1]);
    refuses(
      () => maxPool(hole, { kernel: 2, dilation: 3, padding: [2, 1] }),
      ShapeError,
      /window 0 of axis 1 .* no tap inside/,
    );
  });
});

test.run();
