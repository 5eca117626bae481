// adapters: all
import * as assert from 'uvu/assert';
import { ArgumentError, DeviceLostError, GpuError } from '../../src/common/errors.js';
import { type Kernel, linearGrid } from '../../src/gpu/kernel.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { add } from '../../src/ops/binary.js';
import { dispatchInPlace } from '../../src/tensor/dispatch.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { withOwnGpu } from '../helpers/own-gpu.js';
import { rejected, thrown } from '../helpers/rejection.js';

const test = gpuSuite('gpu');
const COUNT = 100;

/** A kernel for y += amount, where the amount is in the text or is the first scalar. */
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

test('a small read takes less time than a browser waits between two checks for finished work', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3], [3]);
  let least = Infinity;
  for (let k = 0; k < 10; k++) {
    const start = performance.now();
    assert.equal(await x.read(), Float32Array.of(1, 2, 3));
    least = Math.min(least, performance.now() - start);
  }
  x.dispose();
  // Firefox checks every 100 ms.
  assert.ok(least < 60, `${least} ms`);
});

test('kernels of equal text share one pipeline', async () => {
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

test('hundreds of dispatches between two waits each get their own scalars', async () => {
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

test('an invalid kernel gives a GpuError at the next wait, and only there', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(INVALID, [y]);
  const error = (await rejected(gpu.sync())) as Error;
  assert.instance(error, GpuError);
  assert.match(error.message, /^kernel "invalid" does not compile: line 1:\d+ /);
  await gpu.sync();
  dispatchInPlace({ ...INVALID, label: 'invalid again' }, [y]);
  const again = (await rejected(y.read())) as Error;
  assert.instance(again, GpuError);
  assert.match(again.message, /^kernel "invalid again" does not compile: /);
  await gpu.sync();
  assert.equal(await y.read(), new Float32Array(COUNT));
  dispatchInPlace(increment(1), [y]);
  assert.equal(await y.read(), new Float32Array(COUNT).fill(1));
  y.dispose();
});

test('errors for other mistakes of a kernel name it, too', async () => {
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
    const error = (await rejected(gpu.sync())) as Error;
    assert.instance(error, GpuError, label);
    assert.match(error.message, `kernel "${label}" does not compile: `);
    await gpu.sync();
  }
  y.dispose();
});

test('at most the given number of steps are submitted ahead', async () => {
  const gpu = await testGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  for (let step = 0; step < 20; step++) {
    dispatchInPlace(increment(1), [y]);
    await gpu.endStep(step % 3);
  }
  assert.equal(await y.read(), new Float32Array(COUNT).fill(20));
  y.dispose();
});

test('after the device is destroyed every call gives an error that says so', async () => {
  const gpu = await openGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  const pending = y.read();
  void pending.catch(() => {});
  gpu.destroy();
  assert.ok(gpu.lost);
  assert.instance(await rejected(pending), DeviceLostError);
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
  assert.instance(await rejected(y.read()), DeviceLostError);
  assert.instance(await rejected(gpu.sync()), DeviceLostError);
  gpu.destroy(); // a second call does nothing
  y.dispose();
});

test('a device that is lost from outside gives a DeviceLostError, also in steps that are running', async () => {
  const gpu = await openGpu();
  const y = Tensor.zeros(gpu, [COUNT]);
  dispatchInPlace(increment(1), [y]);
  await gpu.endStep(2);
  dispatchInPlace(increment(1), [y]);
  const step = rejected(gpu.endStep(2));
  gpu.device.destroy();
  await step;
  await gpu.device.lost;
  assert.ok(gpu.lost);
  assert.instance(await rejected(gpu.sync()), DeviceLostError);
  assert.instance(await rejected(y.read()), DeviceLostError);
  y.dispose();
});

test.run();
