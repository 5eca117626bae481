// adapters: all
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { batchedMatmulOp, gemm, linear, type MatmulOptions, matmul } from '../../src/ops/matmul/matmul.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, FEW_SHAPES, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('matmul of batches');

type Shapes = [a: number[], b: number[]];

/** Batches of one size, stretched ones, and a missing axis; sizes that are whole vectors, and none that are. */
const SHAPES: Shapes[] = [
  [
    [3, 4, 5],
    [3, 5, 6],
  ],
  [
    [2, 1, 7, 9],
    [3, 9, 5],
  ],
  [
    [33, 18],
    [2, 18, 21],
  ],
];

/** Lavapipe and browsers take seconds to compile one large kernel, so they get fewer of them. */
const slowCompiler = async () => FEW_SHAPES || (await testGpu()).description.kind === 'lavapipe';

async function check(options: MatmulOptions, [a, b]: Shapes, transposeA: boolean, transposeB: boolean): Promise<void> {
  const swapped = (shape: number[], swap: boolean) =>
    swap ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape;
  await checkOp({
    op: 'batchedMatmul',
    attrs: { transposeA, transposeB },
    inputs: [swapped(a, transposeA), swapped(b, transposeB)],
    sumLength: 3 * Math.max(...a, ...b),
    implementation: batchedMatmulOp(options),
  });
}

test('products whose stretched or padded operands are too large for one buffer agree with float64', async () => {
  const shapes: Shapes[] = [
    [
      [5, 1, 3, 9],
      [3, 9, 5],
    ],
    [
      [1, 4, 2, 8],
      [3, 1, 8, 6],
    ],
  ];
  for (const [k, given] of shapes.entries()) {
    for (const variant of [undefined, 'register'] as const) {
      // 600 bytes hold one product of either, padded; 140 do not.
      for (const maxBindingBytes of [600, 140]) {
        await check({ variant, limits: { maxBindingBytes } }, given, k === 1, k === 1);
      }
    }
  }
});

test('all rows that meet one matrix are one product, whichever axes of size 1 it has', async () => {
  const gpu = await testGpu();
  const results = scope(gpu, () => {
    const a = Tensor.from(gpu, randomValues(3 * 2 * 4, 1), [3, 2, 4]);
    const b = Tensor.from(gpu, randomValues(4 * 5, 2), [1, 1, 4, 5]);
    const tape = new Tape();
    const y = tape.record(() => matmul(a, b));
    assert.ok(tape.nodes.some(({ name }) => name === 'matmul'));
    const of = matmul(a, b.view([4, 5]));
    const seed = Tensor.from(gpu, randomValues(y.size, 3), y.shape);
    const db = tape.gradients(y, [b], seed).get(b)!;
    return { y, of, db };
  });
  assert.equal([...results.y.shape], [1, 3, 2, 5]);
  assert.equal([...results.db.shape], [1, 1, 4, 5]);
  assert.equal(await results.y.read(), await results.of.read());
  for (const tensor of Object.values(results)) tensor.dispose();
});

test('the naive kernel agrees with float64', async () => {
  for (const shapes of SHAPES) {
    for (const transposed of [false, true]) {
      await check({ variant: 'naive' }, shapes, false, transposed);
      await check({ variant: 'naive' }, shapes, true, transposed);
    }
  }
});

for (const variant of ['register', 'tiled'] as const) {
  test(`${variant} tiles agree with float64`, async () => {
    const slow = await slowCompiler();
    if (slow && variant === 'tiled') return;
    for (const shapes of slow ? SHAPES.slice(1, 2) : SHAPES) {
      await check({ variant }, shapes, false, false);
      if (!slow) await check({ variant }, shapes, true, true);
    }
  });
}

test('the chosen kernel agrees with float64', async () => {
  if (await slowCompiler()) return;
  await check(
    {},
    [
      [2, 40, 36],
      [36, 28],
    ],
    true,
    false,
  );
});

/** The product of numpy.matmul, element by element. */
function expected(a: Float32Array, b: Float32Array, batches: [a: number, b: number][], [m, n, k]: number[]): number[] {
  return batches.flatMap(([ofA, ofB]) =>
    Array.from({ length: m * n }, (_, i) => {
      let sum = 0;
      for (let e = 0; e < k; e++) sum += a[ofA * m * k + Math.floor(i / n) * k + e] * b[ofB * k * n + e * n + (i % n)];
      return sum;
    }),
  );
}

test('shapes are those of numpy.matmul: vectors lose their axis, batches broadcast', async () => {
  const gpu = await testGpu();
  const cases: [Shapes, number[], [number, number][], number[]][] = [
    [[[4], [4]], [], [[0, 0]], [1, 1, 4]],
    [[[4], [4, 5]], [5], [[0, 0]], [1, 5, 4]],
    [[[3, 4], [4]], [3], [[0, 0]], [3, 1, 4]],
    [
      [[2, 3, 4], [4]],
      [2, 3],
      [
        [0, 0],
        [1, 0],
      ],
      [3, 1, 4],
    ],
    [
      [[4], [2, 4, 5]],
      [2, 5],
      [
        [0, 0],
        [0, 1],
      ],
      [1, 5, 4],
    ],
    [
      [
        [2, 3, 4],
        [4, 5],
      ],
      [2, 3, 5],
      [
        [0, 0],
        [1, 0],
      ],
      [3, 5, 4],
    ],
    [
      [
        [2, 1, 3, 4],
        [2, 4, 5],
      ],
      [2, 2, 3, 5],
      [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ],
      [3, 5, 4],
    ],
  ];
  for (const [[a, b], shape, batches, size] of cases) {
    const [as, bs] = [a, b].map((of, k) =>
      randomValues(
        of.reduce((x, y) => x * y, 1),
        k,
      ),
    );
    const y = scope(gpu, () => matmul(Tensor.from(gpu, as, a), Tensor.from(gpu, bs, b)));
    assert.equal([...y.shape], shape);
    assertClose(`[${a}]·[${b}]`, await y.read(), expected(as, bs, batches, size), { sumLength: 4 });
    y.dispose();
  }
});

test('linear takes any number of axes, and gemm scales and adds', async () => {
  const gpu = await testGpu();
  const [x, w] = [randomValues(24, 1), randomValues(20, 2)];
  const product = expected(x, w, [[0, 0]], [6, 5, 4]);
  const [y, z, scaled] = scope(gpu, () => {
    const [xs, ws] = [Tensor.from(gpu, x, [2, 3, 4]), Tensor.from(gpu, w, [4, 5])];
    const c = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [6, 1]);
    const transposed = Tensor.from(
      gpu,
      Array.from({ length: 24 }, (_, i) => x[(i % 6) * 4 + Math.floor(i / 6)]),
      [4, 6],
    );
    return [
      linear(xs, ws),
      gemm(transposed, ws, c, { alpha: 0.5, beta: -2, transA: true }),
      gemm(xs.view([6, 4]), ws, null, { alpha: 3 }),
    ];
  });
  assert.equal([...y.shape], [2, 3, 5]);
  assertClose('linear', await y.read(), product, { sumLength: 4 });
  assertClose(
    'gemm',
    await z.read(),
    product.map((value, i) => 0.5 * value - 2 * (1 + Math.floor(i / 5))),
    { sumLength: 4 },
  );
  assertClose(
    'gemm without c',
    await scaled.read(),
    product.map((value) => 3 * value),
    { sumLength: 4 },
  );
  for (const tensor of [y, z, scaled]) tensor.dispose();
});

test('shapes and options that do not fit are refused', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const zeros = (...shape: number[]) => Tensor.zeros(gpu, shape);
    const refuses = (body: () => unknown, kind: typeof ShapeError | typeof ArgumentError, message: RegExp) =>
      assert.throws(body, (error: Error) => error instanceof kind && message.test(error.message));
    refuses(() => matmul(zeros(2, 3, 4), zeros(3, 4, 5)), ShapeError, /matmul: batch axes: shapes \[2\] and \[3\]/);
    refuses(() => matmul(zeros(2, 3, 4), zeros(2, 3, 4)), ShapeError, /inner sizes differ: 4 in a .*, 3 in b/);
    refuses(() => matmul(zeros(), zeros(2, 2)), ShapeError, /matmul: a has shape \[\]/);
    refuses(() => matmul(zeros(4), zeros(4), { transposeB: true }), ArgumentError, /a vector has no two axes/);
    refuses(() => linear(zeros(2, 4), zeros(2, 4, 5)), ShapeError, /linear: w has shape/);
    refuses(() => gemm(zeros(2, 2, 2), zeros(2, 2)), ShapeError, /gemm: a has shape \[2,2,2\]; expected rank 2/);
    refuses(() => gemm(zeros(1, 2), zeros(2, 3), zeros(4, 3)), ShapeError, /gemm: c has shape \[4,3\]/);
    refuses(() => gemm(zeros(1, 2), zeros(2, 3), null, { gamma: 1 } as never), ArgumentError, /no option "gamma"/);
  });
});

test.run();
