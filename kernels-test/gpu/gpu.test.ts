// adapters: all
import * as assert from 'uvu/assert';
import { ArgumentError, DeviceLostError, DisposedError, GpuError, OutOfMemoryError } from '../../src/common/errors.js';
import { BufferPool } from '../../src/gpu/buffer-pool.js';
import type { GpuOptions } from '../../src/gpu/gpu.js';
import { type Kernel, linearGrid } from '../../src/gpu/kernel.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { add } from '../../src/ops/binary.js';
import { dispatch, dispatchInPlace } from '../../src/tensor/dispatch.js';
import { keep, openScopes, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('gpu');
const COUNT = 100;

/** y += amount, where the amount is in the text, or the first scalar. */
const increment = (amount: number | 'scalar'): Kernel => ({
  label: `increment by ${amount}`,
  bindings: amount === 'scalar' ? 'wu' : 'w',
  workgroups: linearGrid(Math.ceil(COUNT / 64)),
  wgsl: `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
${amount === 'scalar' ? '@group(0) @binding(1) var<uniform> amount: vec4f;' : ''}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u) {
  if (gid.x < arrayLength(&y)) { y[gid.x] += ${amount === 'scalar' ? 'amount.x' : `f32(${amount})`}; }
}`,
});

const INVALID: Kernel = { label: 'invalid', bindings: 'w', workgroups: [1, 1, 1], wgsl: 'fn main() { nonsense }' };

/** Runs `body` with a device of its own, on the adapter under test. */
async function withOwnGpu(options: GpuOptions, body: (gpu: Awaited<ReturnType<typeof openGpu>>) => Promise<void>) {
  const gpu = await openGpu(options);
  try {
    await body(gpu);
  } finally {
    if (!gpu.lost) gpu.destroy();
  }
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error) => error,
  );

const thrown = (body: () => unknown): unknown => {
  try {
    body();
  } catch (error) {
    return error;
  }
  return null;
};

test('a small read takes less than a browser waits between two looks at what is done', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3], [3]);
  let least = Infinity;
  for (let k = 0; k < 10; k++) {
    const start = performance.now();
    assert.equal(await x.read(), Float32Array.of(1, 2, 3));
    least = Math.min(least, performance.now() - start);
  }
  x.dispose();
  // Firefox waits 100 ms.
  assert.ok(least < 60, `${least} ms`);
});

test('the pool rounds to size classes that waste an eighth at most', async () => {
  const { pool } = await testGpu();
  for (const bytes of [4, 256, 260, 1000, 4096, 5000, 100_004, 1_000_004, 9_999_996]) {
    const buffer = pool.acquire(bytes, 'sizes');
    assert.is(buffer.bytes, bytes);
    assert.ok(buffer.capacity >= bytes && buffer.capacity % 4 === 0, `${bytes} in ${buffer.capacity}`);
    assert.ok(buffer.capacity <= Math.max(256, bytes * 1.125 + 64), `${bytes} in ${buffer.capacity}`);
    assert.is(buffer.raw.size, buffer.capacity);
    pool.release(buffer);
  }
});

test('a released buffer is used again within its size class', async () => {
  const { pool } = await testGpu();
  const first = pool.acquire(70_000, 'first');
  pool.release(first);
  const { liveBytes, pooledBytes } = pool;
  const second = pool.acquire(69_992, 'second');
  assert.is(second.raw, first.raw);
  assert.is(second.bytes, 69_992);
  assert.is(pool.liveBytes, liveBytes + second.capacity);
  assert.is(pool.pooledBytes, pooledBytes - second.capacity);
  assert.ok(pool.peakBytes >= pool.liveBytes);
  pool.release(second);
});

test('the pool keeps no more than its cap, and trims to nothing', async () => {
  await withOwnGpu({ maxPooledBytes: 3 * 4096 }, async (gpu) => {
    gpu.pool.trim(); // what the self-test left
    const buffers = Array.from({ length: 5 }, (_, k) => gpu.pool.acquire(4096, `buffer ${k}`));
    for (const buffer of buffers) gpu.pool.release(buffer);
    assert.is(gpu.pool.liveBytes, 0);
    assert.is(gpu.pool.pooledBytes, 3 * 4096);
    gpu.flush();
    await gpu.sync();
    gpu.pool.trim();
    assert.is(gpu.pool.pooledBytes, 0);
  });
});

test('buffers released past the cap serve the commands that are recorded already', async () => {
  await withOwnGpu({ maxPooledBytes: 0 }, async (gpu) => {
    const y = Tensor.zeros(gpu, [COUNT]);
    const x = Tensor.from(gpu, new Float32Array(COUNT).fill(2), [COUNT]);
    const sum = add(y, x);
    y.dispose();
    x.dispose();
    assert.equal(await sum.read(), new Float32Array(COUNT).fill(2));
    await gpu.sync();
    sum.dispose();
  });
});

test('an allocation past the cap or the limits is refused, and changes nothing', async () => {
  await withOwnGpu({ maxLiveBytes: 10_000 }, async (gpu) => {
    const held = gpu.pool.acquire(8192, 'held');
    const error = thrown(() => gpu.pool.acquire(4096, 'too much')) as Error;
    assert.instance(error, OutOfMemoryError);
    assert.match(error.message, /^too much: 4096 bytes asked for with 8192 live; the cap is 10000 bytes$/);
    assert.is(gpu.pool.liveBytes, 8192);
    gpu.pool.release(held);
    gpu.pool.release(gpu.pool.acquire(4096, 'fits again'));

    const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
    const oversize = Math.min(maxBufferSize, maxStorageBufferBindingSize) + 4;
    const large = thrown(() => gpu.pool.acquire(oversize, 'oversize')) as Error;
    assert.instance(large, OutOfMemoryError);
    assert.match(large.message, `${oversize} bytes in one buffer; this device allows at most ${oversize - 4}`);
    assert.is(gpu.pool.liveBytes, 0);
  });
});

test("the driver's own lack of memory is reported by name", async () => {
  // Software adapters never report it, so the answer of the error scope is given here.
  const { device } = await testGpu();
  const full = {
    limits: device.limits,
    pushErrorScope: () => {},
    popErrorScope: async () => ({ message: 'no memory left' }),
    createBuffer: (descriptor: GPUBufferDescriptor) => device.createBuffer(descriptor),
  } as unknown as GPUDevice;
  const errors: Error[] = [];
  const pool = new BufferPool(full, { maxPooledBytes: 0, maxLiveBytes: Infinity }, (error) => errors.push(error));
  const buffer = pool.acquire(1024, 'tensor [256]');
  await new Promise((resolve) => setTimeout(resolve));
  assert.instance(errors[0], OutOfMemoryError);
  assert.is(errors[0].message, 'tensor [256]: 1024 bytes: no memory left');
  pool.release(buffer);
  pool.trim();
});

test('equal texts share one pipeline', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  const { pipelineCount } = gpu;
  for (let k = 0; k < 5; k++) dispatchInPlace(increment(1), [y]);
  assert.is(gpu.pipelineCount, pipelineCount);
  dispatchInPlace(increment(7), [y]);
  assert.is(gpu.pipelineCount, pipelineCount + 1);
  assert.equal(await y.read(), new Float32Array(COUNT).fill(13));
  y.dispose();
});

test('hundreds of dispatches between two waits, each with its own scalars', async () => {
  for (const dispatchesPerSubmit of [1, 64, 1000]) {
    await withOwnGpu({ dispatchesPerSubmit }, async (gpu) => {
      const y = Tensor.zeros(gpu, [COUNT]);
      const before = gpu.dispatches;
      let expected = 0;
      for (let k = 0; k < 700; k++) {
        dispatchInPlace(increment('scalar'), [y], Float32Array.of(k, 0, 0, 0).buffer);
        expected += k;
      }
      assert.is(gpu.dispatches - before, 700);
      assert.equal(await y.read(), new Float32Array(COUNT).fill(expected));
      y.dispose();
    });
  }
});

test('scalars of more than 64 bytes are refused', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  assert.instance(
    thrown(() => dispatchInPlace(increment('scalar'), [y], new ArrayBuffer(68))),
    ArgumentError,
  );
  y.dispose();
});

test('writes and dispatches happen in the order of the calls', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  y.write(new Float32Array(COUNT).fill(10));
  dispatchInPlace(increment(1), [y]);
  const first = y.read();
  dispatchInPlace(increment(1), [y]);
  assert.equal(await first, new Float32Array(COUNT).fill(11));
  assert.equal(await y.read(), new Float32Array(COUNT).fill(12));
  y.dispose();
});

test('an invalid kernel raises GpuError at the next wait, once', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(INVALID, [y]);
  const error = (await rejection(gpu.sync())) as Error;
  assert.instance(error, GpuError);
  assert.match(error.message, /^kernel "invalid" does not compile: line 1:\d+ /);
  await gpu.sync();
  dispatchInPlace({ ...INVALID, label: 'invalid again' }, [y]);
  const again = (await rejection(y.read())) as Error;
  assert.instance(again, GpuError);
  assert.match(again.message, /^kernel "invalid again" does not compile: /);
  await gpu.sync();
  assert.equal(await y.read(), new Float32Array(COUNT));
  dispatchInPlace(increment(1), [y]);
  assert.equal(await y.read(), new Float32Array(COUNT).fill(1));
  y.dispose();
});

test('other mistakes of a kernel are told by its name, too', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  const { wgsl } = increment(1);
  const mistakes: [label: string, wgsl: string, bindings: string][] = [
    ['no entry point', wgsl.replace('fn main', 'fn other'), 'w'],
    ['a workgroup too large', wgsl.replace('@compute @workgroup_size(64)', '@compute @workgroup_size(100000)'), 'w'],
    ['a binding too many', wgsl.replace('@binding(0)', '@binding(1)'), 'w'],
    ['another access', wgsl, 'r'],
    ['other types', wgsl.replace('+= f32(1)', '+= 1u'), 'w'],
  ];
  for (const [label, text, bindings] of mistakes) {
    dispatchInPlace({ label, wgsl: text, bindings, workgroups: [1, 1, 1] }, [y]);
    const error = (await rejection(gpu.sync())) as Error;
    assert.instance(error, GpuError, label);
    assert.match(error.message, `kernel "${label}" does not compile: `);
    await gpu.sync();
  }
  y.dispose();
});

test('steps run ahead by the number asked for', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  for (let step = 0; step < 20; step++) {
    dispatchInPlace(increment(1), [y]);
    await gpu.endStep(step % 3);
  }
  assert.equal(await y.read(), new Float32Array(COUNT).fill(20));
  y.dispose();
});

test('after the device is destroyed every call says so', async () => {
  const gpu = await openGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  const pending = y.read();
  void pending.catch(() => {});
  gpu.destroy();
  assert.ok(gpu.lost);
  assert.instance(await rejection(pending), DeviceLostError);
  for (const call of [
    () => dispatchInPlace(increment(1), [y]),
    () => y.write(new Float32Array(COUNT)),
    () => Tensor.zeros(gpu, [2]),
    () => Tensor.empty(gpu, [2]),
    () => add(y, y),
    () => gpu.throwPendingError(),
  ]) {
    assert.instance(thrown(call), DeviceLostError, String(call));
  }
  assert.instance(await rejection(y.read()), DeviceLostError);
  assert.instance(await rejection(gpu.sync()), DeviceLostError);
  gpu.destroy(); // harmless
  y.dispose();
});

test('a device that is lost from outside raises DeviceLostError, also in steps under way', async () => {
  const gpu = await openGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  await gpu.endStep(2);
  dispatchInPlace(increment(1), [y]);
  const step = rejection(gpu.endStep(2));
  gpu.device.destroy();
  await step;
  await gpu.device.lost;
  assert.ok(gpu.lost);
  assert.instance(await rejection(gpu.sync()), DeviceLostError);
  assert.instance(await rejection(y.read()), DeviceLostError);
  y.dispose();
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
  assert.instance(await rejection(y.read()), DisposedError);
  assert.equal(await view.read(), new Float32Array(6));
  view.dispose();
});

test('views share the memory, which goes with the last of them', async () => {
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

test('a scope frees what it does not return, whatever holds the result', async () => {
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

test('scopes nest, and `keep` leaves all of them', async () => {
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

test.run();
