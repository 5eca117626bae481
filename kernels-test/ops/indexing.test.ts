import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import {
  embedding,
  gather,
  gatherElements,
  gatherND,
  oneHot,
  scatterElements,
  scatterND,
} from '../../src/ops/indexing/indexing.js';
import { sum } from '../../src/ops/reduce.js';
import type { OpAttrs } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import { type AnyTensor, scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { checkTyped } from './typed-values.js';

const test = gpuSuite('indexing');

/** Indices of which some count from the end, and many are equal; `outside`: some are in no axis. */
function someIndices(count: number, dims: readonly number[], outside = false, seed = 0): number[] {
  const random = new CounterRandom(41, seed);
  return Array.from({ length: count }, (_, i) => {
    const dim = dims[i % dims.length];
    const index = Math.floor(random.uniform() * 2 * dim) - dim;
    return outside && i % 5 === 3 ? (i % 2 === 0 ? dim : -dim - 1) : index;
  });
}

const size = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

interface Case {
  x: number[];
  indices: number[];
  attrs: { axis: number } & { batchDims: number };
  /** Sizes that the components of an index go over. */
  dims: number[];
}

const of = (x: number[], indices: number[], where: { axis?: number; batchDims?: number }, dims: number[]): Case => ({
  x,
  indices,
  attrs: { axis: 0, batchDims: 0, ...where },
  dims,
});

const GATHERS = [
  of([7], [], { axis: 0 }, [7]),
  of([3, 5, 7], [2, 3], { axis: 1 }, [5]),
  of([3, 5, 7], [9], { axis: 2 }, [7]),
  of([65, 3], [70], { axis: 0 }, [65]),
];
const ELEMENTS = [of([3, 5, 7], [3, 8, 7], { axis: 1 }, [5]), of([3, 5], [3, 2], { axis: -1 }, [5])];
const TUPLES = [
  of([3, 5], [6, 2], {}, [3, 5]),
  of([3, 5, 2, 4], [7, 2], {}, [3, 5]),
  of([3, 5, 2], [2, 3, 1], {}, [3]),
];
const BATCHES = [
  of([2, 3, 5], [2, 4, 1], { batchDims: 1 }, [3]),
  of([2, 3, 5, 7], [2, 3, 2, 1], { batchDims: 2 }, [5]),
];

async function checkGather(op: 'gather' | 'gatherElements' | 'gatherND', cases: Case[]): Promise<void> {
  for (const { x, indices, attrs, dims } of cases) {
    const given = (k: number) => (k === 1 ? someIndices(size(indices), dims, true) : undefined);
    const inside = (k: number) => (k === 1 ? someIndices(size(indices), dims) : undefined);
    await checkOp({
      op,
      attrs,
      inputs: [x, indices],
      dtypes: ['float32', 'int32'],
      values: (k) => given(k) && Float32Array.from(given(k)!),
      sumLength: size(indices),
    });
    await checkTyped(op, attrs, [x, indices], inside);
  }
}

test('gather agrees with float64', () => checkGather('gather', GATHERS));
test('gatherElements agrees with float64', () => checkGather('gatherElements', ELEMENTS));
test('gatherND agrees with float64', () => checkGather('gatherND', [...TUPLES, ...BATCHES]));

async function checkScatter(op: 'scatterElements' | 'scatterND', cases: Case[]): Promise<void> {
  for (const { x, indices, attrs, dims } of cases) {
    const inner = op === 'scatterElements' ? [] : x.slice(dims.length);
    const updates = [...(op === 'scatterElements' ? indices : indices.slice(0, -1)), ...inner];
    const given = (k: number) => (k === 1 ? someIndices(size(indices), dims, true) : undefined);
    for (const reduction of ['none', 'add'] as const) {
      await checkOp({
        op,
        attrs: { ...attrs, reduction },
        inputs: [x, indices, updates],
        dtypes: ['float32', 'int32', 'float32'],
        values: (k) => given(k) && Float32Array.from(given(k)!),
        sumLength: size(indices),
      });
    }
    await checkTyped(op, { ...attrs, reduction: 'none' }, [x, indices, updates], given);
    for (const reduction of ['max', 'min'] as const) {
      await checkTyped(op, { ...attrs, reduction }, [x, indices, updates], given, ['int32']);
    }
  }
}

test('scatterElements agrees with float64', () => checkScatter('scatterElements', ELEMENTS));
test('scatterND agrees with float64', () => checkScatter('scatterND', TUPLES));

/** Runs a scatter along one axis, forward. */
async function scattered(
  reduction: OpAttrs['scatterND']['reduction'],
  x: readonly number[],
  indices: readonly number[],
  updates: readonly number[],
  dtype: 'float32' | 'int32' = 'float32',
): Promise<number[]> {
  const gpu = await testGpu();
  const y = scope(gpu, () =>
    scatterElements(
      Tensor.from(gpu, x, [x.length], dtype),
      Tensor.from(gpu, indices, [indices.length], 'int32'),
      Tensor.from(gpu, updates, [updates.length], dtype),
      0,
      reduction,
    ),
  );
  const values = [...(await y.read())];
  y.dispose();
  return values;
}

test('updates of one element act in their order, and NaN stays', async () => {
  const x = [1, 2, 3, 4];
  const indices = [1, 3, 1, -3, 4, -5];
  const updates = [-5, 6, 7, 0.5, 99, 99];
  assert.equal(await scattered('none', x, indices, updates), [1, 0.5, 3, 6]);
  assert.equal(await scattered('add', x, indices, updates), [1, 4.5, 3, 10]);
  assert.equal(await scattered('mul', x, indices, updates), [1, -35, 3, 24]);
  assert.equal(await scattered('max', x, indices, updates), [1, 7, 3, 6]);
  assert.equal(await scattered('min', x, indices, updates), [1, -5, 3, 4]);
  for (const reduction of ['add', 'mul', 'max', 'min'] as const) {
    const values = await scattered(reduction, [Number.NaN, 1, 1], [0, 1, 1, 1], [1, 2, Number.NaN, 3]);
    assert.equal(values, [Number.NaN, Number.NaN, 1], reduction);
  }
  const big = 2 ** 30 + 1;
  assert.equal(await scattered('add', [big, 5], [0, 0], [big, -7], 'int32'), [(2 * big - 7) | 0, 5]);
  assert.equal(await scattered('mul', [big, 5], [0, 1], [3, -7], 'int32'), [Math.imul(3, big), -35]);
});

test('an index outside the axis gives NaN, and 0 for other types', async () => {
  const gpu = await testGpu();
  const indices = Tensor.from(gpu, [2, -3, 1, 2 ** 31 - 1, -(2 ** 31)], [5], 'int32');
  for (const [dtype, expected] of [
    ['float32', [Number.NaN, Number.NaN, 1, Number.NaN, Number.NaN]],
    ['int32', [0, 0, 1, 0, 0]],
    ['bool', [0, 0, 1, 0, 0]],
  ] as const) {
    const x: AnyTensor = Tensor.from(gpu, [1, 1], [2], dtype);
    const y = gather(x, indices);
    assert.equal([...(await y.read())], [...expected]);
    x.dispose();
    y.dispose();
  }
  indices.dispose();
});

test('many equal indices: the sum of the gradient is exact, and the same each time', async () => {
  const gpu = await testGpu();
  const count = 5000;
  const gradients = scope(gpu, () => {
    const table = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [3, 2]);
    const indices = Tensor.from(gpu, new Int32Array(count).fill(1), [count], 'int32');
    const tape = new Tape();
    const y = tape.record(() => embedding(table, indices));
    const seed = Tensor.from(gpu, new Float32Array(2 * count).fill(0.1), [count, 2]);
    return [0, 1].map(() => tape.gradients(y, [table], seed).get(table)!);
  });
  const [first, second] = [await gradients[0].read(), await gradients[1].read()];
  assert.equal([...first.subarray(0, 2)], [0, 0]);
  assert.ok(Math.abs(first[2] - count * Math.fround(0.1)) < 1e-3, `${first[2]}`);
  assert.equal(first, second);
  for (const tensor of gradients) tensor.dispose();
});

test('indices may be smaller than x along the other axes', async () => {
  const gpu = await testGpu();
  const xs = Array.from({ length: 24 }, (_, i) => i);
  const x = Tensor.from(gpu, xs, [2, 3, 4]);
  const indices = Tensor.from(gpu, [2, 0, -1, 1], [1, 2, 2], 'int32');
  const updates = Tensor.from(gpu, [100, 200, 300, 400], [1, 2, 2]);
  const kept = scope(gpu, () => {
    const tape = new Tape();
    const [taken, put] = tape.record(() => [gatherElements(x, indices, 1), scatterElements(x, indices, updates, -2)]);
    const [byTaken] = tape
      .gradients(
        tape.record(() => sum(taken)),
        [x],
      )
      .values();
    const byPut = tape.gradients(
      tape.record(() => sum(put)),
      [x, updates],
    );
    return { taken, put, byTaken, byX: byPut.get(x)!, byUpdates: byPut.get(updates)! };
  });
  assert.equal([...(await kept.taken.read())], [8, 1, 8, 5]);
  const expected = [...xs];
  for (const [at, value] of [
    [8, 300],
    [1, 200],
    [5, 400],
  ])
    expected[at] = value;
  assert.equal([...(await kept.put.read())], expected);
  assert.equal(
    [...(await kept.byTaken.read())],
    xs.map((i) => ({ 8: 2, 1: 1, 5: 1 })[i] ?? 0),
  );
  assert.equal(
    [...(await kept.byX.read())],
    xs.map((i) => ([8, 1, 5].includes(i) ? 0 : 1)),
  );
  assert.equal([...(await kept.byUpdates.read())], [0, 1, 1, 1]);
  for (const tensor of [x, indices, updates, ...Object.values(kept)]) tensor.dispose();
});

test('oneHot along any axis', async () => {
  for (const [shape, axis] of [
    [[], 0],
    [[5], -1],
    [[3, 5], 0],
    [[3, 5], 1],
    [[3, 5], -1],
  ] as const) {
    await checkOp({
      op: 'oneHot',
      attrs: { depth: 7, axis, on: 2.5, off: -1 },
      inputs: [shape],
      dtypes: ['int32'],
      values: (_, count) => Float32Array.from(someIndices(count, [7], true)),
    });
  }
  const gpu = await testGpu();
  const indices = Tensor.from(gpu, [1, -1, 3], [3], 'int32');
  const y = oneHot(indices, 3);
  assert.equal([...(await y.read())], [0, 1, 0, 0, 0, 1, 0, 0, 0]);
  indices.dispose();
  y.dispose();
});

test('more elements than one row of workgroups holds', async () => {
  const gpu = await testGpu();
  const count = 65535 * 64 + 17;
  const table = Tensor.from(gpu, [10, 11, 12], [3], 'int32');
  const indices = Tensor.from(
    gpu,
    Int32Array.from({ length: count }, (_, i) => i % 3),
    [count],
    'int32',
  );
  const y = gather(table, indices);
  const values = await y.read();
  assert.is(values.length, count);
  assert.is(
    values.findIndex((value, i) => value !== 10 + (i % 3)),
    -1,
  );
  for (const tensor of [table, indices, y]) tensor.dispose();
});

test('what does not fit is refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [4, 3]);
  const masks = Tensor.from(gpu, new Uint8Array(12), [4, 3], 'bool');
  const floats = Tensor.zeros(gpu, [2, 3]);
  const indices = Tensor.from(gpu, [0, 0, 0, 0, 0, 0], [2, 3], 'int32');
  const pairs = Tensor.from(gpu, [0, 0], [1, 2], 'int32');
  for (const [body, type, message] of [
    [() => gather(x, floats as never), ArgumentError, /gather: indices is a tensor of "float32"; expected int32/],
    [() => gather(x, indices, 2), ShapeError, /gather: axis 2 is outside/],
    [
      () => gatherElements(floats, indices.view([1, 6])),
      ShapeError,
      /gatherElements: indices have shape \[1,6\]; expected \[1,3\]/,
    ],
    [() => gatherND(x, indices), ShapeError, /so x needs 3 axes or more; it has shape \[4,3\]/],
    [() => gatherND(x, pairs, 1), ShapeError, /so x needs 3 axes or more; it has shape \[4,3\]/],
    [() => gatherND(x, pairs, 0.5), ArgumentError, /batchDims is the number 0.5/],
    [() => scatterND(x, pairs, floats), ShapeError, /scatterND: updates have shape \[2,3\]; expected \[1\]/],
    [() => scatterElements(x, indices, x, 0), ShapeError, /updates have shape \[4,3\]; expected \[2,3\]/],
    [
      () => scatterElements(x, indices, floats, 0, 'sum' as never),
      ArgumentError,
      /reduction is "sum"; expected one of none/,
    ],
    [
      () => scatterElements(masks, masks as never, masks),
      ArgumentError,
      /indices is a tensor of "bool"; expected int32/,
    ],
    [
      () => scatterElements<'float32' | 'bool'>(masks, indices, floats),
      ArgumentError,
      /bool and float32; expected one type/,
    ],
    [() => scatterElements(masks, indices, masks, 0, 'add'), ShapeError, /updates have shape \[4,3\]/],
    [() => oneHot(indices, 0), ArgumentError, /depth is the number 0/],
    [() => oneHot(indices, 3, { value: 1 } as never), ArgumentError, /there is no option "value"/],
    [() => embedding(Tensor.zeros(gpu, [3]), indices), ShapeError, /embedding: table has shape \[3\]; expected rank 2/],
  ] as const) {
    scope(gpu, () =>
      assert.throws(body, (error: Error) => error instanceof type && message.test(error.message), `${message}`),
    );
  }
  scope(gpu, () => {
    const ones = Tensor.from(gpu, [1, 1, 0, 0, 1, 0], [2, 3], 'bool');
    assert.throws(() => scatterElements(masks, indices, ones, 0, 'add'), /expected float32 or int32/);
    const tape = new Tape();
    const y = tape.record(() => scatterElements(x, indices, floats, 0, 'max'));
    assert.throws(
      () =>
        tape.gradients(
          tape.record(() => sum(y)),
          [x],
        ),
      /the reduction max has no gradient/,
    );
  });
  for (const tensor of [x, masks, floats, indices, pairs]) tensor.dispose();
});

test.run();
