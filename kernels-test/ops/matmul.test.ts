// adapters: all
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/common/errors.js';
import type { KernelLimits } from '../../src/gpu/kernel.js';
import { linear, type MatmulOptions, matmul, matmulOp } from '../../src/ops/matmul/matmul.js';
import { chooseMatmul, planMatmul } from '../../src/ops/matmul/plan.js';
import { referenceOps } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';

const test = gpuSuite('matmul');

type Size = [m: number, n: number, k: number];

async function check(options: MatmulOptions, [m, n, k]: Size, transposeA: boolean, transposeB: boolean): Promise<void> {
  await checkOp({
    op: 'matmul',
    attrs: { transposeA, transposeB },
    inputs: [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]],
    sumLength: Math.max(m, n, k),
    implementation: matmulOp(options),
  });
}

/** Lavapipe takes seconds to compile one large kernel, so it gets fewer of them. */
const slowCompiler = async () => (await testGpu()).description.kind === 'lavapipe';

/**
 * Together with their two gradients, a product without transpositions and one with both read their operands in all four layouts.
 * they can lie.
 */
async function checkLayouts(options: MatmulOptions, sizes: readonly Size[]): Promise<void> {
  for (const size of sizes) {
    await check(options, size, false, false);
    if (!(await slowCompiler())) await check(options, size, true, true);
  }
}

test('the naive kernel agrees with float64', async () => {
  for (const size of [
    [1, 1, 1],
    [3, 5, 7],
    [33, 18, 20],
    [8, 70, 12],
  ] as Size[]) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) await check({ variant: 'naive' }, size, transposeA, transposeB);
    }
  }
});

test('register tiles agree with float64: odd sizes, whole vectors, and an inner axis in parts', async () => {
  await checkLayouts({ variant: 'register' }, [
    [65, 67, 129],
    [64, 72, 300],
    [5, 200, 31],
  ]);
});

test('register tiles without subgroups agree with float64', async () => {
  if (await slowCompiler()) return;
  await checkLayouts({ variant: 'register', limits: { subgroupSize: 0 } }, [[19, 21, 22]]);
});

test('workgroup tiles agree with float64 for odd sizes', async () => {
  await checkLayouts({ variant: 'tiled' }, [[65, 67, 129]]);
});

test('workgroup tiles agree with float64: whole vectors, an inner axis in parts, the large tile', async () => {
  if (await slowCompiler()) return;
  await checkLayouts({ variant: 'tiled' }, [[64, 72, 300]]);
  await check({ variant: 'tiled' }, [770, 700, 9], false, false);
});

test('the chosen kernel agrees with float64 over a long inner axis', async () => {
  await check({}, [3, 20, 5000], false, false);
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const [a, b] = [1, 2].map((seed) => Tensor.from(gpu, randomValues(3 * 20 * 250, seed), [60, 250]));
  const results = [1, 2].map(() => matmul(a, b, { transposeB: true }));
  assert.equal(await results[0].read(), await results[1].read());
  for (const tensor of [a, b, ...results]) tensor.dispose();
});

test('linear is x·w + bias, with all three gradients', async () => {
  const gpu = await testGpu();
  const shapes = [[7, 12], [12, 10], [10]];
  const values = shapes.map((shape, k) =>
    randomValues(
      shape.reduce((a, b) => a * b),
      60 + k,
    ),
  );
  const dyValues = randomValues(70, 63);
  const [x, w, bias] = values.map((data, k) => toNdArray(data, shapes[k]));
  const dy = toNdArray(dyValues, [7, 10]);
  const straight = { transposeA: false, transposeB: false };
  const product = referenceOps.matmul.forward([x, w], straight);
  const expected = referenceOps.add.forward([product, bias], {});
  const [, dBias] = referenceOps.add.backward([product, bias], expected, dy, {});
  const [dx, dw] = referenceOps.matmul.backward([x, w], product, dy, straight);

  const { y, without, gradients } = scope(gpu, () => {
    const tensors = values.map((data, k) => Tensor.from(gpu, data, shapes[k]));
    const tape = new Tape();
    const output = tape.record(() => linear(tensors[0], tensors[1], tensors[2]));
    const found = tape.gradients(output, tensors, Tensor.from(gpu, dyValues, [7, 10]));
    const unbiased = linear(tensors[0], tensors[1], null);
    return { y: output, without: unbiased, gradients: tensors.map((tensor) => found.get(tensor) as Tensor) };
  });
  assertClose('y', await y.read(), expected.data, { sumLength: 13 });
  assertClose('without bias', await without.read(), product.data, { sumLength: 12 });
  for (const [k, gradient] of [dx, dw, dBias].entries()) {
    assertClose(`gradient ${k}`, await gradients[k].read(), gradient?.data ?? [], { sumLength: 12 });
  }
  for (const tensor of [y, without, ...gradients]) tensor.dispose();
});

test('shapes that do not fit are refused', async () => {
  const gpu = await testGpu();
  const [x, w, bias] = [[2, 3], [4, 5], [4]].map((shape) => Tensor.zeros(gpu, shape));
  const refuses = (body: () => unknown, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof ShapeError && message.test(error.message));
  refuses(() => matmul(x, w), /matmul: inner sizes differ: 3 in a \[2,3\], 4 in b \[4,5\]/);
  refuses(() => matmul(x, w, { transposeB: true }), /3 in a \[2,3\], 5 in b \[4,5\] transposed/);
  refuses(() => matmul(bias, x), /matmul: inner sizes differ: 4 in a \[1,4\], 2 in b \[2,3\]/);
  refuses(() => linear(x, w, bias), /linear: bias has shape \[4\]; expected \[5\]/);
  for (const tensor of [x, w, bias]) tensor.dispose();
});

const CPU: KernelLimits = {
  software: true,
  maxWorkgroupInvocations: 256,
  maxWorkgroupStorageBytes: 16384,
  subgroupSize: 8,
};
const GPU: KernelLimits = { ...CPU, software: false, subgroupSize: 32 };

test('the choice follows the adapter and the size', () => {
  assert.equal(chooseMatmul({ m: 4, n: 4, k: 4 }, CPU), { variant: 'naive' });
  assert.equal(chooseMatmul({ m: 4, n: 4, k: 4 }, GPU), { variant: 'naive' });
  const register = { variant: 'register', workgroup: 8 } as const;
  const large = { m: 512, n: 512, k: 512 };
  const lanes8 = { ...register, own: 'a', ownTile: 4, sharedTile: 16, subgroup: 8, splitK: 1 };
  assert.equal(chooseMatmul(large, CPU), lanes8);
  // Narrow registers of four numbers hold fewer sums, unless there is much to compute.
  const small = { m: 64, n: 64, k: 64 };
  assert.equal(chooseMatmul(small, { ...CPU, subgroupSize: 4 }), { ...lanes8, sharedTile: 8, subgroup: 4 });
  assert.equal(chooseMatmul(large, { ...CPU, subgroupSize: 4 }), { ...lanes8, subgroup: 4 });
  assert.equal(chooseMatmul(large, { ...CPU, subgroupSize: 0 }), { ...lanes8, ownTile: 8, sharedTile: 8, subgroup: 0 });
  // With one row, the lanes divide the columns instead, and the inner axis is split.
  const row = chooseMatmul({ m: 1, n: 512, k: 5376 }, CPU);
  assert.ok(row.variant === 'register' && row.own === 'b' && row.sharedTile === 4 && row.splitK > 1);
  assert.equal(chooseMatmul({ m: 2048, n: 2048, k: 64 }, GPU), { variant: 'tiled', tile: 64, splitK: 1 });
  assert.equal(chooseMatmul({ m: 64, n: 512, k: 21504 }, GPU), { variant: 'tiled', tile: 32, splitK: 8 });
  assert.equal(chooseMatmul(large, CPU, 'naive'), { variant: 'naive' });
});

test('the plain loop is chosen where a copy of an operand with whole vectors is too large for one buffer', () => {
  assert.equal(chooseMatmul({ m: 500_000, n: 8, k: 65 }, CPU), { variant: 'naive' });
  assert.equal(chooseMatmul({ m: 8, n: 500_000, k: 65 }, CPU), { variant: 'naive' });
  assert.is.not(chooseMatmul({ m: 500_000, n: 8, k: 65 }, { ...CPU, maxBindingBytes: 2 ** 28 }).variant, 'naive');
  assert.is.not(chooseMatmul({ m: 500_000, n: 8, k: 64 }, CPU).variant, 'naive');
});

test('every workgroup has work, and the grid stays within the limits', () => {
  const straight = { transposeA: false, transposeB: false };
  for (const limits of [CPU, GPU]) {
    for (const m of [1, 65, 5000, 3_000_000]) {
      for (const n of [1, 30, 3_000_000]) {
        for (const k of [1, 700, 100_000]) {
          if (m * n > 2 ** 30) continue;
          const config = chooseMatmul({ m, n, k }, limits);
          const { main } = planMatmul({ m, n, k }, straight, config);
          assert.ok(
            main.kernel.workgroups.every((count) => count >= 1 && count <= 65535),
            `${main.kernel.workgroups} for ${[m, n, k]}`,
          );
          const perPart = new Uint32Array(main.scalars ?? new ArrayBuffer(24))[5];
          const parts = main.shape[0];
          assert.ok(perPart * parts >= k && (parts - 1) * perPart < k, `${parts} parts of ${perPart} for ${k}`);
        }
      }
    }
  }
});

test('for each layout, one pipeline serves all sizes, and another one those with a short inner axis', () => {
  const wgsl = (m: number, n: number, k: number) => {
    const size = { m, n, k };
    return planMatmul(size, { transposeA: false, transposeB: true }, chooseMatmul(size, CPU)).main.kernel.wgsl;
  };
  assert.is(wgsl(512, 512, 512), wgsl(1000, 100, 640));
  assert.is(wgsl(512, 512, 64), wgsl(1000, 100, 300));
  assert.is.not(wgsl(512, 512, 64), wgsl(512, 512, 512));
});

test.run();
