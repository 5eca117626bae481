import * as assert from 'uvu/assert';
import { Autoencoder } from '../../src/models/autoencoder.js';
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

test('loss and every gradient of the whole autoencoder agree with float64', async () => {
  const gpu = await testGpu();
  const batch = 2;
  const rate = 1;
  const model = new Autoencoder().initialize(gpu, 7);
  const { height, width } = model.config;
  const parameters = model.parameters();
  // All values are different, because a scale of exactly 1 or a shift of exactly 0 would hide mistakes.
  for (const [name, tensor] of parameters) {
    if (tensor.shape.length > 1 && !name.startsWith('latentMean')) continue;
    const values = await tensor.read();
    tensor.write(values.map((value, i) => value + 0.1 * Math.sin(i + name.length)));
  }
  const before = new Map<Tensor, ReturnType<typeof toNdArray>>();
  for (const tensor of parameters.values()) before.set(tensor, toNdArray(await tensor.read(), tensor.shape));

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
});

test.run();
