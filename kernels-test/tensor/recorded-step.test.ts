import * as assert from 'uvu/assert';
import { DisposedError } from '../../src/common/errors.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { SGD } from '../../src/nn/sgd.js';
import { mul } from '../../src/ops/binary.js';
import { concat } from '../../src/ops/layout.js';
import { sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { affine, exp, sigmoid, square } from '../../src/ops/unary.js';
import { dispatchInPlace } from '../../src/tensor/dispatch.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { INCREMENT, isA, SMALL, Training } from './recorded-fixture.js';

const test = gpuSuite('recorded steps');

const STEPS = 20;

async function trainEagerly(gpu: Gpu) {
  const training = new Training(gpu, SMALL, 3);
  const losses: number[] = [];
  for (; training.step < STEPS; training.step++) {
    training.feed();
    const { loss, distortion } = scope(gpu, () => training.body(training.inputs));
    losses.push(await loss.item());
    loss.dispose();
    distortion.dispose();
  }
  const state = await training.state();
  training.dispose();
  return { losses, state };
}

async function trainRecorded(gpu: Gpu) {
  const training = new Training(gpu, SMALL, 3);
  const step = recordStep(gpu, training.inputs, training.body);
  const losses: number[] = [];
  const live: number[] = [];
  for (; training.step < STEPS; training.step++) {
    training.feed();
    step.run();
    losses.push(await step.outputs.loss.item());
    live.push(gpu.pool.liveBytes);
  }
  const state = await training.state();
  step.dispose();
  training.dispose();
  return { losses, state, live };
}

test('20 recorded training steps give the bits of 20 eager ones, twice', async () => {
  const gpu = await testGpu();
  const eager = await trainEagerly(gpu);
  const first = await trainRecorded(gpu);
  const second = await trainRecorded(gpu);
  assert.ok(eager.losses[STEPS - 1] < eager.losses[0], `the loss went from ${eager.losses}`);
  assert.is(eager.state.get('step')![0], STEPS);
  for (const [what, { losses, state, live }] of Object.entries({ first, second })) {
    assert.equal(losses, eager.losses, `losses of the ${what} run`);
    assert.equal([...state.keys()], [...eager.state.keys()]);
    for (const [name, values] of eager.state) assert.equal(state.get(name), values, `${name} of the ${what} run`);
    assert.equal([...new Set(live)].length, 1, `live bytes: ${live}`);
  }
});

test('recording runs nothing on the GPU, and a run creates no bind group, buffer or pipeline', async () => {
  const gpu = await testGpu();
  const training = new Training(gpu, SMALL, 2);
  const before = await training.state();
  const { dispatches } = gpu;
  const step = recordStep(gpu, training.inputs, training.body);
  assert.is(gpu.dispatches, dispatches);
  assert.equal(await training.state(), before);

  const { device } = gpu;
  const made: string[] = [];
  for (const name of ['createBindGroup', 'createBuffer', 'createComputePipeline'] as const) {
    Object.defineProperty(device, name, {
      configurable: true,
      value(...args: [never]) {
        made.push(name);
        return Object.getPrototypeOf(device)[name].apply(device, args);
      },
    });
  }
  try {
    step.run();
    assert.equal(made, []);
    assert.is(gpu.dispatches, dispatches + step.dispatches);
    assert.is(training.optimizer.stepCount, 1);
    scope(gpu, () => {
      training.body(training.inputs);
    });
    assert.ok(made.includes('createBindGroup'), 'the test counts what is created');
  } finally {
    for (const name of ['createBindGroup', 'createBuffer', 'createComputePipeline']) {
      delete (device as unknown as Record<string, unknown>)[name];
    }
  }
  step.dispose();
  training.dispose();
});

test('results that are computed again to save memory have the same bits', async () => {
  const gpu = await testGpu();
  const LAYERS = 10;
  const x = Tensor.from(gpu, randomValues(20_000, 1), [20_000]);
  const weights = Array.from({ length: LAYERS }, (_, k) => Tensor.from(gpu, randomValues(20_000, 10 + k), [20_000]));
  const body = (inputs: { x: Tensor }) => {
    const tape = new Tape();
    const loss = tape.record(() => {
      let y = inputs.x;
      for (const w of weights) y = mul(mul(sigmoid(y), w), mul(sigmoid(y), w));
      return sum(y);
    });
    const grads = tape.gradients(loss, [inputs.x]);
    return { loss, gradient: grads.get(inputs.x)! };
  };
  const { dispatches } = gpu;
  const eager = scope(gpu, () => body({ x }));
  const eagerDispatches = gpu.dispatches - dispatches;
  const step = recordStep(gpu, { x }, body);
  assert.ok(step.dispatches > eagerDispatches, `${step.dispatches} dispatches, ${eagerDispatches} by itself`);
  for (let run = 0; run < 2; run++) {
    step.run();
    for (const name of ['loss', 'gradient'] as const) {
      assert.equal(await step.outputs[name].read(), await eager[name].read(), `${name} of run ${run}`);
    }
  }
  step.dispose();
  for (const tensor of [...Object.values(eager), x, ...weights]) tensor.dispose();
});

test('a result whose operand has changed since is not computed again', async () => {
  const gpu = await testGpu();
  const SIZE = 64;
  const state = Tensor.zeros(gpu, [SIZE]);
  // All parts are used only at the end. They could be computed again, if their operand had not changed in between.
  const body = () => {
    const parts = Array.from({ length: 12 }, () => {
      const part = affine(state, 2, 1);
      dispatchInPlace(INCREMENT, [state]);
      return part;
    });
    return { total: affine(concat(parts, 0), 2) };
  };
  const eager = scope(gpu, body);
  state.write(new Float32Array(SIZE));
  const step = recordStep(gpu, {}, body);
  step.run();
  assert.equal(await step.outputs.total.read(), await eager.total.read());
  assert.equal(await state.read(), new Float32Array(SIZE).fill(12));
  step.dispose();
  eager.total.dispose();
  state.dispose();
});

test('steps share the memory of temporaries, and do not change results of other steps', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(10_000, 3), [10_000]);
  const body = (scale: number) => (inputs: { x: Tensor }) => ({ y: exp(affine(square(affine(inputs.x, scale)), -1)) });
  const before = gpu.pool.liveBytes;
  const first = recordStep(gpu, { x }, body(0.5));
  const one = gpu.pool.liveBytes - before;
  const second = recordStep(gpu, { x }, body(0.25));
  assert.is(gpu.pool.liveBytes - before - one, second.outputs.y.buffer.bytes + 960, 'only its result is new');
  first.run();
  second.run();
  const values = await x.read();
  for (const [step, scale] of [
    [first, 0.5],
    [second, 0.25],
  ] as const) {
    const y = await step.outputs.y.read();
    values.forEach((value, k) => {
      assert.ok(Math.abs(y[k] - Math.exp(-((scale * value) ** 2))) < 1e-6, `scale ${scale}, element ${k}`);
    });
  }
  first.dispose();
  assert.throws(() => first.run(), isA(DisposedError));
  second.run();
  assert.is((await second.outputs.y.read()).length, 10_000);
  second.dispose();
  second.dispose();
  assert.is(gpu.pool.liveBytes, before);
  x.dispose();
});

test('an impossible learning rate stops a run before anything changes', async () => {
  const gpu = await testGpu();
  const p = keep(Tensor.from(gpu, [1, 2, 3], [3]));
  const optimizer = new SGD(new Map([['p', p]]), { momentum: 0.9 });
  let rate = 0.5;
  const step = recordStep(gpu, {}, () => {
    optimizer.step(new Map([[p, Tensor.from(gpu, [1, 1, 1], [3])]]), () => rate);
    return {};
  });
  step.run();
  assert.equal(await p.read(), Float32Array.of(0.5, 1.5, 2.5));
  rate = Number.NaN;
  assert.throws(() => step.run(), /learning rate is NaN/);
  assert.is(optimizer.stepCount, 1);
  assert.equal(await p.read(), Float32Array.of(0.5, 1.5, 2.5));
  step.dispose();
  optimizer.dispose();
  p.dispose();
});

test.run();
