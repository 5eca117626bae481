import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../../src/common/errors.js';
import { sizeOf, stridesOf } from '../../../src/common/shapes.js';
import { conv1d, conv3d, convTranspose1d } from '../../../src/ops/conv/lines-and-volumes.js';
import { referenceOps } from '../../../src/ops/registry.js';
import { Tape } from '../../../src/ops/tape.js';
import { scope, Tensor } from '../../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../../helpers/harness.js';

const test = gpuSuite('convolutions of lines and volumes');

/** The value, and the gradients by all inputs. */
async function run(shapes: number[][], body: (inputs: Tensor[]) => Tensor) {
  const gpu = await testGpu();
  const values = shapes.map((shape, k) => randomValues(sizeOf(shape), k + 1));
  const kept = scope(gpu, () => {
    const inputs = values.map((list, k) => Tensor.from(gpu, list, shapes[k]));
    const tape = new Tape();
    const y = tape.record(() => body(inputs));
    const gradients = tape.gradients(y, inputs, Tensor.from(gpu, randomValues(y.size, 9), y.shape));
    return [y, ...inputs.map((input) => gradients.get(input)!)];
  });
  const [y, ...gradients] = await Promise.all(kept.map((tensor) => tensor.read()));
  const { shape } = kept[0];
  for (const tensor of kept) tensor.dispose();
  return { values, shape, y, gradients, dy: randomValues(y.length, 9) };
}

test('conv1d and its transpose agree with float64', async () => {
  const options = { stride: 2, padding: [1, 2], dilation: 2, groups: 2 } as const;
  const attrs = { stride: [1, 2], padding: [0, 0, 1, 2], dilation: [1, 2], groups: 2 } as const;
  for (const transposed of [false, true]) {
    const shapes = transposed ? [[2, 6, 4], [3, 3, 4], [6]] : [[2, 9, 4], [3, 2, 6], [6]];
    const { values, shape, y, gradients, dy } = await run(shapes, ([x, w, b]) =>
      transposed ? convTranspose1d(x, w, b, { ...options, outputPadding: 1 }) : conv1d(x, w, b, options),
    );
    const [x, w, b] = values.map((list, k) => toNdArray(list, shapes[k]));
    const arrays = [{ ...x, shape: [2, 1, ...x.shape.slice(1)] }, { ...w, shape: [1, ...w.shape] }, b];
    const [op, all] = transposed
      ? [referenceOps.convTranspose2d, { ...attrs, outputPadding: [0, 1] as const }]
      : [referenceOps.conv2d, { ...attrs, outputPadding: [0, 0] as const }];
    const expected = op.forward(arrays, all);
    assert.equal([...shape], [2, ...expected.shape.slice(2)]);
    assertClose('y', y, expected.data, { sumLength: 12 });
    op.backward(arrays, expected, toNdArray(dy, expected.shape), all).forEach((gradient, k) => {
      assertClose(`gradient ${k}`, gradients[k], gradient!.data, { sumLength: 24 });
    });
  }
});

interface Volume {
  stride: number[];
  padding: number[];
  dilation: number[];
  groups: number;
}

/** Calls `visit` with each term of a convolution of volumes: where its output, input and weight lie. */
function forEachTerm(
  [x, w, y]: number[][],
  { stride, padding, dilation, groups }: Volume,
  visit: (y: number, x: number, w: number) => void,
): void {
  const [xs, ws] = [stridesOf(x), stridesOf(w)];
  const index = (i: number, shape: number[]) =>
    stridesOf(shape).map((step, axis) => Math.floor(i / step) % shape[axis]);
  for (let i = 0; i < sizeOf(y); i++) {
    const [n, d, r, c, channel] = index(i, y);
    for (let k = 0; k < sizeOf(w.slice(0, 4)); k++) {
      const [a, b, e, inner] = index(k, w.slice(0, 4));
      const at = [d, r, c].map((o, axis) => o * stride[axis] - padding[2 * axis] + [a, b, e][axis] * dilation[axis]);
      if (at.some((place, axis) => place < 0 || place >= x[1 + axis])) continue;
      const group = Math.floor(channel / (y[4] / groups));
      const place = [n, ...at, group * w[3] + inner].reduce((sum, v, axis) => sum + v * xs[axis], 0);
      visit(i, place, k * ws[3] + channel);
    }
  }
}

test('conv3d agrees with a plain sum', async () => {
  const cases: [number[][], Volume][] = [
    [
      [[2, 4, 5, 4, 3], [2, 3, 3, 3, 4], [4]],
      { stride: [1, 1, 1], padding: [0, 0, 1, 1, 1, 1], dilation: [1, 1, 1], groups: 1 },
    ],
    [
      [[1, 7, 4, 5, 4], [3, 2, 2, 2, 6], [6]],
      { stride: [2, 1, 2], padding: [2, 1, 0, 1, 1, 0], dilation: [2, 1, 2], groups: 2 },
    ],
    [
      [[1, 9, 2, 2, 2], [2, 1, 1, 2, 2], [2]],
      { stride: [4, 1, 1], padding: [0, 0, 0, 0, 0, 0], dilation: [1, 1, 1], groups: 1 },
    ],
  ];
  for (const [shapes, options] of cases) {
    const { values, shape, y, gradients, dy } = await run(shapes, ([x, w, b]) => conv3d(x, w, b, options));
    const all = [shapes[0], shapes[1], [...shape]];
    const [x, w, b] = values;
    const expected = Float64Array.from(y, (_, i) => b[i % b.length]);
    const [dx, dw, db] = values.map((list) => new Float64Array(list.length));
    forEachTerm(all, options, (i, atX, atW) => {
      expected[i] += x[atX] * w[atW];
      dx[atX] += dy[i] * w[atW];
      dw[atW] += dy[i] * x[atX];
    });
    dy.forEach((value, i) => {
      db[i % b.length] += value;
    });
    for (const [k, list] of [expected, dx, dw, db].entries()) {
      assertClose(`result ${k}`, [y, ...gradients][k], list, { sumLength: 100, linear: true });
    }
  }
});

test('numbers stand for all axes and sides', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const [line, volume] = [Tensor.zeros(gpu, [1, 8, 2]), Tensor.zeros(gpu, [1, 8, 8, 8, 2])];
    const [w1, w3] = [Tensor.zeros(gpu, [3, 2, 5]), Tensor.zeros(gpu, [3, 3, 3, 2, 5])];
    assert.equal([...conv1d(line, w1, null, { padding: 1, stride: 2 }).shape], [1, 4, 5]);
    assert.equal([...conv3d(volume, w3, null, { padding: 1, stride: 2 }).shape], [1, 4, 4, 4, 5]);
    assert.equal([...conv3d(volume, w3, null, { padding: [0, 1, 2] }).shape], [1, 6, 8, 10, 5]);
  });
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const zeros = (...shape: number[]) => Tensor.zeros(gpu, shape);
    const refuses = (body: () => unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof kind && message.test(error.message));
    refuses(() => conv1d(zeros(1, 4, 4, 2), zeros(3, 2, 2)), ShapeError, /conv1d: input has .* rank 3, \[N,L,Cin\]/);
    refuses(
      () => conv1d(zeros(1, 4, 2), zeros(3, 3, 2)),
      ShapeError,
      /conv1d: weights \[3,3,2\] expect 3 input channels/,
    );
    refuses(
      () => conv1d(zeros(1, 4, 2), zeros(3, 2, 2), null, { stride: 0 }),
      ArgumentError,
      /conv1d: stride is \[0\]/,
    );
    refuses(() => convTranspose1d(zeros(1, 4, 2), zeros(3, 2, 5)), ShapeError, /convTranspose1d: weights .* expect 5/);
    refuses(() => conv1d(zeros(1, 4, 2), zeros(3, 2, 2), null, { pad: 1 } as never), ArgumentError, /no option "pad"/);
    const [x, w] = [zeros(1, 2, 4, 4, 2), zeros(3, 3, 3, 2, 2)];
    refuses(() => conv3d(x, w), ShapeError, /conv3d: a kernel of depth 3 does not fit/);
    refuses(
      () => conv3d(x, w, null, { padding: [1, 1] }),
      ArgumentError,
      /conv3d: padding is \[1,1\]; expected 3 integers/,
    );
  });
});

test.run();
