import * as assert from 'uvu/assert';
import { ArgumentError, DisposedError, OutOfMemoryError, ShapeError } from '../../src/common/errors.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { add, mul } from '../../src/ops/binary.js';
import { sum } from '../../src/ops/reduce.js';
import { affine, square } from '../../src/ops/unary.js';
import { dispatchInPlace } from '../../src/tensor/dispatch.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { INCREMENT, isA } from './recorded-fixture.js';

const test = gpuSuite('misuse of recorded steps');

test('operations that a recorded step cannot replay are refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const outside = Tensor.from(gpu, [1, 1, 1, 1], [4]);
  const refused = (body: (inputs: { x: Tensor }) => unknown, message: RegExp) => {
    let error: unknown = null;
    try {
      recordStep(gpu, { x }, body as () => Record<string, Tensor>);
    } catch (caught) {
      error = caught;
    }
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, message);
  };
  refused((inputs) => ({ y: affine(inputs.x, 2).read() }), /^a tensor is read inside the body of a recorded step/);
  refused((inputs) => ({ y: sum(inputs.x).item() }), /^a tensor is read inside the body of a recorded step/);
  refused(() => ({ y: recordStep(gpu, {}, () => ({})) }), /^another step is recorded inside the body/);
  refused((inputs) => {
    inputs.x.write(new Float32Array(4));
    return {};
  }, /^tensor \[4\] is written inside a recorded step/);
  refused(() => {
    dispatchInPlace(INCREMENT, [Tensor.zeros(gpu, [4])]);
    return {};
  }, /^increment changes tensor \[4\], whose values were uploaded inside a recorded step/);
  refused(() => ({ outside }), /^recordStep: output outside is a tensor from outside/);
  assert.throws(
    () => recordStep(gpu, { x }, (async () => ({ y: await sum(x).item() })) as never),
    /the body must be synchronous/,
  );
  const inner = recordStep(gpu, { x }, (inputs) => ({ y: affine(inputs.x, 2) }));
  refused(() => {
    inner.run();
    return {};
  }, /^a recorded step is run inside the body/);
  inner.dispose();
  x.dispose();
  outside.dispose();
});

test('temporaries cannot be used after the recording', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  let escaped: Tensor | null = null;
  const step = recordStep(gpu, { x }, (inputs) => {
    escaped = keep(affine(inputs.x, 2));
    return { y: square(escaped) };
  });
  assert.throws(() => scope(gpu, () => add(escaped!, x)), /^tensor \[4\] is a temporary of a recorded step/);
  assert.throws(() => recordStep(gpu, { x }, () => ({ y: add(escaped!, x) })), /is a temporary of a recorded step/);
  step.run();
  assert.equal(await step.outputs.y.read(), Float32Array.of(4, 16, 36, 64));
  // The result itself can be used after the recording.
  const next = scope(gpu, () => affine(step.outputs.y, 1, 1));
  assert.equal(await next.read(), Float32Array.of(5, 17, 37, 65));
  step.dispose();
  escaped!.dispose();
  next.dispose();
  x.dispose();
});

test('a run is refused after a tensor that it uses is disposed, and inputs must keep their shape', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const w = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const step = recordStep(gpu, { x }, (inputs) => ({ y: mul(inputs.x, w) }));
  assert.throws(() => step.inputs.x.write(new Float32Array(5)), isA(ShapeError));
  w.dispose();
  assert.throws(() => step.run(), isA(DisposedError, /uses tensor \[4\]/));
  x.dispose();
  assert.throws(() => step.run(), isA(DisposedError, /input x/));
  step.dispose();
});

test('a step that does not fit in memory is refused, and keeps no memory', async () => {
  const gpu = await openGpu({ maxLiveBytes: 100_000 });
  try {
    const x = Tensor.zeros(gpu, [5000]);
    const before = gpu.pool.liveBytes;
    const body = (results: number) => (inputs: { x: Tensor }) =>
      Object.fromEntries(Array.from({ length: results }, (_, k) => [`y${k}`, affine(square(inputs.x), k + 2)]));
    for (const results of [4, 8]) {
      assert.throws(() => recordStep(gpu, { x }, body(results)), isA(OutOfMemoryError));
      assert.is(gpu.pool.liveBytes, before);
    }
    const step = recordStep(gpu, { x }, body(1));
    step.run();
    assert.equal(await step.outputs.y0.read(), new Float32Array(5000));
    step.dispose();
    assert.is(gpu.pool.liveBytes, before);
    await gpu.sync();
  } finally {
    gpu.destroy();
  }
});

test.run();
