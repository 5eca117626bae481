import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ShapeError } from '../../src/common/errors.js';
import { Adam, type AdamOptions } from '../../src/nn/adam.js';
import { clipGradients } from '../../src/nn/clip.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import type { Optimizer } from '../../src/nn/optimizer.js';
import { SGD, type SgdOptions } from '../../src/nn/sgd.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('optimizers');

/** Sizes for single and vector loads, and for invocations with several elements and with none. */
const SHAPES: Record<string, number[]> = { bias: [7], weight: [3, 4], long: [2501], longer: [3, 3000] };
const STEPS = 20;
/** A learning rate that changes from step to step, like that of a schedule. */
const rateAt = (step: number) => 0.05 / (1 + 0.1 * step);

const gradients = new Map<number, Float32Array>();

/** The gradient of parameter k, of the given size, in a step. */
function gradientAt(step: number, k: number, size: number): Float32Array {
  const seed = 1000 + 10 * step + k;
  const values = gradients.get(seed) ?? randomValues(size, seed);
  gradients.set(seed, values);
  return values;
}

async function makeParams(): Promise<Map<string, Tensor>> {
  const gpu = await testGpu();
  const entries = Object.entries(SHAPES).map(([name, shape], k): [string, Tensor] => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, keep(Tensor.from(gpu, randomValues(size, k), shape))];
  });
  return new Map(entries);
}

/** Steps `from` to `to` with the gradients of the test, clipped to a norm of `clip` if given. */
async function train(params: Map<string, Tensor>, optimizer: Optimizer, from: number, to: number, clip?: number) {
  const gpu = await testGpu();
  for (let step = from; step < to; step++) {
    scope(gpu, () => {
      const grads = [...params.values()].map((param, k): [Tensor, Tensor] => [
        param,
        Tensor.from(gpu, gradientAt(step, k, param.size), param.shape),
      ]);
      const scale = clip ? clipGradients(new Map(grads).values(), clip).scale : undefined;
      optimizer.step(new Map(grads), rateAt(step), scale);
    });
    await gpu.endStep();
  }
}

/** One parameter after STEPS steps, computed by a plain float64 loop. */
function reference(
  k: number,
  size: number,
  update: (p: number, g: number, state: number[], t: number) => number,
  factors: readonly number[] = [],
): Float64Array {
  const values = Float64Array.from(randomValues(size, k));
  const states = Array.from(values, () => [0, 0]);
  for (let step = 0; step < STEPS; step++) {
    const grads = gradientAt(step, k, size);
    for (let i = 0; i < size; i++) values[i] = update(values[i], grads[i] * (factors[step] ?? 1), states[i], step);
  }
  return values;
}

function sgdReference({ momentum = 0, weightDecay = 0, nesterov = false }: SgdOptions) {
  return (p: number, g: number, state: number[], step: number) => {
    g += weightDecay * p;
    state[0] = momentum * state[0] + g;
    return p - rateAt(step) * (nesterov ? g + momentum * state[0] : state[0]);
  };
}

function adamReference({ betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, decoupled = false }: AdamOptions) {
  return (p: number, g: number, state: number[], step: number) => {
    if (decoupled) p -= rateAt(step) * weightDecay * p;
    else g += weightDecay * p;
    state[0] = betas[0] * state[0] + (1 - betas[0]) * g;
    state[1] = betas[1] * state[1] + (1 - betas[1]) * g * g;
    const first = state[0] / (1 - betas[0] ** (step + 1));
    const second = state[1] / (1 - betas[1] ** (step + 1));
    return p - (rateAt(step) * first) / (Math.sqrt(second) + eps);
  };
}

async function compare(optimizer: Optimizer, params: Map<string, Tensor>, expected: (k: number) => Float64Array) {
  for (const [k, [name, param]] of [...params].entries()) {
    assertClose(name, await param.read(), expected(k), { sumLength: STEPS });
  }
  optimizer.dispose();
  for (const param of params.values()) param.dispose();
}

const sgdCases: SgdOptions[] = [
  {},
  { weightDecay: 0.1 },
  { momentum: 0.9, weightDecay: 0.01 },
  { momentum: 0.9, weightDecay: 0.01, nesterov: true },
];
for (const options of sgdCases) {
  test(`SGD ${JSON.stringify(options)} follows a float64 loop`, async () => {
    const params = await makeParams();
    const optimizer = new SGD(params, options);
    await train(params, optimizer, 0, STEPS);
    const sizes = [...params.values()].map(({ size }) => size);
    await compare(optimizer, params, (k) => reference(k, sizes[k], sgdReference(options)));
  });
}

const adamCases: AdamOptions[] = [
  {},
  { weightDecay: 0.1 },
  { betas: [0.8, 0.99], eps: 1e-3, weightDecay: 0.1, decoupled: true },
];
for (const options of adamCases) {
  test(`Adam ${JSON.stringify(options)} follows a float64 loop`, async () => {
    const params = await makeParams();
    const optimizer = new Adam(params, options);
    await train(params, optimizer, 0, STEPS);
    const sizes = [...params.values()].map(({ size }) => size);
    await compare(optimizer, params, (k) => reference(k, sizes[k], adamReference(options)));
  });
}

/** The factor that clips the gradients of each step, in float64. */
function clipFactors(sizes: readonly number[], most: number): number[] {
  return Array.from({ length: STEPS }, (_, step) => {
    let squares = 0;
    sizes.forEach((size, k) => {
      for (const g of gradientAt(step, k, size)) squares += g * g;
    });
    return Math.min(1, most / Math.sqrt(squares));
  });
}

test('both optimisers with gradients clipped to a global norm follow a float64 loop', async () => {
  // The gradients have a norm of about √11520 ≈ 107, so that some steps are clipped and some are not.
  for (const adam of [false, true]) {
    const params = await makeParams();
    const sizes = [...params.values()].map(({ size }) => size);
    const factors = clipFactors(sizes, 107);
    assert.ok(Math.min(...factors) < 1 && Math.max(...factors) === 1);
    const optimizer = adam ? new Adam(params) : new SGD(params, { momentum: 0.9 });
    const update = adam ? adamReference({}) : sgdReference({ momentum: 0.9 });
    await train(params, optimizer, 0, STEPS, 107);
    await compare(optimizer, params, (k) => reference(k, sizes[k], update, factors));
  }
});

test('clipGradients gives the global norm and its factor', async () => {
  const gpu = await testGpu();
  const sizes = [5, 12, 2501, 40_000];
  const values = sizes.map((size, k) => randomValues(size, 50 + k));
  let squares = 0;
  for (const array of values) for (const g of array) squares += g * g;
  for (const most of [1, 1e6]) {
    const { norm, scale } = scope(gpu, () =>
      clipGradients(
        values.map((array) => Tensor.from(gpu, array, [array.length])),
        most,
      ),
    );
    assertClose('norm', await norm.read(), [Math.sqrt(squares)]);
    assertClose('scale', await scale.read(), [Math.min(1, most / Math.sqrt(squares))]);
    norm.dispose();
    scale.dispose();
  }
  const zero = scope(gpu, () => clipGradients([Tensor.zeros(gpu, [9])], 1));
  assert.is(await zero.norm.item(), 0);
  assert.is(await zero.scale.item(), 1);
  zero.norm.dispose();
  zero.scale.dispose();
});

for (const kind of ['SGD', 'Adam'] as const) {
  test(`${kind} continues from its saved state to the same bits`, async () => {
    const make = (params: Map<string, Tensor>) =>
      kind === 'SGD' ? new SGD(params, { momentum: 0.9 }) : new Adam(params, { weightDecay: 0.01, decoupled: true });
    const params = await makeParams();
    const optimizer = make(params);
    await train(params, optimizer, 0, 4, 100);
    const saving = optimizer.saveState();
    const values = await Promise.all([...params.values()].map((param) => param.read()));
    await train(params, optimizer, 4, 8, 100);
    const state = await saving;
    const resumed = await makeParams();
    [...resumed.values()].forEach((param, k) => {
      param.write(values[k]);
    });
    const other = make(resumed);
    other.loadState(state);
    assert.is(other.stepCount, 4);
    await train(resumed, other, 4, 8, 100);
    for (const [name, param] of params) assert.equal(await resumed.get(name)!.read(), await param.read(), name);
    assert.equal(await other.saveState(), await optimizer.saveState());
    for (const each of [optimizer, other]) each.dispose();
    for (const param of [...params.values(), ...resumed.values()]) param.dispose();
  });
}

test('optimiser state that does not fit is refused by name, and nothing changes', async () => {
  const gpu = await testGpu();
  const params = new Map([['decoder.0.weight', keep(Tensor.zeros(gpu, [2, 3]))]]);
  const optimizer = new Adam(params);
  const before = await optimizer.saveState();
  assert.equal([...before.keys()], ['first.decoder.0.weight', 'second.decoder.0.weight', 'step']);
  const altered = (change: (state: HostTensors) => void): HostTensors => {
    const state: HostTensors = new Map([...before].map(([name, t]) => [name, { ...t, data: t.data.map(() => 3) }]));
    change(state);
    return state;
  };
  const refuses = (change: (state: HostTensors) => void, message: RegExp) =>
    assert.throws(
      () => optimizer.loadState(altered(change)),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    );
  refuses((state) => state.delete('second.decoder.0.weight'), /lacks "second.decoder.0.weight"/);
  refuses((state) => state.set('more', { shape: [], data: Float32Array.of(1) }), /has "more"/);
  refuses(
    (state) => state.set('first.decoder.0.weight', { shape: [3, 2], data: new Float32Array(6) }),
    /first\.decoder\.0\.weight: the file has \[3,2\], the optimizer needs \[2,3\]/,
  );
  refuses((state) => state.set('step', { shape: [], data: Float32Array.of(0.5) }), /step: the file has 0.5/);
  assert.equal(await optimizer.saveState(), before);
  optimizer.dispose();
  params.get('decoder.0.weight')!.dispose();
});

test('arguments out of range are refused', async () => {
  const gpu = await testGpu();
  const param = keep(Tensor.zeros(gpu, [4]));
  const params = new Map([['w', param]]);
  const argument = (run: () => unknown, message: RegExp) =>
    assert.throws(run, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  argument(() => new SGD(new Map()), /at least one parameter/);
  argument(() => new SGD(params, { momentum: 1 }), /momentum is 1/);
  argument(() => new SGD(params, { nesterov: true }), /nesterov/);
  argument(() => new Adam(params, { betas: [0.9, 1.5] }), /beta 2 is 1.5/);
  argument(() => new Adam(params, { eps: 0 }), /eps is 0/);
  argument(() => new Adam(params, { weightDecay: -1 }), /weightDecay is -1/);
  argument(() => clipGradients([], 1), /no gradients/);
  argument(() => clipGradients([param], 0), /maxNorm is 0/);
  const optimizer = new SGD(params);
  argument(() => optimizer.step(new Map(), Number.NaN), /learning rate is NaN/);
  const wrong = keep(Tensor.zeros(gpu, [2, 2]));
  assert.throws(
    () => optimizer.step(new Map([[param, wrong]]), 0.1),
    (error: Error) => error instanceof ShapeError && /gradient of w has shape \[2,2\]/.test(error.message),
  );
  assert.is(optimizer.stepCount, 0);
  wrong.dispose();
  optimizer.dispose();
  param.dispose();
});

test.run();
