import { suite as uvuSuite } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import { applyByName, type OpAttrs, type OpName, referenceOps } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import type { DType } from '../../src/tensor/dtype.js';
import { apply, type Op } from '../../src/tensor/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { sharedGpu } from '../runner/shared-gpu.js';

/** Whether tests of many shapes take only some of them (CAMEO_FEW_SHAPES=1). Pages do so, because compiling takes long there. */
export const FEW_SHAPES = process.env.CAMEO_FEW_SHAPES === '1';

export const testGpu = sharedGpu;

/**
 * A uvu suite in which every test fails on an error that the device reported by itself ("uncaptured"), and on tensors that
 * a test leaves behind. Call `.run()` at the end of the file, as with uvu.
 */
export function gpuSuite(name: string) {
  const suite = uvuSuite(name);
  // This is checked inside the test and not in a hook, because a hook that fails after a failed test ends a uvu suite without an error.
  const test = (title: string, body: () => Promise<void> | void) => {
    suite(title, async () => {
      const gpu = await sharedGpu();
      const { liveBytes } = gpu.pool;
      try {
        await body();
      } catch (error) {
        await gpu.sync().catch(() => {}); // errors that the device reports only now belong to this test, not to the next
        throw error;
      }
      await gpu.sync();
      assert.is(gpu.pool.liveBytes, liveBytes, 'the test left tensors behind');
    });
  };
  // uvu counts the test as skipped, not as passed.
  const skip = (title: string, _body?: () => Promise<void> | void): void => suite.skip(title);
  return Object.assign(test, { run: suite.run, after: suite.after, skip });
}

/** Seeded float32 values: normal by default, or uniform in [low, high). */
export function randomValues(count: number, seed: number, range?: readonly [number, number]): Float32Array {
  const random = new CounterRandom(seed, 77);
  return Float32Array.from({ length: count }, () =>
    range ? range[0] + (range[1] - range[0]) * random.uniform() : random.normal(),
  );
}

export function toNdArray(values: Float32Array, shape: readonly number[]): NdArray {
  return { shape, data: Float64Array.from(values) };
}

/** 2⁻²⁴: the largest relative error of one float32 rounding. */
const UNIT = 2 ** -24;

export interface Tolerance {
  /** Number of terms in the longest sum for one element; default 1. */
  sumLength?: number;
  /** Magnitude of the terms, if they cancel. */
  scale?: number;
  /** Factor on the tolerance, for functions with a larger float32 error (exp, log, sigmoid). */
  factor?: number;
  /** Lets the tolerance grow with n itself, for kernels that add without blocks. */
  linear?: boolean;
  /** Allows NaN in place of a number, but not a number in place of NaN: the product of padding 0 and NaN may be 0 or NaN. */
  spreads?: boolean;
}

/** Number of roundings in a sum of n terms. Kernels add in blocks, so it grows with the logarithm of n. */
const roundingsOf = (sumLength: number): number => Math.min(sumLength, 4 + 4 * Math.log2(Math.max(sumLength, 1)));

/**
 * Compares with a float64 result: NaN and infinite elements must be at the same places. The tolerance grows with the length
 * n of the sum behind each element: at most UNIT·(32 + 2·min(n, 4 + 4·log₂ n)) times the largest magnitude of the expected
 * array (and of `scale`, where terms cancel).
 */
export function assertClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { sumLength = 1, scale = 0, factor = 1, linear = false, spreads = false }: Tolerance = {},
): void {
  assert.is(actual.length, expected.length, `${what}: length`);
  let largest = scale;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]));
  }
  const roundings = linear ? sumLength : roundingsOf(sumLength);
  const tolerance = factor * UNIT * (32 + 2 * roundings) * Math.max(largest, 1e-30);
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const spread = spreads && Number.isNaN(actual[i]);
    const same = spread || (Number.isFinite(expected[i]) ? error <= tolerance : Object.is(actual[i], expected[i]));
    if (!same) {
      assert.unreachable(`${what}: element ${i} is ${actual[i]}, expected ${expected[i]} ± ${tolerance}`);
    }
  }
}

export interface OpCase<K extends OpName> extends Tolerance {
  op: K;
  attrs: OpAttrs[K];
  inputs: readonly (readonly number[])[];
  /** Types of the inputs' elements; default: all float32. */
  dtypes?: readonly DType[];
  /** Values of input k, if they cannot be random normals (labels, positive arguments). */
  values?: (k: number, size: number) => Float32Array | undefined;
  /** Values of dy instead of random normals. */
  dyValues?: (size: number) => Float32Array;
  /** An implementation instead of the registered one: a naive or a tuned variant. */
  implementation?: Op<OpAttrs[K]>;
}

/** Operations whose kernels add their long sums without blocks. */
const LINEAR: readonly OpName[] = ['conv2d', 'convTranspose2d', 'matmul', 'batchedMatmul'];

const isFloat = (dtype: DType = 'float32'): boolean => dtype === 'float32';

/** Runs one operation on the GPU, forward and backward with a random dy, and compares both with the float64 reference. */
export async function checkOp<K extends OpName>(given: OpCase<K>): Promise<void> {
  const test = { linear: LINEAR.includes(given.op), ...given };
  const gpu = await testGpu();
  const { op, attrs, inputs: shapes } = test;
  const label = `${op} ${shapes.map((shape) => `[${shape}]`).join(' ')} ${JSON.stringify(attrs)}`;
  const values = shapes.map((shape, k) => test.values?.(k, sizeOf(shape)) ?? randomValues(sizeOf(shape), 100 + k));
  const arrays = values.map((data, k) => toNdArray(data, shapes[k]));
  const reference = referenceOps[op];
  const expected = reference.forward(arrays, attrs);
  const dyValues = test.dyValues?.(sizeOf(expected.shape)) ?? randomValues(sizeOf(expected.shape), 999);
  const allGradients = reference.backward(arrays, expected, toNdArray(dyValues, expected.shape), attrs);
  // Integers and masks have none.
  const expectedGradients = allGradients.map((gradient, k) => (isFloat(test.dtypes?.[k]) ? gradient : null));

  const kept = scope(gpu, () => {
    // The operation checks the types.
    const tensors = values.map((data, k) =>
      Tensor.from(gpu, data, shapes[k], test.dtypes?.[k] ?? 'float32'),
    ) as Tensor[];
    const tape = new Tape();
    const output = tape.record(() =>
      test.implementation ? apply(op, test.implementation, tensors, attrs) : applyByName(op, tensors, attrs),
    );
    const wrt = tensors.filter((_, k) => expectedGradients[k] !== null);
    const seed = Tensor.from(gpu, dyValues, output.shape);
    const gradients = wrt.length > 0 ? tape.gradients(output, wrt, seed) : new Map<Tensor, Tensor>();
    return { output, gradients: tensors.map((tensor) => gradients.get(tensor) ?? null) };
  });
  const gradients = kept.gradients as (Tensor | null)[];
  try {
    assert.equal([...kept.output.shape], [...expected.shape], `${label}: shape`);
    // All are read at once, because in a browser each read is a round trip.
    const wanted = gradients.map((gradient, k) => (expectedGradients[k] ? gradient?.read() : undefined));
    const [output, ...read] = await Promise.all([kept.output.read(), ...wanted]);
    assertClose(`${label}: output`, output, expected.data, test);
    for (const [k, gradient] of expectedGradients.entries()) {
      if (!gradient) continue;
      const actual = read[k];
      if (!actual) {
        // An operation may leave out a gradient only if it is zero everywhere.
        assert.ok(
          gradient.data.every((value) => value === 0),
          `${label}: gradient ${k} is missing`,
        );
        continue;
      }
      assert.equal([...(gradients[k]?.shape ?? [])], [...shapes[k]], `${label}: shape of gradient ${k}`);
      assertClose(`${label}: gradient ${k}`, actual, gradient.data, test);
    }
  } finally {
    kept.output.dispose();
    for (const gradient of gradients) gradient?.dispose();
  }
}
