// adapters: all
import * as assert from 'uvu/assert';
import { OutOfMemoryError } from '../../src/common/errors.js';
import { BufferPool } from '../../src/gpu/buffer-pool.js';
import { add } from '../../src/ops/binary.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { withOwnGpu } from '../helpers/own-gpu.js';
import { thrown } from '../helpers/rejection.js';

const test = gpuSuite('buffer pool');
const COUNT = 100;

test('the pool rounds sizes up by at most an eighth', async () => {
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

test('a released buffer is reused within its size class', async () => {
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

test('the pool keeps at most its cap, and `trim` frees everything', async () => {
  await withOwnGpu({ maxPooledBytes: 3 * 4096 }, async (gpu) => {
    gpu.pool.trim(); // frees what the self-test left
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

test('buffers that are released above the cap stay valid for commands that are already recorded', async () => {
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

test('an allocation above the cap or the limits is refused, and changes nothing', async () => {
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

/** A pool on a device that has no memory while `isFull` says so: software adapters never report this. */
function poolWithoutMemory(device: GPUDevice, isFull: () => boolean, maxPooledBytes: number) {
  const full = {
    limits: device.limits,
    pushErrorScope: () => {},
    popErrorScope: async () => (isFull() ? { message: 'no memory left' } : null),
    createBuffer: (descriptor: GPUBufferDescriptor) => device.createBuffer(descriptor),
  } as unknown as GPUDevice;
  const errors: Error[] = [];
  const pool = new BufferPool(full, { maxPooledBytes, maxLiveBytes: Infinity }, (error) => errors.push(error));
  return { pool, errors };
}

test("the driver's own lack of memory is reported by name", async () => {
  const { pool, errors } = poolWithoutMemory((await testGpu()).device, () => true, 0);
  const buffer = pool.acquire(1024, 'tensor [256]');
  await new Promise((resolve) => setTimeout(resolve));
  assert.instance(errors[0], OutOfMemoryError);
  assert.is(errors[0].message, 'tensor [256]: 1024 bytes: no memory left');
  pool.release(buffer);
  pool.trim();
});

test('a buffer that got no memory is not handed out again, whether it is released before or after the answer', async () => {
  let isFull = true;
  const { pool } = poolWithoutMemory((await testGpu()).device, () => isFull, 2 ** 20);
  const [early, late] = [pool.acquire(1024, 'early'), pool.acquire(1024, 'late')];
  pool.release(early);
  assert.is(pool.pooledBytes, 1024);
  await new Promise((resolve) => setTimeout(resolve));
  assert.is(pool.pooledBytes, 0);
  pool.release(late);
  assert.is(pool.pooledBytes, 0);
  assert.is(pool.liveBytes, 0);
  isFull = false;
  const again = pool.acquire(1024, 'again');
  assert.ok(again.raw !== early.raw && again.raw !== late.raw);
  await new Promise((resolve) => setTimeout(resolve));
  pool.release(again);
  assert.is(pool.acquire(1024, 'sound').raw, again.raw);
  pool.release(again);
  pool.trim();
});

test.run();
