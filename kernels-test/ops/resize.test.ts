import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { naiveChannels } from '../../src/kernels/channel-walk.js';
import { type ResampleAttrs, type ResizeOptions, resampleOp, resize } from '../../src/ops/resize.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('resize');

/** A table in which every output mixes `taps` inputs, some outputs none. */
function table(inputs: number, outputs: number, taps: number): ResampleAttrs['table'] {
  const starts = [0];
  const indices: number[] = [];
  for (let o = 0; o < outputs; o++) {
    for (let k = 0; k < (o % 5 === 3 ? 0 : Math.min(taps, inputs)); k++) indices.push((o + 3 * k) % inputs);
    starts.push(indices.length);
  }
  // No input twice in an output.
  const distinct = inputs % 3 !== 0 || taps === 1;
  assert.ok(distinct);
  return { starts, indices, weights: [...randomValues(indices.length, 3)] };
}

for (const [name, choose] of Object.entries({ chosen: undefined, naive: naiveChannels })) {
  test(`resampling agrees with float64, ${name} width`, async () => {
    for (const [shape, axis, outputs, taps] of [
      [[7], 0, 5, 2],
      [[2, 4, 3], 1, 9, 4],
      [[5, 8, 4], 0, 11, 3],
      [[3, 2, 200], -1, 7, 150],
      [[2, 1, 6], 1, 3, 1],
    ] as const) {
      const inputs = shape[axis < 0 ? axis + shape.length : axis];
      const attrs = { axis, table: table(inputs, outputs, taps), fill: 2.5 };
      await checkOp({ op: 'resample', attrs, inputs: [shape], implementation: resampleOp(choose), sumLength: 150 });
    }
  });
}

const square = (size: number): number[] => Array.from({ length: size * size }, (_, i) => i + 1);

/** Examples of ONNX's specification: the values, their rows and columns, the options, and the beginning of the result. */
const EXAMPLES: [string, number[], [number, number], ResizeOptions, number[]][] = [
  ['nearest', [1, 2, 3, 4], [2, 2], { scales: [2, 3] }, [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]],
  ['nearest, smaller', [1, 2, 3, 4, 5, 6, 7, 8], [2, 4], { scales: [0.6, 0.6] }, [1, 3]],
  [
    'nearest, floor of corners',
    square(4),
    [4, 4],
    { sizes: [8, 8], coordinates: 'align_corners', nearestMode: 'floor' },
    [1, 1, 1, 2, 2, 3, 3, 4],
  ],
  ['nearest, ceil', square(4), [4, 4], { sizes: [8, 8], nearestMode: 'ceil' }, [1, 2, 2, 3, 3, 4, 4, 4]],
  [
    'nearest, ceil preferred, from the left',
    square(4),
    [4, 4],
    { sizes: [8, 8], nearestMode: 'round_prefer_ceil', coordinates: 'asymmetric' },
    [1, 2, 2, 3, 3, 4, 4, 4],
  ],
  ['linear', [1, 2, 3, 4], [2, 2], { scales: [2, 2], mode: 'linear' }, [1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5]],
  [
    'linear, corners',
    [1, 2, 3, 4],
    [2, 2],
    { scales: [2, 2], mode: 'linear', coordinates: 'align_corners' },
    [1, 4 / 3, 5 / 3, 2, 5 / 3, 2, 7 / 3, 8 / 3],
  ],
  ['linear, smaller', square(3).slice(0, 8), [2, 4], { scales: [0.6, 0.6], mode: 'linear' }, [8 / 3, 13 / 3]],
  [
    'linear, smaller, corners',
    square(3).slice(0, 8),
    [2, 4],
    { scales: [0.6, 0.6], mode: 'linear', coordinates: 'align_corners' },
    [1, 1 + 15 / 7],
  ],
  [
    'linear, PyTorch',
    square(4),
    [4, 4],
    { sizes: [3, 1], mode: 'linear', coordinates: 'pytorch_half_pixel' },
    [5 / 3, 7, 37 / 3],
  ],
  [
    'linear, symmetric',
    [1, 2, 3, 4],
    [1, 4],
    { scales: [1, 0.6], mode: 'linear', coordinates: 'half_pixel_symmetric' },
    [5 / 3, 10 / 3],
  ],
  [
    'linear, symmetric, larger',
    [1, 2, 3, 4],
    [2, 2],
    { scales: [2.3, 2.94], mode: 'linear', coordinates: 'half_pixel_symmetric' },
    [1, 1.15986395, 1.5, 1.84013605, 2],
  ],
  [
    'linear, antialiased',
    square(4),
    [4, 4],
    { scales: [0.6, 0.6], mode: 'linear', antialias: true },
    [2.875, 4.5, 9.375, 11],
  ],
  [
    'cubic',
    square(4),
    [4, 4],
    { scales: [2, 2], mode: 'cubic' },
    [0.47265625, 0.76953125, 1.24609375, 1.875, 2.28125, 2.91015625, 3.38671875, 3.68359375],
  ],
  [
    'cubic, corners',
    square(4),
    [4, 4],
    { scales: [2, 2], mode: 'cubic', coordinates: 'align_corners' },
    [1, 1.34110787, 1.80029155, 2.32944606, 2.67055394, 3.19970845, 3.65889213, 4],
  ],
  [
    'cubic, smaller',
    square(4),
    [4, 4],
    { scales: [0.8, 0.8], mode: 'cubic' },
    [1.47119141, 2.78125, 4.08251953, 6.71142578, 8.02148438, 9.32275391, 11.91650391, 13.2265625, 14.52783203],
  ],
  [
    'cubic, without the outside',
    square(4),
    [4, 4],
    { scales: [2, 2], mode: 'cubic', cubicCoefficient: -0.5, excludeOutside: true },
    [0.55882353, 0.81494204, 1.35698249, 1.89705882, 2.39705882, 2.93713516, 3.47917561, 3.73529412],
  ],
  [
    'cubic, antialiased',
    square(4),
    [4, 4],
    { scales: [0.6, 0.6], mode: 'cubic', antialias: true },
    [2.5180721, 4.2858863, 9.589329, 11.357142],
  ],
  [
    'a region',
    square(4),
    [4, 4],
    { sizes: [3, 3], mode: 'linear', coordinates: 'tf_crop_and_resize', roi: [0.4, 0.6, 0.6, 0.8] },
    [7.6, 7.9, 8.2, 8.8, 9.1, 9.4, 10, 10.3, 10.6],
  ],
  [
    'a region that reaches out',
    square(4),
    [4, 4],
    {
      sizes: [3, 3],
      mode: 'linear',
      coordinates: 'tf_crop_and_resize',
      roi: [0.4, 0.6, 1.2, 1.7],
      extrapolationValue: 10,
    },
    [7.6, 10, 10, 12.4, 10, 10, 10, 10, 10],
  ],
];

test("examples of ONNX's specification, rows and columns as any two axes", async () => {
  const gpu = await testGpu();
  for (const [name, values, [rows, columns], options, expected] of EXAMPLES) {
    const [plain, within] = scope(gpu, () => [
      resize(Tensor.from(gpu, values, [rows, columns]), options),
      resize(Tensor.from(gpu, values, [1, rows, columns, 1]), { ...options, axes: [1, -2] }),
    ]);
    const [first, second] = await Promise.all([plain.read(), within.read()]);
    assertClose(name, first.subarray(0, expected.length), expected, { sumLength: 8 });
    assert.equal(first, second, name);
    assert.equal([...within.shape], [1, ...plain.shape, 1], name);
    for (const tensor of [plain, within]) tensor.dispose();
  }
});

test('the gradient is the transpose: sums of dy over what reads an input', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(30, 1), [2, 3, 5]);
  for (const mode of ['nearest', 'linear', 'cubic'] as const) {
    for (const sizes of [
      [4, 7],
      [2, 2],
    ]) {
      const { y, dx, dy } = scope(gpu, () => {
        const tape = new Tape();
        const out = tape.record(() => resize(x, { sizes, axes: [1, 2], mode, antialias: true }));
        const seed = Tensor.from(gpu, randomValues(out.size, 2), out.shape);
        return { y: out, dy: seed, dx: tape.gradients(out, [x], seed).get(x)! };
      });
      // The resize is linear: ⟨dy, y⟩ = ⟨dx, x⟩.
      const [a, b, c, d] = await Promise.all([y, dy, dx, x].map((tensor) => tensor.read()));
      const dot = (p: Float32Array, q: Float32Array) => p.reduce((sum, value, i) => sum + value * q[i], 0);
      assertClose(mode, [dot(a, b)], [dot(c, d)], { sumLength: 30, scale: 10 });
      for (const tensor of [y, dx, dy]) tensor.dispose();
    }
  }
  x.dispose();
});

test('the same size gives the same values, and what is not read does not count', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, Number.NaN, 3], [3]);
  const same = resize(x, { sizes: [3], mode: 'cubic' });
  const ends = resize(x, { sizes: [2], mode: 'linear', coordinates: 'align_corners' });
  assert.is(`${await same.read()}`, '1,NaN,3');
  assert.equal(await ends.read(), Float32Array.of(1, 3));
  for (const tensor of [x, same, ends]) tensor.dispose();
});

test('options that do not fit are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.zeros(gpu, [4, 5]);
    const refuses = (options: unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(
        () => resize(x, options as ResizeOptions),
        (error: Error) => error instanceof kind && message.test(error.message),
      );
    refuses({}, ArgumentError, /resize: expected sizes or scales/);
    refuses({ sizes: [1] }, ArgumentError, /resize: sizes is \[1\]; expected 2 integers/);
    refuses({ sizes: [1], axes: [2] }, ShapeError, /resize: axis 2/);
    refuses(
      { scales: [1, 0] },
      ArgumentError,
      /resize: scales is the array \[1,0\]; expected 2 finite numbers above 0/,
    );
    refuses({ scales: [0.1, 1] }, ShapeError, /resize: scale 0.1 leaves nothing of axis 0/);
    refuses({ sizes: [1, 1], mode: 'bilinear' }, ArgumentError, /mode is "bilinear"; expected nearest, linear, cubic/);
    refuses({ sizes: [1, 1], roi: [0, 1] }, ArgumentError, /roi is the array \[0,1\]; expected 4 finite numbers/);
    refuses({ sizes: [1, 1], antialias: 1 }, ArgumentError, /antialias is the number 1; expected true or false/);
    refuses({ sizes: [1, 1], scale: 1 }, ArgumentError, /no option "scale"/);
  });
});

test.run();
