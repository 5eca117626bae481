// adapters: all
import * as assert from 'uvu/assert';
import { DisposedError } from '../../src/common/errors.js';
import { sizeOf } from '../../src/common/shapes.js';
import {
  batchNormTraining,
  conv2d,
  cosFace,
  globalMaxPool2d,
  layerNorm,
  maxPool2d,
  nllLoss,
  norm,
  softmaxCrossEntropy,
  ssim,
  variance,
} from '../../src/engine.js';
import { type Kernel, linearGrid } from '../../src/gpu/kernel.js';
import { add } from '../../src/ops/binary.js';
import { dispatch } from '../../src/tensor/dispatch.js';
import { keep, openScopes, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { rejected, thrown } from '../helpers/rejection.js';

const test = gpuSuite('scopes');

const copyKernel = (count: number): Kernel => ({
  label: 'copy',
  bindings: 'rw',
  workgroups: linearGrid(Math.ceil(count / 64)),
  wgsl: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u) { if (gid.x < ${count}u) { y[gid.x] = x[gid.x]; } }`,
});

test('a disposed tensor is refused by name', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [2, 3]);
  const view = y.view([6]);
  y.dispose();
  y.dispose();
  assert.ok(y.disposed && !view.disposed);
  const error = thrown(() => add(y, y)) as Error;
  assert.instance(error, DisposedError);
  assert.match(error.message, /tensor \d+ of shape \[2,3\] was used after its disposal/);
  assert.instance(
    thrown(() => y.view([6])),
    DisposedError,
  );
  assert.instance(
    thrown(() => y.write(new Float32Array(6))),
    DisposedError,
  );
  assert.instance(await rejected(y.read()), DisposedError);
  assert.equal(await view.read(), new Float32Array(6));
  view.dispose();
});

test('views share memory, which is freed with the last of them', async () => {
  const gpu = await testGpu();
  const { liveBytes } = gpu.pool;
  const y = Tensor.zeros(gpu, [1000]);
  const held = gpu.pool.liveBytes;
  const view = y.view([10, 100]);
  assert.is(gpu.pool.liveBytes, held);
  y.dispose();
  assert.is(gpu.pool.liveBytes, held);
  view.dispose();
  assert.is(gpu.pool.liveBytes, liveBytes);
});

test('a scope frees the tensors that it does not return, for any structure of the result', async () => {
  const gpu = await testGpu();
  const make = () => Tensor.zeros(gpu, [4]);
  let lost: Tensor | undefined;
  const { a, list, map, count } = scope(gpu, () => {
    lost = make();
    return { a: make(), list: [make(), [make()]] as const, map: new Map([['x', make()]]), count: 3 };
  });
  assert.ok(lost?.disposed);
  assert.is(count, 3);
  const kept = [a, list[0], list[1][0], map.get('x')!];
  assert.equal(
    kept.map((tensor) => tensor.disposed),
    [false, false, false, false],
  );
  for (const tensor of kept) tensor.dispose();
});

test('scopes can be nested, and `keep` takes a tensor out of all of them', async () => {
  const gpu = await testGpu();
  const make = () => Tensor.zeros(gpu, [4]);
  const seen: Tensor[] = [];
  const result = scope(gpu, () => {
    const inner = scope(gpu, () => {
      seen.push(make(), keep(make()));
      return make();
    });
    assert.equal([seen[0].disposed, seen[1].disposed, inner.disposed], [true, false, false]);
    seen.push(inner);
    return make();
  });
  assert.ok(seen[2].disposed, 'the outer scope owns what the inner one returned');
  assert.not(result.disposed);
  assert.not(seen[1].disposed);
  assert.is(openScopes(gpu).length, 0);
  seen[1].dispose();
  result.dispose();
});

test('a scope frees everything when its body throws or is asynchronous', async () => {
  const gpu = await testGpu();
  const seen: Tensor[] = [];
  assert.throws(
    () =>
      scope(gpu, () => {
        seen.push(Tensor.zeros(gpu, [4]));
        throw new Error('stopped');
      }),
    'stopped',
  );
  assert.throws(
    () =>
      scope(gpu, async () => {
        seen.push(Tensor.zeros(gpu, [4]));
      }),
    /synchronous/,
  );
  assert.ok(seen.length === 2 && seen.every((tensor) => tensor.disposed));
  assert.is(openScopes(gpu).length, 0);
});

test('outside scopes and tapes, only the result of an operation stays', async () => {
  const gpu = await testGpu();
  const tensor = (shape: number[]): Tensor => Tensor.from(gpu, randomValues(sizeOf(shape), 1), shape);
  const [rows, picture, weights, channels, filter] = [[4, 3], [1, 12, 12, 3], [5, 3], [3], [3, 3, 3, 7]].map(tensor);
  const labels = Tensor.from(gpu, [0, 1, 2, 1], [4], 'int32');
  const floats = Tensor.from(gpu, [0, 1, 2, 1], [4]);
  const operations: (() => Tensor)[] = [
    () => maxPool2d(picture, { kernel: 2 }),
    () => globalMaxPool2d(picture),
    () => ssim(picture, picture, { window: 5 }),
    () => batchNormTraining(picture, channels, channels),
    () => layerNorm(rows, channels, channels),
    () => nllLoss(rows, labels),
    () => softmaxCrossEntropy(rows, floats),
    () => cosFace(rows, weights, floats, { margin: 0.2, scale: 4 }),
    () => variance(rows, [1], { correction: 1 }),
    () => norm(rows),
    () => norm(rows, { p: 1 }),
    () => norm(rows, { p: Infinity, axes: [1] }),
    () => conv2d(picture, filter),
  ];
  for (const operation of operations) {
    const before = gpu.pool.liveBytes;
    const y = operation();
    assert.is(gpu.pool.liveBytes, before + y.buffer.capacity, `${operation}`);
    y.dispose();
  }
  for (const owned of [rows, picture, weights, channels, filter, labels, floats]) owned.dispose();
});

test('live and pooled bytes are the same after every step', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [37, 11]);
  const figures: string[] = [];
  for (let step = 0; step < 12; step++) {
    scope(gpu, () => {
      const doubled = add(y, y);
      const grown = add(doubled, dispatch(copyKernel(y.size), [y], y.shape));
      return grown.view([y.size]).shape;
    });
    await gpu.endStep();
    figures.push(`${gpu.pool.liveBytes} live, ${gpu.pool.pooledBytes} pooled`);
  }
  assert.is(new Set(figures.slice(1)).size, 1, figures.join('; '));
  y.dispose();
});

test.run();
