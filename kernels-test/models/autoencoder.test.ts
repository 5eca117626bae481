import * as assert from 'uvu/assert';
import { Autoencoder, type AutoencoderConfig } from '../../src/models/autoencoder.js';
import { add, mul } from '../../src/ops/binary.js';
import { mse } from '../../src/ops/mse.js';
import { Tape } from '../../src/ops/tape.js';
import { affine } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { gradientsInFloat64 } from '../helpers/replay.js';

const test = gpuSuite('autoencoder');

/** ‖a − b‖ / ‖b‖. */
function relativeError(actual: Float32Array, expected: Float64Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(difference / Math.max(norm, 1e-300));
}

/** Smooth pictures, because noise would give activations unlike those of faces. */
function pictures(batch: number, height: number, width: number): Float32Array {
  const noise = randomValues(batch * 12, 3);
  return Float32Array.from({ length: batch * height * width * 3 }, (_, i) => {
    const c = i % 3;
    const x = (Math.floor(i / 3) % width) / width;
    const y = (Math.floor(i / (3 * width)) % height) / height;
    const n = Math.floor(i / (3 * width * height));
    const wave = noise[n * 12 + c] * Math.sin(6 * x + noise[n * 12 + 3]) + noise[n * 12 + 4 + c] * Math.cos(7 * y * x);
    return 0.5 + 0.2 * wave;
  });
}

/** With linear layers whose kernels are not orthonormal, as nothing depends on that here. */
const GLOBAL = {
  stages: [4, 8, 8, 8],
  latentChannels: 4,
  residualBlocks: 1,
  global: { features: 6, blocks: 1, importance: true },
};

for (const [what, config] of [
  ['the whole autoencoder', {}],
  ['the autoencoder with linear layers', GLOBAL],
] as const) {
  test(`loss and every gradient of ${what} agree with float64`, () => checkGradients(config));
}

async function checkGradients(config: Partial<AutoencoderConfig>): Promise<void> {
  const gpu = await testGpu();
  const batch = 2;
  const rate = 1;
  const model = new Autoencoder(config).initialize(gpu, 7);
  const { height, width } = model.config;
  const parameters = model.parameters();
  // All values are different, because a scale of exactly 1 or a shift of exactly 0 would hide mistakes.
  for (const [name, tensor] of model.stateTensors()) {
    const values = await tensor.read();
    const plain = tensor.shape.length === 1 || name.startsWith('latentMean') || name.startsWith('global.');
    // A conv that starts at 0 would keep gradients from the layers before it.
    if (!plain && values.some((value) => value !== 0)) continue;
    tensor.write(values.map((value, i) => value + 0.1 * Math.sin(i + name.length)));
  }
  const before = new Map<Tensor, ReturnType<typeof toNdArray>>();
  for (const tensor of model.stateTensors().values()) before.set(tensor, toNdArray(await tensor.read(), tensor.shape));

  const images = pictures(batch, height, width);
  const x = Tensor.from(gpu, images, [batch, height, width, 3]);
  const weight = Tensor.scalar(gpu, 0.7 / (batch * height * width));
  const tape = new Tape();
  const result = scope(gpu, () => {
    const loss = tape.record(() => {
      const symbols = model.compress(x, rate, { mode: 'noise', seed: 5, stream: 3 });
      return add(affine(mse(model.reconstruct(symbols, rate), x), 100), mul(model.bits(symbols, rate), weight));
    });
    return { loss, gradients: tape.gradients(loss, [...parameters.values()]) };
  });
  const leaves = new Map([...before, [x, toNdArray(images, x.shape)] as const]);
  leaves.set(weight, toNdArray(await weight.read(), []));
  const wrt = [...parameters.values()];
  const { values, gradients } = gradientsInFloat64(tape, leaves, result.loss, wrt);

  const expectedLoss = values.get(result.loss)!.data[0];
  const loss = await result.loss.item();
  assert.ok(Math.abs(loss - expectedLoss) < 1e-5 * Math.abs(expectedLoss), `loss ${loss}, expected ${expectedLoss}`);

  let compared = 0;
  let largest = 0;
  for (const [name, tensor] of parameters) {
    const expected = gradients.get(tensor);
    const actual = result.gradients.get(tensor);
    assert.is(Boolean(actual), Boolean(expected), `${name}: a gradient on one side only`);
    if (!expected || !actual) continue; // gains of the other rates have no gradient
    const error = relativeError(await actual.read(), expected.data);
    assert.ok(error < 5e-5, `gradient of ${name} [${tensor.shape}]: relative error ${error}`);
    largest = Math.max(largest, error);
    compared++;
  }
  const otherRates = 3 * (model.config.rates - 1);
  assert.is(compared, parameters.size - otherRates);
  console.log(`loss ${loss}, float64 ${expectedLoss}; ${compared} gradients, relative errors up to ${largest}`);

  for (const tensor of [x, weight, result.loss, ...result.gradients.values()]) tensor.dispose();
  model.dispose();
}

test('linear layers restore what the map can hold, and the convs add nothing at first', async () => {
  const gpu = await testGpu();
  // As many features as samples in a patch, and as many values in the map as features: nothing is lost.
  const size = { height: 8, width: 12, stages: [4, 4], residualBlocks: 0, rates: 1 };
  const model = new Autoencoder({ ...size, latentChannels: 48, global: { features: 48, blocks: 0, importance: true } });
  model.initialize(gpu, 3).eval();
  const { global } = model;
  // Whatever weights features have, the decoder takes them back.
  global!.weight!.set(
    gpu,
    randomValues(global!.weight!.tensor.size, 6).map((value) => 1 + Math.abs(value)),
  );
  global!.mean.set(gpu, randomValues(global!.mean.tensor.size, 4));
  const images = pictures(2, 8, 12);
  const found = scope(gpu, () => {
    const x = Tensor.from(gpu, images, [2, 8, 12, 3]);
    const values = model.analyse(x, 0);
    return { inOrder: global!.valuesOf(affine(x, 2, -1)), values, restored: model.reconstruct(values, 0) };
  });
  const restored = await found.restored.read();
  assert.ok(
    restored.every((value, i) => Math.abs(value - images[i]) < 1e-5),
    'the pictures come back',
  );
  const [gain] = await model.logGain[0].tensor.read();
  const [values, inOrder] = [await found.values.read(), await found.inOrder.read()];
  const positions = 2 * 3;
  values.forEach((value, i) => {
    // The map has its channels last; `valuesOf` has one after the other.
    const [channel, position] = [i % 48, Math.floor(i / 48) % positions];
    const expected =
      Math.exp(gain) * inOrder[Math.floor(i / (48 * positions)) * 48 * positions + channel * positions + position];
    assert.ok(Math.abs(value - expected) < 1e-4, `value ${i}: ${value}, expected ${expected}`);
  });
  assert.throws(
    () => new Autoencoder({ ...size, latentChannels: 9, global: { features: 8, blocks: 0 } }),
    /compact map has 54 values, more than the 48 features/,
  );
  assert.throws(() => new Autoencoder({ ...size, global: { features: 8, blocks: -1 } }), /global\.blocks is -1/);
  const unclear = { features: 8, blocks: 0, importance: 1 as never };
  assert.throws(() => new Autoencoder({ ...size, latentChannels: 4, global: unclear }), /global\.importance is 1/);
  for (const tensor of Object.values(found)) tensor.dispose();
  model.dispose();
});

test.run();
